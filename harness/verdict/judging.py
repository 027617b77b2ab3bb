"""From a plan, its records and the targets to verdicts, pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.installed import Installed
from harness.metrics import Absent, Key, Value, about, key, metrics_of, speedups
from harness.record import Plan, Planned, Record
from harness.targets import Target, in_force
from harness.verdict import bounds
from harness.verdict.answers import Answer, Problem, Row, Verdicts


def judge(
    plan: Plan | None,
    records: Iterable[Record],
    targets: Iterable[Target] | None,
    profiles: Sequence[str],
    *,
    machine: str,
    rejudge: bool = False,
    installed: Installed | None = None,
) -> Verdicts:
    """The verdicts of one session.

    targets: None where nobody asks about bounds (parity alone). profiles: the chosen profile and those it extends, most specific
    first. machine: the identity of this machine; records of another one are refused unless `rejudge`. installed: what an old
    session is held against, None for one that was measured by what is installed.
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
    ratios, mine = speedups(own), None if targets is None else in_force(targets, profiles)
    guests = _guests(own)
    rows = tuple(
        _row(item, series[key(item)], ratios.get(key(item), {}), mine, installed, guest=key(item) in guests) for item in plan.planned
    )
    unjudged, then = bounds.unjudged(plan, mine or ()), installed.notes(plan, own) if installed else ()
    notes = (*unjudged, *_unplanned(plan, records), *_devices(own), *then)
    return Verdicts(plan, rows, _problems(plan, series), notes)


def _guests(records: Iterable[Record]) -> set[Key]:
    """What ran only in processes that another case of the same row had started: they made its first call, there it is known."""
    fresh = {key(record): False for record in records if record.outcome.kind == "measured"}
    fresh |= {key(record): True for record in records if record.samples.cold is not None}
    hosts = {(component, row, settings) for (component, row, _, settings), own in fresh.items() if own}
    return {of for of, own in fresh.items() if not own and (of[0], of[1], of[3]) in hosts}


def _row(
    item: Planned,
    records: Sequence[Record],
    ratios: Mapping[str, Value],
    targets: Sequence[Target] | None,
    installed: Installed | None,
    *,
    guest: bool,
) -> Row:
    """guest: it ran in processes that another case had started (`_guests`), which is where bounds on processes are judged."""
    outdated = installed and _outdated(item, records, installed)
    ran, missing = outdated or _ran(item, records)
    same = _same(item, records)
    measured = [record for record in records if record.outcome.kind == "measured"]
    metrics: dict[str, Value] = {**metrics_of(records), **ratios}
    # A wrong result has no time: that a peer computes something else is information, and so is its time.
    if item.role == "optimized" and same.state != "pass":
        metrics = {name: Absent("withheld: parity did not pass") if about(name).time else value for name, value in metrics.items()}
    mine = [target for target in targets or () if bounds.applies(target, item)]
    elsewhere = [target for target in mine if guest and target.case is None and target.metric in bounds.OF_A_PROCESS]
    mine = [target for target in mine if target not in elsewhere]
    stopped = "it did not run as planned" if ran.state in ("fail", "invalid") or not measured else ""
    stopped = "it is not what is installed now" if outdated else stopped
    wrong = "parity did not pass" if item.role != "peer" and same.state != "pass" else ""
    judged = tuple(bounds.of_row(target, metrics, measured, stopped=stopped, wrong=wrong) for target in mine)
    unbounded = () if targets is None else (Answer("target", "no target"),)
    first = measured[0] if measured else None
    wanting = [record.parity for record in records if not all(result.passed for result in record.parity)]
    shown = [*wanting, *reversed([record.parity for record in records if record.parity]), ()]
    return Row(
        item, (ran, same, *(judged or unbounded)), metrics, shown[0], len({r.launch for r in measured}), missing,
        first.unit if first else "", first.build if first else None, first.floor if first else None,
        (*_noted(records), *(f"{target.words} is judged on the case that had a process of its own" for target in elsewhere)),
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
