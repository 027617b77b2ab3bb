"""Rows of one thread on one CPU: CPUs differ (who else runs on the core), and a worker tends to stay where it is."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Sequence

from harness.measure.lane import Lane

MOST = 2
"""Between so many CPUs rows move: what one of them does to a row must not be taken for the row."""


def draw_cpus(rng: random.Random) -> list[int]:
    """The CPUs to take turns on; one that stands for any where this system binds no process."""
    cpus = _allowed()
    return rng.sample(cpus, min(MOST, len(cpus)))


def share_a_cpu(lanes: Sequence[Lane], cpu: int | None) -> None:
    """Put rows of one thread on the same CPU, or, with None, back where they may run; others stay where they are."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for lane in lanes:
        if lane.clock == "cpu" and not lane.done and lane.worker is not None:
            allowed = lane.target.affinity or _allowed()
            with contextlib.suppress(OSError):  # its process has gone: its next answer says so
                os.sched_setaffinity(lane.worker.pid, allowed if cpu is None or cpu not in allowed else {cpu})


def _allowed() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
