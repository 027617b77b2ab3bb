"""Timers that wait for the device, bound before any plugin is imported: a patched `time` module changes nothing here.

Import this module before the first plugin. `Elapsed.cpu_ns` counts all threads of this process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import get_clock_info, perf_counter_ns, process_time_ns
from typing import NamedTuple

_RESOLUTION = {"wall": get_clock_info("perf_counter").resolution, "cpu": get_clock_info("process_time").resolution}

CLOCKS = ("cpu", "wall", "cuda", "mlx", "mps")
"""cpu and wall differ in which reading is judged; the others also wait until the device has done all work given to it."""


class Elapsed(NamedTuple):
    """Nanoseconds since the start, on the wall and of processor time over all threads."""

    wall_ns: int
    cpu_ns: int


class Stopwatch:
    """Times a region: `start()`, work, `elapsed()`, which may be asked again (chunks) and waits for the device each time.

    The framework of a device clock must be imported already (`load` has run); RuntimeError says so if it is not.
    """

    def __init__(self, clock: str) -> None:
        self.clock = clock
        self._synchronize = _synchronizer(clock)
        # Bound to the object as well: replacing this module's globals does not reach a stopwatch that exists.
        self._wall, self._cpu = perf_counter_ns, process_time_ns
        self._started = self._read()

    def start(self) -> None:
        """Wait for the device, then begin."""
        if self._synchronize:
            self._synchronize()
        self._started = self._read()

    def elapsed(self) -> Elapsed:
        """Since the last start, after waiting for the device."""
        if self._synchronize:
            self._synchronize()
        wall, cpu = self._read()
        return Elapsed(wall - self._started.wall_ns, cpu - self._started.cpu_ns)

    def _read(self) -> Elapsed:
        return Elapsed(self._wall(), self._cpu())


class SlowedStopwatch(Stopwatch):
    """Adds `share` of what was timed to it and `more` seconds, by working before each answer: what a gate must see.

    On the clock "cpu" it works until the processor time has grown by that share, on all others until the wall time has.
    """

    def __init__(self, clock: str, share: float, more: float = 0.0) -> None:
        super().__init__(clock)
        self._share, self._more, self._index = share, round(more * 1e9), int(clock == "cpu")
        self._added = 0

    def start(self) -> None:
        self._added = 0
        super().start()

    def elapsed(self) -> Elapsed:
        now = super().elapsed()
        own = now[self._index] - self._added
        end = own * (1 + self._share) + self._more
        while now[self._index] < end:
            now = super().elapsed()
        self._added = now[self._index] - own
        return now


def resolution_ns(reading: str) -> float:
    """The step of a reading ("wall" or "cpu") in nanoseconds, as the platform states it (15.6 ms for "cpu" on Windows)."""
    return _RESOLUTION[reading] * 1e9


def _synchronizer(clock: str) -> Callable[[], object] | None:
    if clock in ("cpu", "wall"):
        return None
    if clock not in CLOCKS:
        raise ValueError(f"clock: expected one of {', '.join(CLOCKS)}, found {clock!r}")
    package = "mlx.core" if clock == "mlx" else "torch"
    framework = sys.modules.get(package)
    if framework is None:
        raise RuntimeError(f"clock {clock!r}: expected {package} to be imported by the implementation's load, found it is not")
    function = framework.synchronize if clock == "mlx" else getattr(framework, clock).synchronize
    return function  # type: ignore[no-any-return]
