"""How much slower is too slow, by metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.profile.file import Margin

LEAST_SPREAD = 0.1
"""Launches are never taken to vary by less than this share of the margin: equal values of a few launches prove no certainty."""


class Kind(NamedTuple):
    """Metrics that vary alike. times: how many default margins wide theirs is.

    offset: in the metric's own unit, added to both sides before they are compared: what is small against it is nobody's loss.
    """

    name: str
    times: float
    offset: float = 0.0


STEADY = Kind("steady", 1.0)
"""One number from many blocks or calls of a launch: repeats within a percent or two."""

MEDIAN = Kind("median", 2.0, offset=5e-5)
"""Of single calls, on the wall clock. A kind of its own: from launches that give the steady metric too, it adds nothing to a pool."""

FIRST_AUDIO = Kind("first audio", 2.0)
"""A median of single calls, of which a launch has few."""

TAIL, FAR_TAIL = Kind("tail", 5.0, offset=5e-5), Kind("far tail", 20.0, offset=5e-5)
"""The slowest 5 % and 1 % of the calls of a launch: fewer calls say it, and interruptions make them. Of equal workers the 95 % latency
differed by 3.4 % as one standard deviation (the middle one of 84 rows of this registry, 2 shared cores), the 99 % latency by 6 to 10 % in
half of the launches, by 10 to 19 % as one standard deviation (calls of 10 and 50 us)."""

WHOLE = Kind("whole", 5.0)
"""The mean over all calls, interrupted ones too."""

ONCE = Kind("once", 10.0, offset=0.05)
"""One value a launch, files and imports included: equal workers differed by 7 to 17 % (one standard deviation, CPU clock, busy machine)."""

BYTES = Kind("bytes", 1.0, offset=5e7)
"""Pages, and what the allocator keeps: equal workers of 37 MB differed by 0.1 to 0.3 %."""

KINDS: dict[str, Kind] = {
    "latency_p50_seconds": MEDIAN,
    "latency_p95_seconds": TAIL,
    "latency_p99_seconds": FAR_TAIL,
    "latency_p999_seconds": FAR_TAIL,
    "time_to_first_audio_seconds": FIRST_AUDIO,
    "mean_cpu_seconds": WHOLE,
    "cold_seconds": ONCE,
    "load_seconds": ONCE,
    "peak_bytes": BYTES,
    "device_peak_bytes": BYTES,
}
"""All others are steady."""


def kind_of(metric: str) -> Kind:
    """How a metric varies."""
    return KINDS.get(metric, STEADY)


@dataclass(frozen=True)
class Bound:
    """What judges one metric, as shares: fail when surely above, pass when surely below.

    injected: the share of its own cost that its positive control adds. least_spread: of log-ratios between launches.
    """

    kind: str
    fail_above: float
    pass_below: float

    @property
    def injected(self) -> float:
        return 2 * self.pass_below

    @property
    def least_spread(self) -> float:
        return LEAST_SPREAD * self.fail_above


@dataclass(frozen=True)
class Margins:
    """The margins of a profile, by metric: one that has none of its own has `default` times what its kind needs."""

    given: Mapping[str, Margin] = field(default_factory=dict)

    def of(self, metric: str) -> Bound:
        """The bound of one metric."""
        kind = kind_of(metric)
        own, times = (self.given[metric], 1.0) if metric in self.given else (self.given.get("default", Margin()), kind.times)
        return Bound(kind.name, times * own.fail_above, times * own.pass_below)

    def injected(self, metric: str) -> tuple[float, float]:
        """What the positive control adds to a metric: a share of its own cost, and an amount in the metric's own unit."""
        share = self.of(metric).injected
        return share, share * kind_of(metric).offset
