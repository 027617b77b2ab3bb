"""The regression question: each branch with a few numbers, properties, and error rates by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import stats
from harness.gate.decide import MOST_LAUNCHES, Decision, Series, decide, duration_class
from harness.gate.margins import Margins
from harness.metrics import METRICS, Absent
from harness.profile.file import Margin
from harness.stats import Interval

QUIET = (0.001, -0.002, 0.001)
SEEN = (0.049, 0.051, 0.048)


def series(head: Sequence[float] = QUIET, copy: Sequence[float] = QUIET, injected: Sequence[float] = SEEN, **more: Any) -> Series:
    fields = {"key": ("spectrogram", "native", "drums", "{}"), "metric": "seconds_per_call", "clock": "cpu", "seconds": 0.001, **more}
    return Series(head=tuple(head), copy=tuple(copy), injected=tuple(injected), **fields)


def shifted(values: Sequence[float], by: float) -> tuple[float, ...]:
    return tuple(value + by for value in values)


def judged(one: Series, margins: Margins | None = None) -> tuple[str, str]:
    decision = decide([one], margins)[0]
    return decision.state, decision.more


def confirmed(one: Series, head: Sequence[float], copy: Sequence[float] = QUIET, injected: Sequence[float] = SEEN) -> Series:
    return replace(one, fresh=tuple(head), fresh_copy=tuple(copy), fresh_injected=tuple(injected))


SLOW = shifted(QUIET, 0.03)


def test_no_series_no_decision() -> None:
    assert decide([]) == []


def test_equal_code_passes_on_three_launches() -> None:
    decision = decide([series()])[0]
    assert (decision.state, decision.more, decision.reason) == ("pass", "", "")
    assert isinstance(decision.interval, Interval)
    assert isinstance(decision.interval.high, float)
    assert -0.01 < decision.interval.point < decision.interval.high < 0.025


def test_an_improvement_is_a_pass_that_says_so() -> None:
    decision = decide([series(shifted(QUIET, -0.2))])[0]
    assert decision.state == "pass"
    assert decision.reason.startswith("faster: -18.")


def test_slower_in_the_screening_is_a_candidate_only() -> None:
    decision = decide([series(SLOW)])[0]
    assert (decision.state, decision.more) == ("inconclusive", "confirmation")
    assert decision.reason.startswith("slower: 3.0")


def test_a_confirmed_slow_down_fails() -> None:
    decision = decide([confirmed(series(SLOW), SLOW)])[0]
    assert (decision.state, decision.more) == ("fail", "")
    assert "margin 1.00%" in decision.reason


def test_fresh_launches_alone_decide() -> None:
    decision = decide([confirmed(series(SLOW), QUIET)])[0]
    assert decision.state == "pass"
    assert decision.reason == "fresh launches did not confirm what the screening showed"


def test_between_the_bounds_asks_for_launches_until_the_most() -> None:
    assert judged(series(shifted(QUIET, 0.011))) == ("pass", "")
    between = (0.005, 0.026, 0.017)
    assert judged(series(between, QUIET, SEEN)) == ("inconclusive", "launches")
    wide = tuple(0.015 + (0.03 if number % 2 else -0.03) for number in range(MOST_LAUNCHES))
    many = [tuple(np.resize(each, MOST_LAUNCHES)) for each in (QUIET, SEEN)]
    assert judged(series(wide[:-1], *many)) == ("inconclusive", "launches")
    assert judged(series(wide, *many)) == ("inconclusive", "")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_launches_are_no_verdict(count: int) -> None:
    decision = decide([series(SLOW[:count], QUIET[:count], SEEN[:count])])[0]
    assert (decision.state, decision.more) == ("inconclusive", "launches")
    assert isinstance(decision.interval, Absent)
    assert judged(confirmed(series(SLOW), SLOW[:count], QUIET[:count], SEEN[:count]))[1] == "confirmation"


def test_without_controls_there_is_no_verdict() -> None:
    assert judged(series(injected=())) == ("inconclusive", "launches")
    assert judged(series(copy=QUIET[:2])) == ("inconclusive", "launches")
    assert judged(confirmed(series(SLOW), SLOW, injected=())) == ("inconclusive", "confirmation")


def test_a_slow_down_that_is_injected_and_not_seen_is_never_a_pass() -> None:
    decision = decide([series(injected=shifted(QUIET, 0.01))])[0]
    assert (decision.state, decision.more) == ("inconclusive", "launches")
    assert "an injected slow-down of 5.00% was not seen" in decision.reason


@pytest.mark.parametrize("by", [0.04, -0.04])
def test_a_copy_that_differs_is_confirmed_then_invalid(by: float) -> None:
    off = shifted(QUIET, by)
    assert judged(series(copy=off)) == ("inconclusive", "confirmation")
    assert judged(confirmed(series(copy=off), QUIET, copy=off)) == ("invalid", "")
    assert judged(confirmed(series(copy=off), SLOW, copy=off)) == ("invalid", "")


def test_a_copy_that_differs_in_the_confirmation_alone_is_not_confirmed() -> None:
    assert judged(confirmed(series(SLOW), SLOW, copy=shifted(QUIET, 0.04))) == ("inconclusive", "confirmation")


def test_one_wild_launch_of_three_is_neither_fail_nor_pass_and_a_fourth_decides() -> None:
    for wild in (0.05, 0.1, 0.19, -0.1):
        assert judged(series((0.001, wild, -0.002))) == ("inconclusive", "launches")
        four = (0.001, wild, -0.002, 0.0015)
        assert judged(series(four, (*QUIET, 0.0), (*SEEN, 0.05))) == ("pass", "")
        slow = shifted(QUIET, 0.05)
        assert judged(series((slow[0], wild - 0.1, slow[2])))[0] == "inconclusive"


def test_one_wild_base_is_set_aside_in_all_three_lanes() -> None:
    wild = (0.0, 0.0, 0.0, -0.12)
    head, copy, injected = (tuple(np.add(values, wild)) for values in ((*SLOW, 0.03), (*QUIET, 0.0), (*SEEN, 0.05)))
    assert judged(series(head, copy, injected)) == ("inconclusive", "confirmation")
    assert judged(confirmed(series(SLOW), head, copy, injected)) == ("fail", "")


def test_half_of_the_launches_wild_is_a_property_of_the_code_not_noise() -> None:
    head = (0.0, 0.1, 0.001, 0.101, -0.001, 0.099)
    screened = series(head, QUIET * 2, SEEN * 2)
    assert judged(screened) == ("inconclusive", "confirmation")
    assert judged(confirmed(screened, head, QUIET * 2, SEEN * 2)) == ("inconclusive", "confirmation")


def test_equal_bytes_are_not_infinitely_sure() -> None:
    same = (0.0, 0.0, 0.0)
    decision = decide([series(same, same, (math.log(1.05),) * 3, metric="peak_bytes")])[0]
    assert decision.state == "pass"
    assert isinstance(decision.interval, Interval)
    assert decision.interval.low is not None
    assert decision.interval.low < -0.0005
    assert judged(series(shifted(same, 0.0099), same, (math.log(1.05),) * 3, metric="peak_bytes")) == ("pass", "")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("lane", ["head", "copy", "injected", "fresh", "fresh_copy"])
def test_what_has_no_ratio_is_inconclusive_and_more_launches_do_not_help(lane: str, value: float) -> None:
    decision = decide([replace(confirmed(series(), QUIET), **{lane: (0.0, value, 0.0)})])[0]
    assert (decision.state, decision.more) == ("inconclusive", "")
    assert "there is no ratio" in decision.reason


def test_a_noisy_row_does_not_hide_in_a_quiet_pool() -> None:
    quiet = [series(key=("c", str(number), "x", "{}")) for number in range(10)]
    noisy = series((-0.06, 0.0, 0.06))
    assert [decision.state for decision in decide([*quiet, noisy])] == ["pass"] * 10 + ["inconclusive"]


def test_classes_do_not_lend_their_spread() -> None:
    wild = series((-0.1, 0.0, 0.1), (-0.1, 0.0, 0.1), (-0.1, 0.0, 0.1))
    for other in ({"clock": "wall"}, {"seconds": 1.0}, {"metric": "load_seconds"}, {"metric": "latency_p50_seconds"}):
        assert decide([series(), replace(wild, **other)])[0] == decide([series()])[0]
    assert [duration_class(seconds) for seconds in (1e-5, 1e-4, 1e-3, 1e-2, 10)] == [0, 1, 1, 2, 2]


def test_of_many_rows_those_that_are_surely_slow_are_candidates() -> None:
    rows = [series(shifted(QUIET, 0.05 if number < 5 else 0.0), key=("c", str(number), "x", "{}")) for number in range(50)]
    assert [decision.more for decision in decide(rows)] == ["confirmation"] * 5 + [""] * 45


def test_a_profile_moves_the_margin() -> None:
    slow = confirmed(series(SLOW, injected=shifted(SEEN, 0.05)), SLOW, injected=shifted(SEEN, 0.05))
    assert judged(slow, Margins({"default": Margin(0.04, 0.05)})) == ("pass", "")
    assert judged(slow, Margins({"seconds_per_call": Margin(0.04, 0.05)})) == ("pass", "")
    assert judged(slow, Margins({"rtf": Margin(0.04, 0.05)})) == ("fail", "")


def test_what_is_injected_can_be_seen_for_every_metric() -> None:
    for metric in METRICS:
        bound = Margins().of(metric)
        assert 0.01 <= bound.fail_above < bound.pass_below < bound.injected
        assert 0 < bound.least_spread < bound.fail_above
    steady, once = Margins().of("seconds_per_call"), Margins().of("load_seconds")
    assert (steady.fail_above, steady.pass_below, steady.injected) == (0.01, 0.025, 0.05)
    assert once.fail_above == pytest.approx(0.1)


LOGS = st.floats(-0.2, 0.2)
THREE = st.lists(LOGS, min_size=3, max_size=6)
EFFECT = st.floats(0.0, 0.5)
ANY = st.builds(series, THREE, THREE, st.one_of(THREE, st.just(SEEN)))
RANK = {"pass": 0, "inconclusive": 1, "fail": 2}


@given(ANY, EFFECT)
def test_a_slow_down_more_never_turns_fail_into_pass(one: Series, effect: float) -> None:
    one = confirmed(one, one.head, one.copy, one.injected)
    slower = replace(one, fresh=shifted(one.fresh, effect))
    before, after = judged(one)[0], judged(slower)[0]
    assert before == after == "invalid" or RANK[before] <= RANK[after]


@given(st.lists(ANY, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_series_and_launches_is_nothing(many: list[Series], random: Any) -> None:
    order = random.sample(range(len(many)), len(many))

    def mixed(one: Series) -> Series:
        return replace(one, **{name: tuple(random.sample(getattr(one, name), len(getattr(one, name)))) for name in ("head", "copy")})

    found, other = decide(many), decide([mixed(many[number]) for number in order])
    for number, decision in zip(order, other, strict=True):
        assert (decision.state, decision.more) == (found[number].state, found[number].more)
        assert decision.interval == _close(found[number].interval)


def _close(value: Any) -> Any:
    return Interval(*(pytest.approx(v, abs=1e-9) for v in (value.point, value.low, value.high)), value.n)


@given(ANY, st.booleans())
def test_a_pass_keeps_what_it_says(one: Series, fresh: bool) -> None:
    one = confirmed(one, one.head, one.copy, one.injected) if fresh else one
    decision = decide([one])[0]
    assert isinstance(decision.interval, Interval)
    assert decision.interval.low is not None
    assert decision.interval.high is not None
    assert decision.interval.low < decision.interval.point < decision.interval.high
    if decision.state == "pass":
        assert decision.interval.high < 0.025
        assert isinstance(decision.injected, Interval)
        assert isinstance(decision.injected.low, float)
        assert decision.injected.low > 0.01
        assert decision.more == ""
    if decision.state == "fail":
        assert fresh
        assert decision.interval.low > 0.01
    assert (decision.state == "inconclusive") or decision.more == ""


@given(ANY, THREE)
def test_a_slow_down_that_is_not_seen_never_passes(one: Series, injected: list[float]) -> None:
    assert judged(replace(one, injected=shifted(injected, -stats.median(injected))))[0] != "pass"


@given(ANY, st.floats(0.02, 0.5), st.sampled_from([1, -1]))
def test_a_copy_that_surely_differs_never_passes(one: Series, by: float, sign: int) -> None:
    decision = decide([replace(one, copy=(sign * by,) * 3)])[0]
    assert isinstance(decision.copy, Interval)
    low, high = decision.copy.low, decision.copy.high
    assert low is not None
    assert high is not None
    if low > 0.01 or high < -0.01:
        assert decision.state != "pass"


# Simulation: workers whose launches vary by `spread`, of which `wild` are off by 5 to 19 %.

Lanes = Callable[[np.random.Generator], np.ndarray]


def lanes(spread: float, wild: float = 0.02) -> Lanes:
    """Log-times of base, head, copy and injected in one launch; the ratio of two of them varies by `spread`."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        off = rng.uniform(math.log(1.05), math.log(1.19), 4) * rng.choice([-1, 1], 4) * (rng.random(4) < wild)
        return rng.normal(0, spread / math.sqrt(2), 4) + off

    return draw


def session(draw: Lanes, rng: np.random.Generator, effects: Sequence[float]) -> tuple[list[Decision], list[int]]:
    """A gate over one row for each effect, driven to its end; the launches each row took."""
    rows = [series((), (), (), key=("c", str(number), "x", "{}")) for number in range(len(effects))]

    def launch(row: int, fresh: bool) -> None:
        base, head, copy, injected = draw(rng)
        values = (head - base + math.log1p(effects[row]), copy - base, injected - base + math.log(1.05))
        names = ("fresh", "fresh_copy", "fresh_injected") if fresh else ("head", "copy", "injected")
        rows[row] = replace(rows[row], **{n: (*getattr(rows[row], n), v) for n, v in zip(names, values, strict=True)})

    while wanted := [(row, decision.more) for row, decision in enumerate(decide(rows)) if decision.more]:
        for row, more in wanted:
            for _ in range(1 if (rows[row].fresh if more == "confirmation" else rows[row].head) else 3):
                launch(row, more == "confirmation")
    return decide(rows), [len(row.head) + len(row.fresh) for row in rows]


def rates(draw: Lanes, effect: float, *, verdicts: int, rows: int = 1, seed: int = 0) -> tuple[dict[str, int], list[int]]:
    """How often each state was found, and the launches of each verdict."""
    rng, states, launches = np.random.default_rng(seed), [], []
    for _ in range(verdicts // rows):
        decisions, counts = session(draw, rng, [effect] * rows)
        states += [decision.state for decision in decisions]
        launches += counts
    return {state: states.count(state) for state in ("pass", "fail", "inconclusive", "invalid")}, launches


@pytest.mark.parametrize("rows", [1, 20])
def test_error_rates(rows: int) -> None:
    same, launches = rates(lanes(0.007), 0.0, verdicts=200, rows=rows)
    assert same["fail"] == same["invalid"] == 0
    assert same["pass"] >= 195
    assert np.median(launches) == 3
    slow, launches = rates(lanes(0.007), 0.03, verdicts=100, rows=rows)
    assert slow["fail"] >= 97
    assert np.median(launches) == 6
    assert rates(lanes(0.007), 0.05, verdicts=100, rows=rows)[0]["fail"] == 100
    assert rates(lanes(0.04, wild=0.05), 0.05, verdicts=60, rows=rows)[0]["pass"] == 0
    assert rates(lanes(0.04, wild=0.05), 0.0, verdicts=60, rows=rows)[0]["fail"] == 0


def tail_rates(effect: float, verdicts: int = 150) -> dict[str, int]:
    """As `rates`, of the 99 % latency, by what was measured of equal workers: 6 to 10 % in half of the launches, wild ones far more."""
    bound, rng, states = Margins().of("latency_p99_seconds"), np.random.default_rng(3), []
    for _ in range(verdicts):
        one = series((), (), (), metric="latency_p99_seconds", clock="wall")
        while more := decide([one])[0].more:
            fresh = more == "confirmation"
            names = ("fresh", "fresh_copy", "fresh_injected") if fresh else ("head", "copy", "injected")
            for _ in range(1 if getattr(one, names[0]) else 3):
                base, *lanes = rng.normal(0.0, 0.08, 4) + (rng.random(4) < 0.05) * rng.exponential(0.5, 4)
                effects = (math.log1p(effect), 0.0, math.log1p(bound.injected))
                values = [lane - base + by for lane, by in zip(lanes, effects, strict=True)]
                one = replace(one, **{n: (*getattr(one, n), v) for n, v in zip(names, values, strict=True)})
        states.append(decide([one])[0].state)
    return {state: states.count(state) for state in ("pass", "fail", "inconclusive", "invalid")}


def test_error_rates_of_the_tail() -> None:
    same = tail_rates(0.0)
    assert same["fail"] == 0
    assert same["pass"] >= 140
    assert tail_rates(1.0)["fail"] >= 140
    assert tail_rates(1.0)["pass"] == 0


@pytest.mark.long
@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize(("spread", "wild"), [(0.003, 0.02), (0.007, 0.02), (0.01, 0.02), (0.02, 0.05), (0.05, 0.05)])
def test_table_of_error_rates(spread: float, wild: float, rows: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The requirements on the gate, 600 verdicts a cell; up to 1 % is a quiet machine on the CPU clock, above a busy one."""
    for effect in (0.0, 0.03, 0.05, 0.1):
        found, launches = rates(lanes(spread, wild), effect, verdicts=600, rows=rows, seed=1)
        shares = {state: stats.proportion(count, 600) for state, count in found.items()}
        words = ", ".join(f"{state} {share.point:.1%} [{share.low:.1%}, {share.high:.1%}]" for state, share in shares.items())
        with capsys.disabled():
            print(f"\n{rows} rows, launches vary by {spread:.1%}, {wild:.0%} wild, {effect:.0%} slower: {words};", end=" ")
            print(f"launches: median {np.median(launches):.0f}, mean {np.mean(launches):.1f}", end="")
        quiet = spread <= 0.01
        if effect == 0:
            assert found["fail"] <= (0 if quiet else 6)
            assert found["pass"] >= (570 if quiet else 0)
        if quiet and effect:
            assert found["fail"] >= (570 if effect < 0.05 else 600)
        if effect >= 0.05:
            assert found["pass"] == 0
