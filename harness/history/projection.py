"""Records into history: pooled per commit, less is better, no time without passing parity.

Stored for each tracked metric of a row on a case: `upper`, the unfavourable end of the interval over launches, which targets
are held against; `estimate`; and `ratio` to the reference of the same sessions, which steps are looked for in.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from harness import metrics
from harness.history import naming
from harness.history.files import check_machine, set_aside_damaged, write
from harness.history.points import Damaged, Key, Point, SeriesName, State
from harness.history.publish import entry, without_paths
from harness.installed import OWN_AUDIO
from harness.metrics import SPEEDUP, Absent, Value, rejected_share
from harness.record import Record
from harness.stats import Interval
from harness.verdict import MOST_REJECTED

if TYPE_CHECKING:
    from harness.machine import Machine
    from harness.targets import Target

Lines = Mapping[metrics.Key, Sequence[Record]]
Values = Mapping[metrics.Key, Mapping[str, Value]]


@dataclass(frozen=True)
class Refused:
    """What did not become history, and why: records, or where `metric` is given that metric of theirs alone."""

    component: str
    row: str
    case: str
    commit: str
    reason: str
    metric: str = ""


@dataclass(frozen=True)
class Projected:
    """What a projection wrote, what it refused with the number of records each refusal stands for, and damaged files it renamed."""

    files: tuple[Path, ...]
    points: tuple[Point, ...]
    refused: Mapping[Refused, int]
    set_aside: tuple[Path, ...] = ()


def project(records: Iterable[Record], results_dir: Path, machine: Machine, targets: Iterable[Target] = ()) -> Projected:
    """Write what `records` say into the history of this machine; controls are no results and are left out.

    All records of one commit and environment are pooled, so give all there are, not the newest alone: a projected number
    replaces the stored one. HistoryError where the folder of this machine's name belongs to another machine.
    """
    with contextlib.suppress(Damaged):
        check_machine(results_dir, entry(machine))
    moved = set_aside_damaged(results_dir, machine.name)
    refused: Counter[Refused] = Counter()
    pools: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        reason = _refusal(record, machine.name)
        if reason:
            refused[_refuse(record, reason)] += 1
        elif not record.control:
            pools.setdefault((record.commit, naming.environment_name(record.environment)), []).append(record)
    files: list[Path] = []
    points: list[Point] = []
    known = tuple(targets)
    for (_, environment), pool in pools.items():
        found, without = points_of(pool, known)
        files += write(results_dir, entry(machine), naming.python_version(pool[0].environment), environment, found)
        points += found
        refused.update(without)
    without_paths(results_dir)
    return Projected(tuple(files), tuple(points), dict(refused), tuple(moved))


def points_of(records: Sequence[Record], targets: Iterable[Target] = ()) -> tuple[list[Point], list[Refused]]:
    """The points of one commit's records, from any number of sessions, rows and cases; pure.

    A row whose newest session crashed, hung or failed parity is stored as failed: it has no times at all. An outside peer
    that computes something else keeps its times. Launches on a busy machine give no absolute time, and none whose blocks
    were mostly rejected gives a ratio.
    """
    lines, values = _lines(records), _values(records)
    tracked = naming.tracked(targets)
    points: list[Point] = []
    refused: list[Refused] = []
    for key, group in lines.items():
        latest = max(group, key=lambda record: (record.started, record.session))
        wrong = max(failing(record) for record in group if record.session == latest.session)
        points.append(_point(latest, naming.PARITY, "upper", float(wrong), unit="failed outputs"))
        for metric, better in tracked.get(latest.component, naming.always()).items():
            stored, found = naming.stored_name(metric, better), values[key].get(metric)
            if wrong and latest.role != "peer":
                points += [_point(latest, stored, series, None, state="failed") for series in naming.series_of(metric)]
                continue
            if found is None:
                continue
            if isinstance(found, Absent):
                refused.append(_refuse(latest, found.reason, metric))
            elif not found.bounded or not math.isfinite(sum(naming.to_stored(stored, found))):
                refused.append(_refuse(latest, found.reason or f"{metric} is {found.point:g}, which asv's files cannot hold", metric))
            else:
                points += _measured(latest, stored, found)
            points += _ratio(latest, metric, key, values, lines)
    return points, refused


def failing(record: Record) -> int:
    """How many outputs are wrong. A launch that ended badly counts as one, and so does one that was compared with nothing,
    unless it is the reference itself."""
    if record.outcome.kind != "measured" or not (record.parity or record.role == "reference"):
        return 1
    return sum(not result.passed for result in record.parity)


def _refusal(record: Record, machine: str) -> str:
    if record.machine != machine:
        return f"measured on another machine ({record.machine})"
    if not record.commit or record.commit_date_ms is None:
        return "no commit: kept as a record only"
    if record.dirty:
        return f"uncommitted changes at {record.commit[:8]}: kept as a record only"
    return "the user's own audio never enters the history" if record.case.startswith(OWN_AUDIO) else ""


def _refuse(record: Record, reason: str, metric: str = "") -> Refused:
    return Refused(record.component, record.row, record.case, record.commit, reason, metric)


def _values(records: Sequence[Record]) -> dict[metrics.Key, dict[str, Value]]:
    """Every metric of every line, from the launches that are fit for it; Absent where a busy machine left none."""
    good = [record for record in records if failing(record) == 0 or (record.role == "peer" and record.outcome.kind == "measured")]
    fair = [record for record in good if rejected_share(record.samples.blocks) <= MOST_REJECTED]
    calm = [record for record in fair if not record.state.get("busy")]
    fit = {"": _lines(good), "paired": _lines(fair), "absolute": _lines(calm)}
    ratios = {"good": _speedups(good), "fair": _speedups(fair)}
    found: dict[metrics.Key, dict[str, Value]] = {key: {} for key in _lines(records)}
    for key, group in fit[""].items():
        busy = Absent(f"the machine was busy in each of {len(group)} launches")
        known = {**metrics.metrics_of(group), **ratios["good"].get(key, {})}
        usable = {noise: {**metrics.metrics_of(lines.get(key, ())), **ratios["fair"].get(key, {})} for noise, lines in fit.items()}
        found[key] = {name: usable[metrics.about(name).noise].get(name, busy) for name in known}
    return found


def _lines(records: Iterable[Record]) -> dict[metrics.Key, list[Record]]:
    lines: dict[metrics.Key, list[Record]] = {}
    for record in records:
        lines.setdefault(metrics.key(record), []).append(record)
    return lines


def _speedups(records: Iterable[Record]) -> dict[metrics.Key, dict[str, Value]]:
    """Speed-ups over all sessions that measured the same lines of a case, pooled; where such groups differ, the largest counts."""
    sessions: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        sessions.setdefault((record.session, record.component, record.case), []).append(record)
    alike: dict[frozenset[metrics.Key], list[Record]] = {}
    for group in sessions.values():
        alike.setdefault(frozenset(map(metrics.key, group)), []).extend(group)
    found: dict[metrics.Key, dict[str, Value]] = {}
    for group in sorted(alike.values(), key=len):
        # As one session with its launches numbered through: what ran together still pairs.
        numbers = {pair: n for n, pair in enumerate(dict.fromkeys((record.session, record.launch) for record in group))}
        pooled = [dataclasses.replace(record, session="", launch=numbers[record.session, record.launch]) for record in group]
        for key, values in metrics.speedups(pooled).items():
            known = found.setdefault(key, {})
            known |= {name: value for name, value in values.items() if isinstance(value, Interval) or name not in known}
    return found


def _measured(record: Record, stored: str, found: Interval) -> list[Point]:
    low, point, high = naming.to_stored(stored, found)
    upper = _point(record, stored, "upper", high, launches=found.n)
    return [upper, _point(record, stored, "estimate", point, interval=(low, high), launches=found.n)]


def _ratio(record: Record, metric: str, key: metrics.Key, values: Values, lines: Lines) -> list[Point]:
    """A time or size relative to the reference's, less is better; nothing where there is no reference beside it.

    Seconds per call are paired by round: they have an interval of their own, and a busy machine spoils them least.
    """
    if metric == "seconds_per_call":
        speedup = values[key].get(f"{SPEEDUP}reference")
        if not isinstance(speedup, Interval) or not speedup.low or not speedup.high:
            return []
        ends = (1 / speedup.high, 1 / speedup.low)
        return [_point(record, metric, "ratio", 1 / speedup.point, interval=ends, launches=speedup.n, unit="x")]
    own = values[key].get(metric)
    for other, group in lines.items():
        base = values[other].get(metric) if other != key and _is_reference_of(record, group[0]) else None
        if "ratio" in naming.series_of(metric) and _positive(base) and _positive(own):
            return [_point(record, metric, "ratio", own.point / base.point, launches=own.n, unit="x")]
    return []


def _is_reference_of(record: Record, base: Record) -> bool:
    same = (base.component, base.case, base.role, dict(base.variant)) == (record.component, record.case, "reference", {})
    return same and all(record.settings.get(name, value) == value for name, value in base.settings.items())


def _positive(value: Value | None) -> TypeGuard[Interval]:
    return isinstance(value, Interval) and value.bounded and value.point > 0


def _point(
    record: Record,
    stored: str,
    series: SeriesName,
    value: float | None,
    *,
    interval: tuple[float, float] | None = None,
    launches: int = 0,
    state: State = "measured",
    unit: str = "",
) -> Point:
    key = Key(record.component, stored, series, naming.implementation(record), record.case)
    unit = unit or naming.unit(stored)
    return Point(key, record.commit, record.commit_date_ms or 0, value, state, interval, launches, str(record.contract), unit)
