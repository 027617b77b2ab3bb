"""Do a worker's clocks tell the truth? What it reports is held against what the parent sees of the same commands."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import clock_gettime, perf_counter

import psutil

# Processor time is compared sharply: waiting for a CPU does not add to it. Wall time has to be forgiving, for on a busy machine a
# worker waits long before it begins.
CPU_FACTOR, CPU_SECONDS = 3.0, 0.001
WALL_FACTOR, WALL_SECONDS = 10.0, 0.02
GROSS_SECONDS = 0.25


@dataclass
class Seen:
    """One command as the parent saw it, in seconds."""

    wall: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class Account:
    """Reported and seen seconds of one timed command."""

    wall: float
    cpu: float
    seen_wall: float
    seen_cpu: float


class Witness:
    """Collects the accounts of one worker."""

    def __init__(self) -> None:
        self._accounts: dict[str, list[Account]] = {}

    @contextlib.contextmanager
    def watch(self, pid: int) -> Iterator[Seen]:
        """Watch a command; what was seen is there after the block."""
        seen = Seen()
        wall, cpu = perf_counter(), cpu_seconds(pid)
        yield seen
        seen.wall, seen.cpu = perf_counter() - wall, cpu_seconds(pid) - cpu

    def add(self, kind: str, seen: Seen, *, wall: float, cpu: float, after: float = 0.0) -> None:
        """What the worker reported of a command of that kind; `after`: seconds of its own work outside the timer."""
        self._accounts.setdefault(kind, []).append(Account(wall, cpu, seen.wall - after, seen.cpu - after))

    def gross(self) -> bool:
        """Whether two commands took so much longer than reported that the rest need not be waited for."""
        return sum(one.seen_wall > WALL_FACTOR * one.wall + GROSS_SECONDS for kind in self._accounts.values() for one in kind) > 1

    def contradiction(self) -> str:
        """How the reported times contradict what was seen, or "". Kind by kind: an honest one must not make up for another."""
        return next((found for accounts in self._accounts.values() if (found := _contradiction(accounts))), "")


def _contradiction(accounts: Sequence[Account]) -> str:
    count = len(accounts)
    wall, cpu, seen_cpu = (sum(getattr(one, name) for one in accounts) for name in ("wall", "cpu", "seen_cpu"))
    if seen_cpu > CPU_FACTOR * cpu + CPU_SECONDS * count:
        return f"its clock reports {cpu:.3g} s of processor time, the system {seen_cpu:.3g} s"
    most = 2 * (os.cpu_count() or 1)
    if cpu > most * wall + CPU_SECONDS * count:
        return f"its clock reports {cpu:.3g} s of processor time within {wall:.3g} s on {os.cpu_count()} CPUs"
    # The calmer half: whatever else runs on this machine only adds to what is seen from here.
    calm = sorted(accounts, key=lambda one: one.seen_wall - WALL_FACTOR * one.wall)[: (count + 1) // 2]
    if sum(one.seen_wall - WALL_FACTOR * one.wall - WALL_SECONDS for one in calm) > 0:
        wall, seen_wall = sum(one.wall for one in calm), sum(one.seen_wall for one in calm)
        return f"its clock reports {wall:.3g} s for what took {seen_wall:.3g} s here"
    return ""


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, read from outside; 0 for one that has gone."""
    try:
        if sys.platform == "linux":
            return clock_gettime((~pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    except (OSError, psutil.Error):
        return 0.0
