"""How much slower is too slow, by metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.profile.file import Margin

LEAST_SPREAD = 0.1
"""Launches are never taken to vary by less than this share of the margin: equal values of a few launches prove no certainty."""


class Kind(NamedTuple):
    """Metrics that vary alike. times: how many default margins wide theirs is. least: in the metric's own unit, what nobody
    would call worse, however large a share it is of something small."""

    name: str
    times: float
    least: float = 0.0


STEADY = Kind("steady", 1.0)
"""One number from many blocks or calls of a launch: repeats within a percent or two."""

MEDIAN = Kind("median", 2.0)
"""Of single calls, on the wall clock. A kind of its own: from launches that give the steady metric too, it adds nothing to a pool."""

FIRST_AUDIO = Kind("first audio", 2.0)
"""A median of single calls, of which a launch has few."""

TAIL, FAR_TAIL = Kind("tail", 2.0, least=1e-6), Kind("far tail", 5.0, least=1e-6)
"""The slowest 5 % and 1 % of the calls of a launch: fewer calls say it, and interruptions make them."""

ONCE = Kind("once", 10.0, least=0.005)
"""One value a launch, files and imports included: equal workers differed by 7 to 17 % (one standard deviation, CPU clock, busy machine)."""

BYTES = Kind("bytes", 1.0, least=1e6)
"""Pages, and what the allocator keeps: equal workers of 37 MB differed by 0.1 to 0.3 %."""

KINDS: dict[str, Kind] = {
    "latency_p50_seconds": MEDIAN,
    "latency_p95_seconds": TAIL,
    "latency_p99_seconds": FAR_TAIL,
    "latency_p999_seconds": FAR_TAIL,
    "time_to_first_audio_seconds": FIRST_AUDIO,
    "cold_seconds": ONCE,
    "load_seconds": ONCE,
    "peak_bytes": BYTES,
    "device_peak_bytes": BYTES,
}
"""All others are steady."""


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

    def of(self, metric: str, value: float = math.inf) -> Bound:
        """The bound of one metric. value: what it is in base, in its own unit."""
        kind = KINDS.get(metric, STEADY)
        own, times = (self.given[metric], 1.0) if metric in self.given else (self.given.get("default", Margin()), kind.times)
        least = kind.least / value if value > 0 else 0.0
        return Bound(kind.name, max(times * own.fail_above, least), max(times * own.pass_below, least * own.pass_below / own.fail_above))

    def injected(self, metric: str) -> tuple[float, float]:
        """What the positive control adds to a metric: a share of its own cost, and the least of it in the metric's own unit."""
        kind, bound = KINDS.get(metric, STEADY), self.of(metric)
        return bound.injected, kind.least * bound.injected / bound.fail_above
