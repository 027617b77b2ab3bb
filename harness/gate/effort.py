"""How much trouble a launch of the gate takes over a row, and how long it may take."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from harness.measure.effort import Budget, Effort

EFFORT = Effort(
    slow_rounds=2,
    longest_call=30.0,
    share=False,
    block_seconds=0.004,
    most_rounds=12,
    extension=2,
    quick_seconds=0.02,
    laps=25,
    alike=True,
    first_chunk_seconds=0.0,
    slice_seconds=0.01,
)
SLOW_ROUNDS, SLOW_SECONDS = 6, 0.01
"""Rounds of a launch where a call takes longer than a block should: enough calls for the 50 % latency."""

CALLS, SHORT_SECONDS = 120, 0.002
"""A launch times so many calls singly where a call takes no longer: six stretches of them tell the 95 % latency."""

CALLS_SECONDS = 0.016
"""A launch times single calls for so long at least: of short ones enough for the 99 % latency, of all that share a block for the 50 %."""

MOST_LAUNCH_SECONDS = 20.0


def budget(seconds: Sequence[float]) -> Budget:
    """What one launch of lanes whose calls take so many seconds may spend; one of them has only made a slowed-down first call."""
    usual = statistics.median_low(seconds)
    each = max(EFFORT.block_seconds, usual)
    rounds = each * (EFFORT.most_rounds if each < SLOW_SECONDS else SLOW_ROUNDS)
    calls = max(CALLS_SECONDS, usual * CALLS if usual < SHORT_SECONDS else 0.0)
    return Budget(min(MOST_LAUNCH_SECONDS, len(seconds) * rounds), len(seconds) * calls)
