"""What metrics there are: unit, better side, what noise does to them, the values they can take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from harness.record import Planned, Record
from harness.stats import Interval

Unit = Literal["seconds", "bytes", "x", "share", "per second", "dB", "number"]

Better = Literal["less", "more"]


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
    "mean_cpu_seconds": About("seconds"),
    "rtf": About("x"),
    "throughput_per_second": About("per second", "more"),
    "cold_seconds": About("seconds"),
    "load_seconds": About("seconds"),
    "time_to_first_audio_seconds": About("seconds"),
    "time_to_first_audio_p95_seconds": About("seconds"),
    "time_to_first_audio_cold_seconds": About("seconds"),
    "time_to_first_audio_with_load_seconds": About("seconds"),
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

_UNITS: dict[str, Unit] = {"seconds": "seconds", "bytes": "bytes", "db": "dB"}
"""By the last word of a name that is no metric of this list."""

PERCENTILES = {
    "latency_p50_seconds": 0.5,
    "latency_p95_seconds": 0.95,
    "latency_p99_seconds": 0.99,
    "latency_p999_seconds": 0.999,
}


def about(name: str) -> About:
    """What the metric of that name is; a component's own is a number whose better side only its bound tells, in the unit it ends in."""
    if name.startswith(SPEEDUP):
        return About("x", "more", noise="paired")
    if name.startswith(FALLBACK):
        return About("share", noise="")
    known = METRICS.get(name) or REALTIME.get(name.removeprefix(EMPTY))
    return known or About(_UNITS.get(name.rpartition("_")[2], "number"), None, noise="", lowest=-math.inf)


def key(item: Record | Planned) -> Key:
    """Which line of the expected set a record belongs to."""
    return (item.component, item.row, item.case, item.settings_text)
