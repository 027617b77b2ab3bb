"""Targets over rows: which of them bound a row, whether it is within them, and which of them nothing answers to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.metrics import SPEEDUP, Absent, Value, about, floor_value, rejected_share
from harness.record import LeftOut, Plan, Planned, Record
from harness.settings import same
from harness.targets import Target
from harness.verdict.answers import Answer, State

MOST_REJECTED = 0.5
"""With more blocks than this spoiled by noise, the quiet rest is no fair sample."""

OF_A_PROCESS = ("cold_seconds", "peak_bytes", "growth_bytes")
"""What only a process can tell that was started for the case."""


def applies(target: Target, item: Planned) -> bool:
    """Whether a target bounds this row on this case."""
    if target.component != item.component or target.case not in (None, item.case):
        return False
    if any(not same(item.settings.get(name), value) for name, value in target.settings.items()):
        return False
    # Another contract on purpose is bounded only by who names the settings that make it.
    if not item.exact and not (item.variant.keys() <= target.settings.keys()):
        return False
    return item.role == "optimized" if target.implementation is None else target.implementation == item.implementation


def answer_target(target: Target, value: Value, *, unjudged: str = "", floor: float | None = None) -> Answer:
    """Is the value within the bound, at the unfavourable end of its interval?

    unjudged: why it cannot be judged (noise, no parity), empty when it can. floor: the best value this machine allows.
    pass: the whole interval is within the bound; fail: none of it is; between, or without an interval: inconclusive.
    """

    def answer(state: State, message: str = "", notes: tuple[str, ...] = ()) -> Answer:
        return Answer("target", state, message, target.metric, value, target.bound, target, notes)

    if unjudged:
        return answer("inconclusive", f"{target.words}: not judged: {unjudged}")
    if isinstance(value, Absent):
        return answer("inconclusive", f"{target.words}: not measured: {value.reason}")
    if value.low is None or value.high is None:
        return answer("inconclusive", f"{target.words}: found {value.point:.4g} without an interval: {value.reason}")
    less = target.at_most is not None
    worst, best = (value.high, value.low) if less else (value.low, value.high)
    if (worst <= target.bound) if less else (worst >= target.bound):
        return answer("pass")
    found = f"{target.words}: found {value.point:.4g} [{value.low:.4g}, {value.high:.4g}]"
    if (best <= target.bound) if less else (best >= target.bound):
        return answer("inconclusive", f"{found}: the bound lies inside the interval of {value.n} launches; measure more of them")
    beyond = floor is not None and ((floor > target.bound) if less else (floor < target.bound))
    notes = (f"unreachable: this machine allows {floor:.4g} at best",) if beyond else ()
    return answer("fail", f"{found} ({target.kind}: {target.source}; bound set in {target.origin})", notes)


def of_row(target: Target, metrics: Mapping[str, Value], records: Sequence[Record], *, stopped: str = "", wrong: str = "") -> Answer:
    """The answer of a row that a target bounds. stopped: why nothing of it can be judged; wrong: why no time of it can."""
    metric = target.metric
    value = metrics.get(metric) or Absent(_why_absent(metric, bool(records)))
    why = stopped or (wrong if about(metric).time else "") or _noise(metric, records)
    floor = _best_speedup(value, metrics) if metric.startswith(SPEEDUP) else floor_value(metric, records)
    answer = answer_target(target, value, unjudged=why, floor=floor)
    ceilings = [record.floor.ceiling for record in records if record.floor]
    return replace(answer, notes=(*answer.notes, f"the ceiling is {ceilings[-1]}")) if answer.notes and ceilings else answer


def _best_speedup(found: Value, metrics: Mapping[str, Value]) -> float | None:
    """How many times as fast as that peer the row would be at the machine's limit; None where its share of that is not known."""
    share = metrics.get("limit_share", Absent(""))
    if isinstance(found, Absent) or isinstance(share, Absent) or found.high is None or not share.low:
        return None
    return found.high / min(share.low, 1.0)


def _why_absent(metric: str, ran: bool) -> str:
    if ran and metric.startswith(SPEEDUP):
        return f"{metric.removeprefix(SPEEDUP)} was not measured on this case under these settings"
    return "no launch measured it on this case"


def _noise(metric: str, records: Sequence[Record]) -> str:
    """Why noise forbids to judge this metric, or nothing: a busy machine spoils times, and with most rounds rejected also ratios."""
    kind = about(metric).noise
    if not kind:
        return ""
    rejected = rejected_share([block for record in records for block in record.samples.blocks])
    if rejected > MOST_REJECTED:
        return f"the machine was busy: {rejected:.0%} of the blocks were rejected"
    busy = [str(record.state["busy"]) for record in records if record.state.get("busy")]
    return f"the machine was busy: {busy[0]}" if busy and kind == "absolute" else ""


def unjudged(plan: Plan, targets: Iterable[Target]) -> list[str]:
    """Targets of planned components that no planned row answers to, with the reason; those that share one in a line."""
    components = {item.component for item in plan.planned}
    found: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        if target.component in components and not any(applies(target, item) for item in plan.planned):
            reasons = [item.reason for item in (*plan.unavailable, *plan.left_out) if _keeps_from(item, target)]
            found.setdefault((target.component, (*reasons, "")[0]), []).append(target)
    return [_unanswered(component, reason, of) for (component, reason), of in found.items()]


def _keeps_from(item: LeftOut, target: Target) -> bool:
    """Whether a target cannot be judged for what is left out; a case left out whole says nothing about a target of any case."""
    if item.component != target.component:
        return False
    if not item.implementation:
        return item.case in ("", target.case)
    return target.implementation in (None, item.implementation) and (target.case is None or item.case in ("", target.case))


def _unanswered(component: str, reason: str, targets: Sequence[Target]) -> str:
    if len(targets) == 1:
        why = reason or "no planned row has its case, implementation and settings"
        return f"target not judged: {component} {targets[0].words} ({targets[0].origin}): {why}"
    words = ", ".join(dict.fromkeys(target.words for target in targets))
    why = reason or "no planned row has their case, implementation and settings"
    return f"{len(targets)} targets of {component} not judged: {words}: {why}"
