"""Verdicts, pure: what follows from a plan, its records and the targets.

Every planned row on every case answers up to four questions: did it run as planned, is it the same as the reference, does it
meet its targets, did it regress (answered by the gate alone). Each answer is pass, fail, inconclusive or invalid; a row without
targets says `no target`. What was planned and left no record is never green.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.installed import Installed
from harness.metrics import SPEEDUP, Absent, Key, Value, about, floor_value, key, metrics_of, rejected_share, speedups
from harness.parity import ParityResult
from harness.record import Build, Floor, Plan, Planned, Record
from harness.targets import Target, in_force

State = Literal["pass", "fail", "inconclusive", "invalid", "no target"]
Question = Literal["run", "parity", "target", "regression", "realtime"]

MOST_REJECTED = 0.5
"""With more blocks than this spoiled by noise, the quiet rest is no fair sample."""

_WORST: tuple[State, ...] = ("invalid", "fail", "inconclusive", "no target", "pass")


@dataclass(frozen=True)
class Answer:
    """The answer to one question about one row on one case.

    message: one sentence that says why; empty for a plain pass. value: what was judged. limit: the bound of a target, or the
    margin of a regression (then value is the slow-down of head over base). notes: what to know beside the state (`unreachable: ...`).
    """

    question: Question
    state: State
    message: str = ""
    metric: str = ""
    value: Value | None = None
    limit: float | None = None
    target: Target | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """All that is known of one row on one case.

    launches: how many measured it. missing: fewer than planned left a record. metrics: times are absent where parity did not
    pass. parity: the results per output of the first launch that failed, else of the last. notes: what its launches had to say
    beside what they measured (child processes that work for it, a process that did not end well).
    """

    planned: Planned
    answers: tuple[Answer, ...]
    metrics: Mapping[str, Value] = field(default_factory=dict)
    parity: tuple[ParityResult, ...] = ()
    launches: int = 0
    missing: bool = False
    unit: str = ""
    build: Build | None = None
    floor: Floor | None = None
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The worst of its answers."""
        return min((answer.state for answer in self.answers), key=_WORST.index)

    def of(self, question: Question) -> tuple[Answer, ...]:
        """The answers to one question."""
        return tuple(answer for answer in self.answers if answer.question == question)

    @property
    def judged(self) -> tuple[Answer, ...]:
        """The answers that the session answers for: an outside peer's own parity or crash is information, a bound set on it is not."""
        return tuple(a for a in self.answers if self.planned.role != "peer" or a.question in ("target", "regression"))


@dataclass(frozen=True)
class Problem:
    """What is wrong with the session as a whole."""

    state: Literal["invalid", "missing"]
    message: str


@dataclass(frozen=True)
class Verdicts:
    """The outcome of a session. notes: what was not judged, and why."""

    plan: Plan | None
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def judge(
    plan: Plan | None,
    records: Iterable[Record],
    targets: Iterable[Target],
    profiles: Sequence[str],
    *,
    machine: str,
    rejudge: bool = False,
    installed: Installed | None = None,
) -> Verdicts:
    """The verdicts of one session.

    profiles: the chosen profile and those it extends, most specific first. machine: the identity of this machine; records of
    another one are refused unless `rejudge`. installed: what an old session is held against, None for one that was measured by
    what is installed.
    """
    if plan is None:
        return Verdicts(None, (), (Problem("missing", "the session has no plan: what it set out to measure is unknown; run it again"),))
    records = sorted((r for r in records if not r.control), key=lambda r: (key(r), r.launch))
    foreign = sorted({plan.machine, *(record.machine for record in records)} - {machine})
    if foreign and not rejudge:
        return Verdicts(plan, (), (Problem("invalid", _foreign(foreign, machine)),))
    series: dict[Key, list[Record]] = {key(item): [] for item in plan.planned}
    own = [record for record in records if record.session == plan.session]
    for record in own:
        series.setdefault(key(record), []).append(record)
    ratios, bounds = speedups(own), in_force(targets, profiles)
    rows = tuple(_row(item, series[key(item)], ratios.get(key(item), {}), bounds, installed) for item in plan.planned)
    notes = (*unjudged(plan, bounds), *_unplanned(plan, records), *_devices(own), *(installed.notes(plan, own) if installed else ()))
    return Verdicts(plan, rows, _problems(plan, series), notes)


def exit_code(verdicts: Verdicts) -> int:
    """0 pass, 1 fail, 3 inconclusive, 4 invalid, 5 nothing or less than planned was measured."""
    states = {answer.state for row in verdicts.rows for answer in row.judged}
    problems = {problem.state for problem in verdicts.problems}
    if "invalid" in states | problems:
        return 4
    if "fail" in states:
        return 1
    if not verdicts.rows or "missing" in problems or any(row.missing for row in verdicts.rows):
        return 5
    return 3 if "inconclusive" in states else 0


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


def _row(
    item: Planned, records: Sequence[Record], ratios: Mapping[str, Value], targets: Sequence[Target], installed: Installed | None
) -> Row:
    outdated = installed and _outdated(item, records, installed)
    ran, missing = outdated or _ran(item, records)
    same = _same(item, records)
    measured = [record for record in records if record.outcome.kind == "measured"]
    metrics: dict[str, Value] = {**metrics_of(records), **ratios}
    # A wrong result has no time: that a peer computes something else is information, and so is its time.
    if item.role == "optimized" and same.state != "pass":
        metrics = {name: Absent("withheld: parity did not pass") if about(name).time else value for name, value in metrics.items()}
    mine = [target for target in targets if applies(target, item)]
    stopped = "it did not run as planned" if ran.state in ("fail", "invalid") or not measured else ""
    stopped = "it is not what is installed now" if outdated else stopped
    wrong = "parity did not pass" if item.role != "peer" and same.state != "pass" else ""
    judged = tuple(_target(target, metrics, measured, stopped=stopped, wrong=wrong) for target in mine)
    first = measured[0] if measured else None
    wanting = [record.parity for record in records if not all(result.passed for result in record.parity)]
    shown = [*wanting, *reversed([record.parity for record in records if record.parity]), ()]
    return Row(
        item, (ran, same, *(judged or (Answer("target", "no target"),))), metrics, shown[0], len({r.launch for r in measured}), missing,
        first.unit if first else "", first.build if first else None, first.floor if first else None, _noted(records),
    )  # fmt: skip


def _noted(records: Sequence[Record]) -> tuple[str, ...]:
    """What the launches noted, once each."""
    given = [record.state.get("notes") for record in records]
    return tuple(dict.fromkeys(str(note) for notes in given if isinstance(notes, list | tuple) for note in notes))


def _outdated(item: Planned, records: Sequence[Record], installed: Installed) -> tuple[Answer, bool] | None:
    """As _ran, where the records say nothing of what is installed now."""
    contract = installed.other_contract(item.component, {record.contract for record in records})
    if other := contract or installed.other_bounds(item.component, records):
        return Answer("run", "invalid", f"{other}; measure again with `harness run {item.component}`"), False
    if gone := installed.gone(item):
        return Answer("run", "inconclusive", gone), item.role != "peer"
    return None


def _ran(item: Planned, records: Sequence[Record]) -> tuple[Answer, bool]:
    """Whether it ran as planned, and whether less than planned was measured."""
    failed = [r for r in records if r.outcome.kind not in ("measured", "unavailable")]
    if failed:
        how = failed[0].outcome
        return Answer("run", "fail", f"{how.kind} in launch {failed[0].launch + 1}: {how.message}".rstrip(": ")), False
    if len({(r.contract, r.build) for r in records}) > 1:
        return Answer("run", "invalid", "its launches ran different builds or contracts: nothing of them belongs together"), False
    numbers = [r.launch for r in records]
    if len(set(numbers)) < len(numbers):
        return Answer("run", "invalid", f"a launch is recorded twice (launches {sorted(n + 1 for n in numbers)})"), False
    gone = [r for r in records if r.outcome.kind == "unavailable"]
    if gone:
        return Answer("run", "inconclusive", f"planned, then unavailable: {gone[0].outcome.message}".rstrip(": ")), item.role != "peer"
    # What is wrong or broken is not launched again; of everything else each launch is owed.
    wrong = any(not result.passed for record in records for result in record.parity)
    if len(numbers) < item.launches and not wrong:
        return Answer("run", "inconclusive", f"less than planned: {len(numbers)} of {item.launches} launches left a record"), True
    return Answer("run", "pass"), False


def _same(item: Planned, records: Sequence[Record]) -> Answer:
    results = [result for record in records for result in record.parity]
    for result in results:
        if not result.passed:
            return Answer("parity", "fail", result.message or f"{result.output}: allowed {result.allowed}")
    if not any(record.outcome.kind == "measured" for record in records):
        return Answer("parity", "inconclusive", "nothing was measured")
    if item.role != "reference" and any(record.outcome.kind == "measured" and not record.parity for record in records):
        return Answer("parity", "inconclusive", "a launch was compared with nothing: its times are not judged")
    return Answer("parity", "pass")


def _target(target: Target, metrics: Mapping[str, Value], records: Sequence[Record], *, stopped: str, wrong: str) -> Answer:
    metric = target.metric
    value = metrics.get(metric) or Absent(_why_absent(metric, bool(records)))
    why = stopped or (wrong if about(metric).time else "") or _noise(metric, records)
    answer = answer_target(target, value, unjudged=why, floor=floor_value(metric, records))
    ceilings = [record.floor.ceiling for record in records if record.floor]
    return replace(answer, notes=(*answer.notes, f"the ceiling is {ceilings[-1]}")) if answer.notes and ceilings else answer


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


def applies(target: Target, item: Planned) -> bool:
    """Whether a target bounds this row on this case."""
    if target.component != item.component or target.case not in (None, item.case):
        return False
    if any(_plain(item.settings.get(name)) != _plain(value) for name, value in target.settings.items()):
        return False
    # Another contract on purpose is bounded only by who names the settings that make it.
    if not item.exact and not (item.variant.keys() <= target.settings.keys()):
        return False
    return item.role == "optimized" if target.implementation is None else target.implementation == item.implementation


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _foreign(found: Sequence[str], here: str) -> str:
    return (
        f"records of another machine ({', '.join(found)}) cannot be judged on this one ({here}): "
        "measure here with `harness run`, or judge them under their own profile with `harness judge --profile NAME`"
    )


def _problems(plan: Plan, series: Mapping[Key, Sequence[Record]]) -> tuple[Problem, ...]:
    if not plan.planned:
        return (Problem("missing", "nothing was planned: no implementation and case matches what was asked for, or none is available"),)
    found = broken(plan)
    if plan.unavailable and not any(item.role == "optimized" for item in plan.planned):
        gone = "; ".join(f"{item.component}.{item.implementation}: {item.reason}" for item in plan.unavailable)
        found.append(Problem("missing", f"no optimized implementation can be measured here ({gone})"))
    if not any(record.outcome.kind == "measured" for item in plan.planned for record in series[key(item)]):
        found.append(Problem("missing", "nothing was measured: no launch of the session ended well"))
    return tuple(found)


def broken(plan: Plan) -> list[Problem]:
    """Plugins that raise: unavailable is a fact about the machine, this is code that was to be measured and cannot be."""
    return [
        Problem("missing", f"{f'{item.component}.{item.implementation}'.rstrip('.')}: {item.reason}; repair or uninstall it")
        for item in plan.unavailable
        if item.broken
    ]


def unjudged(plan: Plan, targets: Iterable[Target]) -> list[str]:
    """Targets of planned components that no planned row answers to, each with the reason."""
    components = {item.component for item in plan.planned}
    notes = []
    for target in targets:
        if target.component in components and not any(applies(target, item) for item in plan.planned):
            reasons = [
                item.reason
                for item in (*plan.unavailable, *plan.left_out)
                if item.component == target.component
                and target.implementation in (None, item.implementation)
                and (target.case is None or item.case in ("", target.case))
            ]
            reason = reasons[0] if reasons else "no planned row has its case, implementation and settings"
            notes.append(f"target not judged: {target.component} {target.words} ({target.origin}): {reason}")
    return notes


def _devices(records: Iterable[Record]) -> list[str]:
    """Which rows are timed until a device has finished, and how."""
    names: dict[str, dict[str, None]] = {}
    for record in records:
        if record.clock in _DEVICE_CLOCKS:
            names.setdefault(record.clock, {})[f"{record.component}.{record.row}"] = None
    return [f"{_DEVICE_CLOCKS[clock]}: {', '.join(of)}" for clock, of in names.items()]


_DEVICE_CLOCKS = {
    "cuda": "timed by events of the GPU, until all its streams have finished (a busy host that wakes up late does not count)",
    "mlx": "timed on the wall clock until MLX has finished (its work is queued, and processor time does not show it)",
    "mps": "timed on the wall clock until the GPU has finished (its work is queued, and processor time does not show it)",
}


def _unplanned(plan: Plan, records: Iterable[Record]) -> list[str]:
    expected = {key(item) for item in plan.planned}
    extra = sorted({(r.component, r.row, r.case) for r in records if key(r) not in expected or r.session != plan.session})
    return [f"not in the plan, not judged: {component} {row} on {case}" for component, row, case in extra]
