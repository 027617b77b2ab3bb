"""Processor time in nanoseconds, that of ended child processes included: work may be done by them."""

from __future__ import annotations

import resource
from time import process_time_ns


def total_ns() -> int:
    """Of all threads of this process, and of its child processes that have ended."""
    return process_time_ns() + children_ns()


def children_ns() -> int:
    """Of child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((usage.ru_utime + usage.ru_stime) * 1e9)
