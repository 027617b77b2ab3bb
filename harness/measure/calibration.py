"""Quietness: a fixed kernel, timed around each round, tells whether the machine ran at its usual speed."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

RUNS = 5
"""Of so many runs in a row the median counts, after one that only warms caches and clock: after a pause the first takes twice as long."""

TOLERANCE = 1.25
"""A round is quiet while the kernel takes at most this much of its usual time."""


class Calibration:
    """Times the kernel and remembers. `usual` is the lower quartile of all its times in the session: noise only adds."""

    def __init__(self, kernel: Callable[[], object] | None = None, clock: Callable[[], float] = perf_counter, runs: int = RUNS) -> None:
        self._kernel, self._clock, self._runs = kernel or _kernel(), clock, runs
        self._times: list[float] = []
        for _ in range(8):
            self()

    def __call__(self) -> float:
        """Run the kernel: seconds on the wall."""
        self._kernel()
        times = []
        for _ in range(self._runs):
            started = self._clock()
            self._kernel()
            times.append(self._clock() - started)
        self._times.append(float(np.median(times)))
        return self._times[-1]

    @property
    def usual(self) -> float:
        return float(np.quantile(self._times, 0.25))

    def quiet(self, seconds: float) -> bool:
        """Whether a time of the kernel is a usual one."""
        return seconds <= TOLERANCE * self.usual


def _kernel() -> Callable[[], object]:
    """About a millisecond: arithmetic in the first-level cache, and a copy larger than the second."""
    angles = np.linspace(0.0, 1.0, 2048)
    source, target = np.ones(1 << 19), np.empty(1 << 19)

    def kernel() -> None:
        for _ in range(16):
            np.sin(angles)
        np.copyto(target, source)

    return kernel
