"""How many threads a kernel takes that is not told."""

from __future__ import annotations

import os


def usable_cpus() -> int:
    """CPUs that this process may run on; all of the machine where the system (not Linux) does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
