"""Speed-ups: a row against the reference, the peers and its own other settings that were measured beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from harness import stats
from harness.metrics.names import SPEEDUP, Absent, Key, Value, key
from harness.metrics.series import over_launches, seconds_per_call
from harness.record import Record
from harness.settings import same, show


def speedups(records: Iterable[Record]) -> dict[Key, dict[str, Value]]:
    """How many times faster each row is than the reference and than each peer, on the same case, paired by round within launches.

    A base is compared under equal values of the settings that both honour; where several fit, with the fastest. In a sweep also over
    the row itself at the least value of a setting (`speedup_over_batch=1`) and at the best of its other values
    (`speedup_over_best_other_batch`).
    """
    cases: dict[tuple[str, str, str], dict[Key, list[Record]]] = {}
    for record in records:
        if record.outcome.kind == "measured" and not record.control:
            cases.setdefault((record.session, record.component, record.case), {}).setdefault(key(record), []).append(record)
    found: dict[Key, dict[str, Value]] = {}
    for series in cases.values():
        for own, launches in series.items():
            found.setdefault(own, {}).update(_speedups_of(own, launches, series))
    return found


def _speedups_of(own: Key, launches: Sequence[Record], series: Mapping[Key, Sequence[Record]]) -> dict[str, Value]:
    candidates: dict[str, list[Sequence[Record]]] = {}
    mine = launches[0]
    for other, bases in series.items():
        base = bases[0]
        # What a variant of the reference is compared with is the reference itself, and not the other way round.
        itself = mine.role == base.role == "reference" and not mine.variant
        if other != own and base.role != "optimized" and not itself and _comparable(mine, base):
            name = "reference" if base.role == "reference" else base.row
            candidates.setdefault(name, []).append(bases)
    candidates |= _swept(launches[0], series)
    return {SPEEDUP + name: _speedup(launches, name, bases) for name, bases in candidates.items()}


def _swept(record: Record, series: Mapping[Key, Sequence[Record]]) -> dict[str, list[Sequence[Record]]]:
    """The same row at other values of one setting, all else being equal: at the least one, and at all of them."""
    found: dict[str, list[Sequence[Record]]] = {}
    for name in record.settings.keys() - record.variant.keys():
        asked = [
            (base.settings[name], bases)
            for bases in series.values()
            if (base := bases[0]).row == record.row and base.settings.keys() == record.settings.keys() and _apart(record, base) == [name]
        ]
        if asked:
            found[f"best_other_{name}"] = [bases for _, bases in asked]
            value, bases = min(asked, key=lambda one: one[0])
            if value < record.settings[name]:
                found[f"{name}={show(value)}"] = [bases]
    return found


def _apart(record: Record, other: Record) -> list[str]:
    return [name for name, value in record.settings.items() if not same(value, other.settings[name])]


def _speedup(launches: Sequence[Record], name: str, candidates: Sequence[Sequence[Record]]) -> Value:
    # A reference may have variants (a float64 truth): the plain one is the base.
    plain = [bases for bases in candidates if not bases[0].variant] or candidates
    fastest = min(plain, key=_median_seconds) if len(plain) > 1 else plain[0]
    by_launch = {record.launch: record for record in fastest}
    ratios = []
    for record in launches:
        base = by_launch.get(record.launch)
        logs = stats.paired_log_ratios(base.samples.wall_by_round, record.samples.wall_by_round) if base else []
        if logs:
            ratios.append(math.exp(stats.median(logs)))
    return over_launches(ratios) if ratios else Absent(f"no quiet round in common with {name}")


def _comparable(record: Record, base: Record) -> bool:
    """Equal values of what both honour; variants aside, for those change what is computed and have their own names."""
    shared = (record.settings.keys() & base.settings.keys()) - record.variant.keys() - base.variant.keys()
    return all(same(record.settings[name], base.settings[name]) for name in shared)


def _median_seconds(records: Sequence[Record]) -> float:
    times = [seconds for seconds in map(seconds_per_call, records) if not isinstance(seconds, str)]
    return stats.median(times) if times else math.inf
