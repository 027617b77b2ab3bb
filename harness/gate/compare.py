"""From the records of a gate's launches to the log-ratios that are decided on, and from decisions to verdicts; pure."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from harness import metrics, stats
from harness.gate.decide import LAUNCHES, Decision, Series
from harness.gate.margins import kind_of
from harness.gate.ratios import blocks_log_ratio, log_ratio, mean_log_ratio, percentile_log_ratio
from harness.metrics import Absent, Key
from harness.record import Plan, Planned, Record, Timing
from harness.targets import Target
from harness.verdict import Answer, Problem, Row, Verdicts, judge

HEAD, BASE, COPY, INJECTED = LANES = ("head", "base", "copy", "injected")
"""Values of Record.control in a gate's session: what ran. copy: a second build of base. injected: base, slowed down on purpose."""

SAME_CODE = "not measured: it runs the code of base, byte for byte (--all measures it too)"

SECONDS, WHOLE, OUTPUT = "seconds_per_call", "mean_cpu_seconds", "throughput_per_second"
ONCE = ("cold_seconds", "load_seconds")

Launches = Mapping[str, Mapping[int, Record]]
"""Records of one row on one case by lane and launch."""


def by_row(records: Iterable[Record]) -> dict[Key, dict[str, dict[int, Record]]]:
    """Records by row on a case, lane and launch."""
    found: dict[Key, dict[str, dict[int, Record]]] = {}
    for record in records:
        found.setdefault(metrics.key(record), {lane: {} for lane in LANES})[record.control][record.launch] = record
    return found


def series(screening: Iterable[Record], fresh: Iterable[Record] = ()) -> list[Series]:
    """What each metric of each row says. Rows whose head or base was not measured, or is wrong, have none."""
    first, second = by_row(screening), by_row(fresh)
    return [one for key, lanes in first.items() if comparable(lanes) == "" for one in _of_row(key, lanes, second.get(key, {}))]


def comparable(lanes: Launches) -> str:
    """Why a row cannot be compared, or ""."""
    for lane in LANES:
        records = list(lanes.get(lane, {}).values())
        if not records:
            return f"{lane} left no record"
        for record in records:
            if record.outcome.kind != "measured":
                return f"{lane}: {record.outcome.kind}: {record.outcome.message}".rstrip(": ")
            wrong = [result for result in record.parity if not result.passed]
            if wrong:
                return f"{lane}: {wrong[0].message or f'output {wrong[0].output} is wrong'}"
    return ""


def verdicts(
    plan: Plan,
    records: Sequence[Record],
    *,
    found: Mapping[tuple[Key, str], Decision],
    targets: Iterable[Target],
    profiles: Sequence[str],
    alone: Mapping[Key, str],
    base: str,
    same: Sequence[Planned] = (),
    problems: Sequence[Problem] = (),
    notes: Sequence[str] = (),
) -> Verdicts:
    """Head's run, parity and targets as in any session, and for each metric of each row whether it regressed.

    records: of the screening launches. found: the decisions by row and metric. base: as the user named it. alone: rows that
    base lacks, with what to say of them: they have nothing to regress from. same: rows that were not measured, for they run
    the code of base.
    """
    own = of_head(records)
    beside = tuple(target for target in targets if not target.metric.startswith(metrics.SPEEDUP))
    judged = judge(plan, own, beside, profiles, machine=plan.machine) if plan.planned or not same else Verdicts(plan, ())
    lanes = by_row(records)
    rows = tuple(
        dataclasses.replace(row, answers=(*row.answers, Answer("regression", "pass", notes=(alone[metrics.key(row.planned)],))))
        if metrics.key(row.planned) in alone
        else _compared(row, lanes.get(metrics.key(row.planned), {}), found, base)
        for row in judged.rows
    )
    clocks = _clocks(rows, lanes)
    skipped = [
        f"not judged here: {target.component} {target.words}: `harness run` measures what it is compared with"
        for target in targets
        if target.metric.startswith(metrics.SPEEDUP) and target.component in {item.component for item in plan.planned}
    ]
    unchanged = tuple(Row(item, (Answer("regression", "pass", notes=(SAME_CODE,)),)) for item in same)
    notes = (*judged.notes, *dict.fromkeys(skipped), *clocks, *notes)
    return Verdicts(plan, (*rows, *unchanged), (*judged.problems, *problems), notes)


def of_head(records: Iterable[Record]) -> list[Record]:
    """Head's own launches, as those of any session."""
    return [dataclasses.replace(record, control="") for record in records if record.control == HEAD]


def _compared(row: Row, launches: Launches, found: Mapping[tuple[Key, str], Decision], base: str) -> Row:
    """A row with what each of its metrics says, and with its speed-up over base beside those over peers."""
    key = metrics.key(row.planned)
    answers = tuple(_answer(row.planned, metric, decision, base) for (of, metric), decision in found.items() if of == key)
    if not answers:
        reason = comparable(launches) or "no launch measured both sides"
        answers = (Answer("regression", "inconclusive", f"not compared: {reason}"),)
    elif few := too_few_calls(launches):
        note = f"not compared, too few calls in a launch: {', '.join(few.values())}"
        answers = (dataclasses.replace(answers[0], notes=(note,)), *answers[1:])
    slower = found.get((key, SECONDS))
    known = {f"{metrics.SPEEDUP}base": _speedup(slower.interval)} if slower is not None else {}
    return dataclasses.replace(row, answers=(*row.answers, *answers), metrics={**row.metrics, **known})


def _answer(row: Planned, metric: str, decision: Decision, base: str) -> Answer:
    limit = decision.bound.pass_below if decision.state == "pass" else decision.bound.fail_above
    again = f"; reproduce: harness gate --base {shlex.quote(base)} {row.component}.{row.implementation} --case {shlex.quote(row.case)}"
    said = f"{metric}: {decision.reason}{'' if decision.state == 'pass' else again}" if decision.reason else ""
    return Answer("regression", decision.state, said, metric, decision.interval, limit)


def _speedup(slowdown: metrics.Value) -> metrics.Value:
    """How many times as fast as base, from the slow-down over it."""
    if isinstance(slowdown, Absent) or slowdown.low is None or slowdown.high is None:
        return slowdown
    point, low, high = (1 / (1 + share) for share in (slowdown.point, slowdown.high, slowdown.low))
    return dataclasses.replace(slowdown, point=point, low=low, high=high)


def _clocks(rows: Sequence[Row], records: Mapping[Key, Launches]) -> list[str]:
    """Which clock judges the calls of which rows, and why."""
    names: dict[str, list[str]] = {}
    for row in rows:
        for record in list(records.get(metrics.key(row.planned), {}).get(HEAD, {}).values())[:1]:
            steady = record.samples.blocks and all(block.steady_seconds for block in record.samples.blocks)
            names.setdefault("steady" if steady else record.clock, []).append(f"{row.planned.component}.{row.planned.row}")
    return [f"judged on {_WHY[clock]}: {', '.join(dict.fromkeys(of))}" for clock, of in names.items() if clock in _WHY]


_WHY = {
    "steady": "wall time of the fastest nine tenths of each block (short calls: what interrupts a few of them is not theirs)",
    "cpu": "processor time (one thread: waiting for a busy machine does not count)",
    "wall": "wall time (several threads or processes: processor time does not show how well they overlap)",
}
"""Of the others every session says so."""


def _of_row(key: Key, lanes: Launches, fresh: Launches) -> list[Series]:
    sample = next(iter(lanes[HEAD].values()))
    clock: metrics.Clock = "cpu" if sample.clock == "cpu" else "wall"
    seconds = _seconds_of_a_call(sample)
    found = []
    # Decided once, by the launches that screen: those that confirm count with the calls they have.
    without = too_few_calls(lanes)
    for metric, ratio in _ratios(clock).items():
        screened = {lane: _launches(ratio, lanes, lane) for lane in (HEAD, COPY, INJECTED)}
        confirmed = {f"fresh_{lane}".replace("fresh_head", "fresh"): _launches(ratio, fresh, lane) for lane in screened}
        # What no launch of head has is no metric of this row; nor is a mean that some lack, whose blocks are hardly long enough to divide.
        least = min(LAUNCHES, len(lanes[HEAD])) if metric == WHOLE else 1
        if len(screened[HEAD]) >= least and metric not in without and not (metric == OUTPUT and _same_output(lanes)):
            judged_on = "cpu" if metric == WHOLE else clock if metric in (SECONDS, OUTPUT, *ONCE) else "wall"
            found.append(Series(key, metric, judged_on, seconds, **screened, **confirmed))
    return found


def _launches(ratio: Callable[[Record, Record], float | None], lanes: Launches, lane: str) -> tuple[float, ...]:
    bases = lanes.get(BASE, {})
    pairs = ((record, bases[number]) for number, record in sorted(lanes.get(lane, {}).items()) if number in bases)
    return tuple(value for one, base in pairs if (value := ratio(one, base)) is not None)


def _ratios(clock: metrics.Clock) -> dict[str, Callable[[Record, Record], float | None]]:
    """The log-ratio of a launch, by metric; None where one of the two was not measured."""

    def seconds(record: Record, base: Record) -> float | None:
        found = blocks_log_ratio(record.samples.blocks, base.samples.blocks, clock)
        return None if isinstance(found, Absent) else found

    def whole(record: Record, base: Record) -> float | None:
        return mean_log_ratio(record.samples.blocks, base.samples.blocks)

    def output(record: Record, base: Record) -> float | None:
        found = seconds(record, base)
        made, before = record.samples.produced, base.samples.produced
        return None if found is None or not made or not before else found + math.log(before / made)

    def percentile(metric: str, share: float) -> Callable[[Record, Record], float | None]:
        return lambda record, base: percentile_log_ratio(record.samples, base.samples, share, kind_of(metric).offset)

    def of(metric: str, value: Callable[[Record], float | None]) -> Callable[[Record, Record], float | None]:
        def ratio(record: Record, base: Record) -> float | None:
            mine, other, offset = value(record), value(base), kind_of(metric).offset
            return None if mine is None or other is None else log_ratio(mine + offset, other + offset)

        return ratio

    single: dict[str, Callable[[Record], float | None]] = {
        "cold_seconds": lambda r: _timing(r.samples.cold, clock),
        "load_seconds": lambda r: _timing(r.samples.load, clock),
        **{name: partial(metrics.of_launch, name) for name in ("time_to_first_audio_seconds", "peak_bytes", "device_peak_bytes")},
    }
    percentiles = {metric: percentile(metric, share) for metric, share in metrics.PERCENTILES.items()}
    once = {metric: of(metric, value) for metric, value in single.items()}
    return {SECONDS: seconds, WHOLE: whole, OUTPUT: output, **percentiles, **once}


def _timing(timing: Timing | None, clock: metrics.Clock) -> float | None:
    return None if timing is None else timing.cpu_seconds if clock == "cpu" else timing.wall_seconds


def _calls(lanes: Launches) -> int:
    """How many calls a launch timed one by one: of half of them at least so many."""
    counts = sorted(len(record.samples.calls) for records in lanes.values() for record in records.values())
    return counts[len(counts) // 2] if counts else 0


def too_few_calls(lanes: Launches) -> dict[str, str]:
    """The percentiles that launches do not support, each with how many calls they have of those it needs."""
    calls, needed = _calls(lanes), {name: stats.calls_needed(share) for name, share in metrics.PERCENTILES.items()}
    return {name: f"{metrics.PERCENTILES[name] * 100:g} % latency: {calls} of {least}" for name, least in needed.items() if calls < least}


def _seconds_of_a_call(record: Record) -> float:
    blocks = record.samples.blocks
    return sum(block.wall_seconds for block in blocks) / max(1, sum(block.calls for block in blocks))


def _same_output(lanes: Launches) -> bool:
    """Where a call produces as much as base's, throughput and real-time factor say what seconds per call says."""
    made = {record.samples.produced for lane in (HEAD, BASE) for record in lanes[lane].values()}
    return len(made) == 1


def controls(found: Mapping[tuple[Key, str], Decision]) -> list[str]:
    """What the two controls of a session say: two builds of base, and a slow-down injected on purpose."""
    copies = [one.copy.point for one in found.values() if not isinstance(one.copy, Absent)]
    injected = [one for one in found.values() if not isinstance(one.injected, Absent)]
    seen = sum(isinstance(one.injected, stats.Interval) and (one.injected.low or 0.0) > one.bound.fail_above for one in injected)
    widest = f", furthest apart by {max(map(abs, copies)):.2%}" if copies else ""
    copied = f"two builds of base compared {len(copies)} times{widest}"
    return [f"controls: {copied}; a slow-down injected into base seen {seen} of {len(injected)} times"]
