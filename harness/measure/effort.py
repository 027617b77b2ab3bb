"""How much trouble a session takes over slow rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Budget(NamedTuple):
    """Seconds that the rounds of a launch may take, and its single calls, of all rows together."""

    rounds: float
    calls: float


@dataclass(frozen=True)
class Effort:
    """slow_rounds: the least rounds, in each launch, of a row whose call takes over a second. longest_call: of a row whose call
    takes more seconds only the first is timed. share: a row whose process is slow to get ready runs all cases of a launch in
    it, the quick one first; what only a fresh process can tell (first call, memory) is then absent from the others.
    block_seconds: of calls timed together. most_rounds: of blocks, in each launch. extension: so many times as many rounds are
    taken, within EXTENSION_SECONDS, of rows that were disturbed in nearly all of them. quick_seconds: a row whose call takes less
    answers every seed before it is timed; of slower ones the timed calls are checked. laps: stamps within a block, see Block. alike:
    the rows do the same work, so their blocks have equally many calls, and those of one thread take their rounds on the same CPU,
    now on this one, now on another. first_chunk_seconds: what calls that are left at their first chunk may take in each launch of a
    row, so that a percentile of first chunks can be told. slice_seconds: of single calls between two turns of the other rows, about.
    """

    slow_rounds: int = 1
    longest_call: float = 10.0
    share: bool = True
    block_seconds: float = 0.002
    most_rounds: int = 48
    extension: int = 1
    quick_seconds: float = 0.1
    laps: int = 0
    alike: bool = False
    first_chunk_seconds: float = 2.0
    slice_seconds: float = math.inf


EXTENSION_SECONDS = 6.0

DEFAULT = Effort()

THOROUGH = Effort(slow_rounds=3, longest_call=60.0, share=False)
"""Who asks for the long cases has time for them."""
