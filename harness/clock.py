"""Timers that wait for the device, bound before any plugin is imported: a patched `time` module changes nothing here.

Import this module before the first plugin. `Elapsed.cpu_ns` counts all threads of this process.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable
from time import get_clock_info, perf_counter_ns, process_time_ns
from typing import Any, NamedTuple

_RESOLUTION = {"wall": get_clock_info("perf_counter").resolution, "cpu": get_clock_info("process_time").resolution}

CLOCKS = ("cpu", "wall", "cuda", "mlx", "mps")
"""cpu and wall differ in which reading is judged; the others also wait until the device has done all work given to it, and cuda
takes the wall time from the device: a host that is busy elsewhere when the work is done wakes up late."""

OTHER_STREAMS_NS = 50_000
"""If the device is not done so long after the current stream is, other streams had work."""


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
        device = _device(clock)
        self._synchronize: Callable[[], object] | None = device.synchronize if device is not None else None
        self._events = _CudaEvents(device) if clock == "cuda" else None
        # Bound to the object as well: replacing this module's globals does not reach a stopwatch that exists.
        self._wall, self._cpu = perf_counter_ns, process_time_ns
        self._started = self._read()

    def start(self) -> None:
        """Wait for the device, then begin."""
        if self._synchronize:
            self._synchronize()
        if self._events:
            self._events.start()
        self._started = self._read()

    def elapsed(self) -> Elapsed:
        """Since the last start, after waiting for the device."""
        if self._events:
            return Elapsed(self._events.elapsed_ns(), self._cpu() - self._started.cpu_ns)
        if self._synchronize:
            self._synchronize()
        wall, cpu = self._read()
        return Elapsed(wall - self._started.wall_ns, cpu - self._started.cpu_ns)

    def lap_ns(self) -> int:
        """Wall time since the start, as the host sees it: waits for no device."""
        return self._wall() - self._started.wall_ns

    def _read(self) -> Elapsed:
        return Elapsed(self._wall(), self._cpu())


LEAST_LAPS = 4
"""A region that fewer laps divide is timed as a whole alone."""

SLOWEST, LEAST_KNOWN = 0.97, 25
"""Above this share of the regions timed before, once they are so many, a region is one of the slowest."""


class SlowedStopwatch(Stopwatch):
    """Adds `share` of what was timed to it and `more` seconds, by working before each answer: what a gate must see.

    tail: the share and the seconds that the slowest regions get instead: a percentile above SLOWEST grows by these, all below by the
    others. whole: what a region that laps divide gets in all: each lap the usual share, the end the rest, as a burst would. On the
    clock "cpu" it works until the processor time has grown by that share, on all others until the wall time has.
    """

    def __init__(
        self,
        clock: str,
        share: float,
        more: float = 0.0,
        tail: tuple[float, float] | None = None,
        whole: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(clock)
        self._usual, self._tail, self._whole, self._index = (share, more), tail, whole, int(clock == "cpu")
        self._own = self._added = self._lapped = self._laps = 0
        self._known: list[int] = []

    def start(self) -> None:
        if self._tail is not None and self._own:
            bisect.insort(self._known, self._own)
        self._own = self._added = self._lapped = self._laps = 0
        super().start()

    def elapsed(self) -> Elapsed:
        now = super().elapsed()
        self._own = now[self._index] - self._added
        share, more = self._asked()
        end = self._own * (1 + share) + round(more * 1e9)
        while now[self._index] < end:
            now = super().elapsed()
        self._added = now[self._index] - self._own
        return now

    def lap_ns(self) -> int:
        read, begun = self._wall, self._started.wall_ns
        now = read() - begun
        own = now - self._lapped
        end = now + own * self._usual[0]
        while now < end:
            now = read() - begun
        self._added += now - self._lapped - own
        self._lapped = now
        self._laps += 1
        return now

    def _asked(self) -> tuple[float, float]:
        if self._whole is not None and self._laps >= LEAST_LAPS:
            return self._whole
        return self._tail if self._tail is not None and self._slow() else self._usual

    def _slow(self) -> bool:
        return len(self._known) >= LEAST_KNOWN and self._own > self._known[int(SLOWEST * len(self._known))]


def stopwatch(
    clock: str, added: tuple[float, float] | None, tail: tuple[float, float] | None = None, whole: tuple[float, float] | None = None
) -> Stopwatch:
    """A stopwatch; one that is slowed down where something is to be added (see SlowedStopwatch)."""
    return SlowedStopwatch(clock, *added, tail, whole) if added else Stopwatch(clock)


class _CudaEvents:
    """The time between two events of the device, which it stamps itself."""

    def __init__(self, cuda: Any) -> None:
        self._synchronize, self._clock = cuda.synchronize, perf_counter_ns
        self._first, self._last = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)

    def start(self) -> None:
        self._first.record()

    def elapsed_ns(self) -> int:
        self._last.record()
        self._last.synchronize()
        done = self._clock()
        self._synchronize()
        # An event is of one stream: where others still worked, the time ends when they have ended too.
        if self._clock() - done > OTHER_STREAMS_NS:
            self._last.record()
            self._last.synchronize()
        milliseconds: float = self._first.elapsed_time(self._last)
        return round(milliseconds * 1e6)


def resolution_ns(reading: str) -> float:
    """The step of a reading ("wall" or "cpu") in nanoseconds, as the platform states it (15.6 ms for "cpu" on Windows)."""
    return _RESOLUTION[reading] * 1e9


def _device(clock: str) -> Any:
    """What waits for the device of a clock; None where there is none."""
    if clock in ("cpu", "wall"):
        return None
    if clock not in CLOCKS:
        raise ValueError(f"clock: expected one of {', '.join(CLOCKS)}, found {clock!r}")
    package = "mlx.core" if clock == "mlx" else "torch"
    framework = sys.modules.get(package)
    if framework is None:
        raise RuntimeError(f"clock {clock!r}: expected {package} to be imported by the implementation's load, found it is not")
    return framework if clock == "mlx" else getattr(framework, clock)
