"""What records say in numbers: each metric of a row on a case, one value per launch, an interval over launches."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness import stats, streamed
from harness.record import Block, Planned, Record
from harness.settings import show
from harness.stats import Interval

Unit = Literal["seconds", "bytes", "x", "share", "per second", "dB", "number"]
Better = Literal["less", "more"]
Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class About:
    """What a metric is.

    noise: "absolute" for times a busy machine spoils, "paired" for ratios of neighbours in time, "" for what noise leaves alone.
    lowest, highest: the values it can take at all.
    """

    unit: Unit
    better: Better | None = "less"
    noise: Literal["absolute", "paired", ""] = "absolute"
    lowest: float = 0.0
    highest: float = math.inf

    @property
    def time(self) -> bool:
        """True for what is worth nothing while the result is wrong: times, and the memory of a wrong computation."""
        return self.noise != "" or self.unit == "bytes"


@dataclass(frozen=True)
class Absent:
    """A metric that was not measured, and why."""

    reason: str


Value = Interval | Absent
Key = tuple[str, str, str, str]
"""Component, row, case, settings in canonical JSON: one line of the expected set."""

METRICS: dict[str, About] = {
    "latency_p50_seconds": About("seconds"),
    "latency_p95_seconds": About("seconds"),
    "latency_p99_seconds": About("seconds"),
    "latency_p999_seconds": About("seconds"),
    "seconds_per_call": About("seconds"),
    "cpu_seconds_per_call": About("seconds"),
    "rtf": About("x"),
    "throughput_per_second": About("per second", "more"),
    "cold_seconds": About("seconds"),
    "load_seconds": About("seconds"),
    "time_to_first_audio_seconds": About("seconds"),
    "time_to_first_audio_p95_seconds": About("seconds"),
    "chunk_jitter_seconds": About("seconds"),
    "underruns": About("number"),
    "limit_share": About("share", "more"),
    "peak_bytes": About("bytes", noise=""),
    "growth_bytes": About("bytes", noise="", lowest=-math.inf),
    "leak_bytes_per_call": About("bytes", noise="", lowest=-math.inf),
    "device_peak_bytes": About("bytes", noise=""),
    "weight_bytes": About("bytes", noise=""),
    "max_abs_difference": About("number", noise=""),
    "differing": About("number", noise=""),
    "snr_db": About("dB", "more", noise="", lowest=-math.inf),
    "agreement": About("share", "more", noise="", highest=1.0),
    "f_measure": About("share", "more", noise="", highest=1.0),
    "log_spectral_distance_db": About("dB", noise=""),
    "accuracy_drop": About("share", noise="", lowest=-1.0, highest=1.0),
}

REALTIME: dict[str, About] = {
    **{f"{of}_{name}_seconds": About("seconds") for of in ("callback", "wake", "age") for name in ("p50", "p99", "p999", "max")},
    "played_seconds": About("seconds", None),
}
"""Of the real-time proof, whose other figures are counts; no targets are set on them."""

FALLBACK, EMPTY = "fallback ", "empty_"
"""What begins the names of a proof's shares of blocks that used a fallback, and of the figures of the empty callback."""

SPEEDUP = "speedup_over_"
LEAST_MEMORY = 8
"""Looks at a process's memory that a slope needs."""

LOW_QUANTILE = 0.25
"""Of many short blocks a low quantile repeats best: interruptions only ever add time."""

FIRST_AUDIO = "time_to_first_audio_p95_seconds"
_NOT_OF_A_CALL = ("load_seconds", "cpu_seconds_per_call", "time_to_first_audio_seconds", FIRST_AUDIO, "chunk_jitter_seconds")

PERCENTILES = {
    "latency_p50_seconds": 0.5,
    "latency_p95_seconds": 0.95,
    "latency_p99_seconds": 0.99,
    "latency_p999_seconds": 0.999,
}


def about(name: str) -> About:
    """What the metric of that name is; a component's own parity metric is a number whose better side only its bound tells."""
    if name.startswith(SPEEDUP):
        return About("x", "more", noise="paired")
    if name.startswith(FALLBACK):
        return About("share", noise="")
    return METRICS.get(name) or REALTIME.get(name.removeprefix(EMPTY)) or About("number", None, noise="", lowest=-math.inf)


def key(item: Record | Planned) -> Key:
    """Which line of the expected set a record belongs to."""
    return (item.component, item.row, item.case, item.settings_text)


def metrics_of(records: Sequence[Record]) -> dict[str, Value]:
    """Every metric of one series: the launches of one row on one case. What no launch measured is absent, with the reason."""
    good = [record for record in records if record.outcome.kind == "measured"]
    if not good:
        return {}
    found: dict[str, Value] = {name: _over(good, function) for name, function in _PER_LAUNCH.items()}
    calls = [_ordered(record.samples.calls) for record in good if record.samples.calls]
    found |= {name: _percentile(calls, share) for name, share in PERCENTILES.items()}
    firsts = [_ordered(streamed.firsts(record.samples)) for record in good]
    found[FIRST_AUDIO] = _percentile(list(filter(None, firsts)), 0.95) if any(firsts) else Absent(streamed.WHOLE)
    return found | _parity(good)


def of_launch(name: str, record: Record) -> float | None:
    """A metric that one launch has a value of; None where it did not measure it."""
    found = _PER_LAUNCH[name](record)
    return None if isinstance(found, str) else found


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


def floor_value(name: str, records: Iterable[Record]) -> float | None:
    """The best value of a time metric that the machine's ceilings allow, or None where nothing is known."""
    known = [record for record in records if record.floor is not None]
    if not known or about(name).noise != "absolute":
        return None
    record = known[-1]
    seconds, produced = record.floor.seconds if record.floor else 0.0, record.samples.produced
    if about(name).unit == "seconds" and name not in _NOT_OF_A_CALL:
        return seconds
    if name == "rtf" and produced and record.unit_audio_seconds:
        return seconds / (produced * record.unit_audio_seconds)
    if name == "throughput_per_second" and produced and seconds > 0:
        return produced / seconds
    return None


def rejected_share(blocks: Sequence[Block]) -> float:
    """The share of blocks that noise spoiled, 0 to 1; 0 without blocks."""
    return sum(not block.quiet for block in blocks) / len(blocks) if blocks else 0.0


def _over(records: Sequence[Record], function: Callable[[Record], float | str]) -> Value:
    answers = [function(record) for record in records]
    values = [answer for answer in answers if not isinstance(answer, str)]
    return _interval(values) if values else Absent(next(answer for answer in answers if isinstance(answer, str)))


def _interval(values: Sequence[float]) -> Value:
    """Over launches; a stored value that is no number leaves nothing to judge, not one launch less."""
    strange = [value for value in values if not math.isfinite(value)]
    return Absent(f"a launch recorded {strange[0]}, which is no measurement") if strange else stats.over_launches(values)


def _percentile(launches: Sequence[Sequence[float]], share: float) -> Value:
    calls, needed = sum(map(len, launches)), stats.calls_needed(share)
    if calls < needed:
        return Absent(f"{calls} calls were timed one by one, {share * 100:g} % needs {needed}")
    return _interval([stats.quantile_of_sorted(launch, share) for launch in launches])


def _ordered(values: Sequence[float]) -> list[float]:
    """Ascending; all NaN where one is, which has no place in an order."""
    return [math.nan] * len(values) if any(map(math.isnan, values)) else sorted(values)


def _parity(records: Sequence[Record]) -> dict[str, Value]:
    """Parity metrics span all outputs and launches: counted, so the interval is from the least to the greatest."""
    seen: dict[str, list[float]] = {}
    for record in records:
        for result in record.parity:
            for name, value in result.measured.items():
                seen.setdefault(name, []).append(value)
    return {name: _span(name, values, len(records)) for name, values in seen.items()}


def _span(name: str, values: Sequence[float], launches: int) -> Interval:
    low, high = min(values), max(values)
    # Not interpolated: a signal-to-noise ratio can be infinite.
    worst = {"less": high, "more": low, None: statistics.median_high(values)}[about(name).better]
    return Interval(worst, low, high, launches, 1.0)


def _seconds(record: Record, clock: Clock = "wall") -> float | str:
    blocks = record.samples.blocks
    if not blocks:
        return "no blocks of calls were timed"
    quiet = record.samples.wall_by_round if clock == "wall" else record.samples.cpu_by_round
    if not quiet:
        return f"the machine was busy: no quiet round in {len(blocks)} blocks"
    return stats.quantile(list(quiet.values()), LOW_QUANTILE)


def _rtf(record: Record) -> float | str:
    seconds, produced = _seconds(record), record.samples.produced
    if record.unit_audio_seconds is None:
        return f"a {record.unit} stands for no audio"
    if isinstance(seconds, str):
        return seconds
    return seconds / (produced * record.unit_audio_seconds) if produced else "no audio was produced"


def _throughput(record: Record) -> float | str:
    seconds, produced = _seconds(record), record.samples.produced
    if isinstance(seconds, str):
        return seconds
    return produced / seconds if produced else "nothing was produced"


def _leak(record: Record) -> float | str:
    """Memory per call through the second half of the calls: the median slope between any two looks (Theil and Sen)."""
    looks = record.samples.memory
    if len(looks) < LEAST_MEMORY:
        return f"its memory was looked at {len(looks)} times between calls, a slope needs {LEAST_MEMORY}"
    later = looks[len(looks) // 2 :]
    slopes = [(more - held) / (now - then) for i, (then, held) in enumerate(later) for now, more in later[i + 1 :] if now > then]
    return stats.median(slopes) if slopes else "no calls lie between the looks at its memory"


def _growth(record: Record) -> float | str:
    peak, loaded = record.samples.peak_bytes, record.samples.loaded_bytes
    return "memory was not measured" if peak is None or loaded is None else float(peak - loaded)


def _limit_share(record: Record) -> float | str:
    if record.floor is None:
        return "no work model of this row, or this machine's ceilings are not measured yet (harness machine --limits)"
    seconds = _seconds(record)
    return seconds if isinstance(seconds, str) else record.floor.seconds / seconds


def _bytes(value: int | None, reason: str) -> float | str:
    return reason if value is None else float(value)


_PER_LAUNCH: dict[str, Callable[[Record], float | str]] = {
    "seconds_per_call": _seconds,
    "cpu_seconds_per_call": lambda r: _seconds(r, "cpu"),
    "rtf": _rtf,
    "throughput_per_second": _throughput,
    "cold_seconds": lambda r: r.samples.cold.wall_seconds if r.samples.cold else "the first call was not timed",
    "load_seconds": lambda r: r.samples.load.wall_seconds if r.samples.load else "loading was not timed",
    "time_to_first_audio_seconds": streamed.first_audio,
    "chunk_jitter_seconds": streamed.jitter,
    "underruns": streamed.underruns,
    "limit_share": _limit_share,
    "peak_bytes": lambda r: _bytes(r.samples.peak_bytes, "memory was not measured"),
    "growth_bytes": _growth,
    "leak_bytes_per_call": _leak,
    "device_peak_bytes": lambda r: _bytes(r.samples.device_peak_bytes, "no device memory was measured"),
    "weight_bytes": lambda r: _bytes(r.samples.weight_bytes, "the implementation does not say what its weights take"),
}


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
    return [name for name, value in record.settings.items() if _plain(value) != _plain(other.settings[name])]


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
    return _interval(ratios) if ratios else Absent(f"no quiet round in common with {name}")


def _comparable(record: Record, base: Record) -> bool:
    """Equal values of what both honour; variants aside, for those change what is computed and have their own names."""
    shared = (record.settings.keys() & base.settings.keys()) - record.variant.keys() - base.variant.keys()
    return all(_plain(record.settings[name]) == _plain(base.settings[name]) for name in shared)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _median_seconds(records: Sequence[Record]) -> float:
    times = [seconds for seconds in map(_seconds, records) if not isinstance(seconds, str)]
    return stats.median(times) if times else math.inf
