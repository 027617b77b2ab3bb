"""How much trouble a launch of the gate takes over a row, and how long it may take."""

from __future__ import annotations

from collections.abc import Sequence

from harness.measure.effort import Effort
from harness.measure.launch import CALLS_SHARE, ROUNDS_SHARE

EFFORT = Effort(
    slow_rounds=2,
    longest_call=30.0,
    share=False,
    block_seconds=0.0025,
    most_rounds=16,
    extension=2,
    quick_seconds=0.02,
    laps=25,
    one_cpu=True,
    first_chunk_seconds=0.0,
)
SLOW_ROUNDS, SLOW_SECONDS = 8, 0.01
"""Rounds of a launch where a call takes longer than a block should."""

CALLS, SHORT_SECONDS = 160, 0.002
"""A launch times so many calls singly where a call takes no longer: four stretches of them tell the 95 % latency."""

MOST_LAUNCH_SECONDS = 20.0


def budget(seconds: Sequence[float]) -> float:
    """Seconds for the rounds and single calls of one launch of these lanes, of which one has only made a slowed-down first call."""
    usual = sorted(seconds)[(len(seconds) - 1) // 2]
    each = max(EFFORT.block_seconds, usual)
    rounds = each * (EFFORT.most_rounds if each < SLOW_SECONDS else SLOW_ROUNDS) / ROUNDS_SHARE
    calls = usual * CALLS / CALLS_SHARE if usual < SHORT_SECONDS else 0.0
    return min(MOST_LAUNCH_SECONDS, len(seconds) * max(rounds, calls))
