"""Log-ratios of launches in, states of the regression question out: pure, three lines of data test it.

Three launches screen. Pass: the upper end of the slow-down is below the pass bound (2.5 %), the injected slow-down is seen, and
one of its size is as good as excluded. Candidates (false-discovery-rate rule) are decided on three fresh launches or more alone. Fail:
there the lower end is above the margin (1 %). Between: one launch more, until the most; then inconclusive. A copy of base that
differs in the screening and in the fresh launches makes the series invalid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from harness import stats
from harness.gate import noise
from harness.gate.margins import Bound, Margins
from harness.gate.noise import Estimate, Pool
from harness.metrics import Absent, Key, Value

State = Literal["pass", "fail", "inconclusive", "invalid"]
More = Literal["", "launches", "confirmation"]

LAUNCHES = stats.LEAST_LAUNCHES
"""To screen with, and to confirm with."""

MOST_LAUNCHES = 12
"""Undecided after so many (of screening, or of confirmation) is inconclusive. Enough for launches that vary by 2 %."""

FALSE_DISCOVERIES = 0.1
"""A tenth of the candidates may be none: fresh launches decide."""

NEVER = 0.001
"""A pass as good as excludes a slow-down of the size that is injected: where that were true, so fast a mean would be less probable."""

CLASSES = (0.0001, 0.01)
"""Seconds of a call that part the duration classes: blocks of many calls, of a few, single calls."""


@dataclass(frozen=True)
class Series:
    """One metric of one gated row on one case, as log-ratios, one per launch; above 0 is worse (see `log_ratio`).

    clock: the one it is judged on. seconds: of one call. head, copy: over base.
    injected: base with `Margins.injected(metric)` of its own cost added, over base. fresh...: the same of the launches made to
    confirm what the others showed.
    """

    key: Key
    metric: str
    clock: str
    seconds: float
    head: tuple[float, ...]
    copy: tuple[float, ...]
    injected: tuple[float, ...]
    fresh: tuple[float, ...] = ()
    fresh_copy: tuple[float, ...] = ()
    fresh_injected: tuple[float, ...] = ()


@dataclass(frozen=True)
class Decision:
    """The state of one series, in order of the series given.

    interval, copy, injected: of the slow-down over base (0.03 is 3 % worse, below 0 better) in the launches that decide.
    more: what would decide it, "" when that is decided or given up. bound: what it was held against.
    """

    state: State
    interval: Value
    more: More
    reason: str
    bound: Bound
    copy: Value = field(default=Absent("not measured"))
    injected: Value = field(default=Absent("not measured"))


class _Side(NamedTuple):
    """Head, copy and injected in the launches that decide; None where too few of them measured it.

    screened: the copy in the screening launches.
    """

    head: Estimate
    copy: Estimate | None
    injected: Estimate | None
    screened: Estimate | None


def decide(series: Sequence[Series], margins: Margins | None = None) -> list[Decision]:
    """What is known of each series now, and what more would decide it; call again with what was measured since."""
    bounds = [(margins or Margins()).of(one.metric) for one in series]
    pools = _pools(series, bounds)
    sides = [_side(one, bound, pools.get(_pool_key(one, bound))) for one, bound in zip(series, bounds, strict=True)]
    candidates = _discoveries([
        side.head.chance(bound.fail_above) if isinstance(side, _Side) and not one.fresh else None
        for one, bound, side in zip(series, bounds, sides, strict=True)
    ])
    return [
        _decision(one, bound, side, candidate) if isinstance(side, _Side) else side
        for one, bound, side, candidate in zip(series, bounds, sides, candidates, strict=True)
    ]


def duration_class(seconds: float) -> int:
    """0, 1, 2: calls of different length are measured differently, and vary differently."""
    return sum(seconds >= edge for edge in CLASSES)


def _pool_key(one: Series, bound: Bound) -> tuple[str, str, int]:
    return one.clock, bound.kind, duration_class(one.seconds)


def _groups(one: Series) -> list[tuple[float, ...]]:
    return [one.head, one.copy, one.injected, one.fresh, one.fresh_copy, one.fresh_injected]


def _pools(series: Sequence[Series], bounds: Sequence[Bound]) -> dict[tuple[str, str, int], Pool]:
    classes: dict[tuple[str, str, int], list[tuple[float, ...]]] = {}
    for one, bound in zip(series, bounds, strict=True):
        classes.setdefault(_pool_key(one, bound), []).extend(g for g in _groups(one) if len(g) > 1 and all(map(math.isfinite, g)))
    return {name: noise.pool_of(groups) for name, groups in classes.items()}


def _side(one: Series, bound: Bound, pool: Pool | None) -> _Side | Decision:
    """The launches that decide: the fresh ones, once there are any. A decision where they are too few, or have no ratio."""
    if not all(math.isfinite(value) for group in _groups(one) for value in group):
        reason = "a launch measured 0 or nothing on one side: there is no ratio"
        return Decision("inconclusive", Absent(reason), "", reason, bound)
    head, copy, injected = (one.fresh, one.fresh_copy, one.fresh_injected) if one.fresh else (one.head, one.copy, one.injected)
    if len(head) < LAUNCHES or pool is None:
        reason = f"{len(head)} of the {LAUNCHES} launches that are needed"
        return Decision("inconclusive", Absent(reason), _stage(one), reason, bound)

    def known(values: tuple[float, ...]) -> Estimate | None:
        return noise.estimate(values, pool, bound.least_spread) if len(values) >= LAUNCHES else None

    return _Side(noise.estimate(head, pool, bound.least_spread), known(copy), known(injected), known(one.copy))


def _stage(one: Series) -> More:
    return "confirmation" if one.fresh else "launches"


def _discoveries(chances: Sequence[float | None]) -> list[bool]:
    """Which of the screened may be called slow: the false-discovery-rate rule of Benjamini and Hochberg (1995)."""
    known = sorted(chance for chance in chances if chance is not None)
    limits = [chance for rank, chance in enumerate(known, 1) if chance <= FALSE_DISCOVERIES * rank / len(known)]
    limit = max(limits, default=-1.0)
    return [chance is not None and chance <= limit for chance in chances]


def _decision(one: Series, bound: Bound, side: _Side, candidate: bool) -> Decision:
    head = side.head.interval()
    copy, injected, screened = (None if each is None else each.interval() for each in side[1:])
    again = _stage(one) if side.head.n + side.head.aside < MOST_LAUNCHES else ""

    def state(state: State, reason: str, more: More = "") -> Decision:
        return Decision(state, head, more, reason, bound, _shown(copy), _shown(injected))

    if copy is None or injected is None:
        missing = "the copy of base" if copy is None else "the injected slow-down"
        return state("inconclusive", f"{missing} was measured in fewer than {LAUNCHES} launches: no control, no verdict", again)
    if _differs(copy, bound):
        reason = f"two builds of base differ by {_words(copy)}"
        if not one.fresh:
            return state("inconclusive", f"{reason}, to be confirmed", "confirmation")
        if screened is not None and _differs(screened, bound):
            return state("invalid", f"{reason}: a change cannot be told from what a build brings about")
        return state("inconclusive", f"{reason}, and did not when screened", again)
    slow, seen = _low(head) > bound.fail_above, _low(injected) > bound.fail_above
    fast = _high(head) < bound.pass_below and side.head.chance(bound.injected, below=True) < NEVER
    if slow and one.fresh:
        return state("fail", f"slower: {_words(head)}, margin {bound.fail_above:.2%}")
    if fast and seen and not slow:
        faster = f"faster: {_words(head)}" if _high(head) < 0 else ""
        return state("pass", faster or ("fresh launches did not confirm what the screening showed" if one.fresh else ""))
    if candidate:
        return state("inconclusive", f"slower: {_words(head)}, margin {bound.fail_above:.2%}; to be confirmed", "confirmation")
    if not seen:
        return state("inconclusive", f"an injected slow-down of {bound.injected:.2%} was not seen: it reads {_words(injected)}", again)
    return state("inconclusive", f"found {_words(head)}: neither above {bound.fail_above:.2%} nor below {bound.pass_below:.2%}", again)


def _differs(copy: stats.Interval, bound: Bound) -> bool:
    return _low(copy) > bound.fail_above or _high(copy) < -bound.fail_above


def _shown(interval: stats.Interval | None) -> Value:
    return interval if interval is not None else Absent(f"measured in fewer than {LAUNCHES} launches")


def _low(interval: stats.Interval) -> float:
    return -math.inf if interval.low is None else interval.low


def _high(interval: stats.Interval) -> float:
    return math.inf if interval.high is None else interval.high


def _words(interval: stats.Interval) -> str:
    return f"{interval.point:.2%} [{_low(interval):.2%}, {_high(interval):.2%}] over {interval.n} launches"
