"""The metrics of a series, the launches of one row on one case: one value per launch, an interval over launches."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from harness import stats, streamed
from harness.metrics.names import PERCENTILES, Absent, Value, about
from harness.record import Block, Record, mean_cpu_seconds
from harness.stats import Interval

Clock = Literal["wall", "cpu"]

LEAST_MEMORY = 8
"""Looks at a process's memory that a slope needs."""

LOW_QUANTILE = 0.25
"""Of many short blocks a low quantile repeats best: interruptions only ever add time."""

FIRST_AUDIO = "time_to_first_audio_p95_seconds"

_NOT_OF_A_CALL = ("load_seconds", "cpu_seconds_per_call", "mean_cpu_seconds", "chunk_jitter_seconds")


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


def floor_value(name: str, records: Iterable[Record]) -> float | None:
    """The best value of a time metric that the machine's ceilings allow, or None where nothing is known."""
    known = [record for record in records if record.floor is not None]
    if not known or about(name).noise != "absolute":
        return None
    record = known[-1]
    seconds, produced = record.floor.seconds if record.floor else 0.0, record.samples.produced
    if about(name).unit == "seconds" and name not in _NOT_OF_A_CALL and not name.startswith("time_to_first_audio"):
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
    return over_launches(values) if values else Absent(next(answer for answer in answers if isinstance(answer, str)))


def over_launches(values: Sequence[float]) -> Value:
    """Over launches; a stored value that is no number leaves nothing to judge, not one launch less."""
    strange = [value for value in values if not math.isfinite(value)]
    return Absent(f"a launch recorded {strange[0]}, which is no measurement") if strange else stats.over_launches(values)


def _percentile(launches: Sequence[Sequence[float]], share: float) -> Value:
    calls, needed = sum(map(len, launches)), stats.calls_needed(share)
    if calls < needed:
        return Absent(f"{calls} calls were timed one by one, {share * 100:g} % needs {needed}")
    return over_launches([stats.quantile_of_sorted(launch, share) for launch in launches])


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


def seconds_per_call(record: Record, clock: Clock = "wall") -> float | str:
    """Of one launch, over its quiet rounds; where there are none, why."""
    blocks = record.samples.blocks
    if not blocks:
        return "no blocks of calls were timed"
    quiet = record.samples.wall_by_round if clock == "wall" else record.samples.cpu_by_round
    if not quiet:
        return f"the machine was busy: no quiet round in {len(blocks)} blocks"
    return stats.quantile(list(quiet.values()), LOW_QUANTILE)


def _mean_cpu_seconds(record: Record) -> float | str:
    found = mean_cpu_seconds(record.samples.blocks)
    return "no quiet round of calls was timed" if found is None else found


def _rtf(record: Record) -> float | str:
    seconds, produced = seconds_per_call(record), record.samples.produced
    if record.unit_audio_seconds is None:
        return f"a {record.unit} stands for no audio"
    if isinstance(seconds, str):
        return seconds
    return seconds / (produced * record.unit_audio_seconds) if produced else "no audio was produced"


def _throughput(record: Record) -> float | str:
    seconds, produced = seconds_per_call(record), record.samples.produced
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
    seconds = seconds_per_call(record)
    return seconds if isinstance(seconds, str) else record.floor.seconds / seconds


def _bytes(value: int | None, reason: str) -> float | str:
    return reason if value is None else float(value)


_PER_LAUNCH: dict[str, Callable[[Record], float | str]] = {
    "seconds_per_call": seconds_per_call,
    "cpu_seconds_per_call": lambda r: seconds_per_call(r, "cpu"),
    "mean_cpu_seconds": _mean_cpu_seconds,
    "rtf": _rtf,
    "throughput_per_second": _throughput,
    "cold_seconds": lambda r: r.samples.cold.wall_seconds if r.samples.cold else "the first call was not timed",
    "load_seconds": lambda r: r.samples.load.wall_seconds if r.samples.load else "loading was not timed",
    "time_to_first_audio_seconds": streamed.first_audio,
    "time_to_first_audio_cold_seconds": streamed.cold,
    "time_to_first_audio_with_load_seconds": streamed.with_load,
    "chunk_jitter_seconds": streamed.jitter,
    "underruns": streamed.underruns,
    "limit_share": _limit_share,
    "peak_bytes": lambda r: _bytes(r.samples.peak_bytes, "memory was not measured"),
    "growth_bytes": _growth,
    "leak_bytes_per_call": _leak,
    "device_peak_bytes": lambda r: _bytes(r.samples.device_peak_bytes, "no device memory was measured"),
    "weight_bytes": lambda r: _bytes(r.samples.weight_bytes, "the implementation does not say what its weights take"),
}
