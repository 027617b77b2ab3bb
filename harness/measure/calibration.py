"""Quietness: a fixed kernel, timed around each round, tells whether the machine ran at its usual speed."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

TOLERANCE = 1.25
"""A round is quiet while the kernel takes at most this much of its usual time."""


class Calibration:
    """Times the kernel and remembers. `usual` is the lower quartile of all its times in the session: noise only adds."""

    def __init__(self, kernel: Callable[[], object] | None = None, clock: Callable[[], float] = perf_counter) -> None:
        self._kernel, self._clock = kernel or _kernel(), clock
        self._times: list[float] = []
        for _ in range(8):
            self()

    def __call__(self) -> float:
        """Run the kernel once: seconds on the wall."""
        started = self._clock()
        self._kernel()
        self._times.append(self._clock() - started)
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
