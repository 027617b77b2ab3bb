"""What an audio thread saw of a callback, as a record keeps it: enough to judge it again, without the millions of rows behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Results:
    """What the callback's results were like, looked at after every block that followed a settled start of its window.

    seen: distinct results used. skipped: pieces of audio between two of them that no result came of; gaps: how often that was.
    dropped: pieces of audio that could not be handed over. torn: payloads that do not fit their checksum. unfinite: payloads with NaN
    or infinity. ages: seconds from the last sample of the audio to each use, p50, p99 and the greatest; None where nothing was used.
    flagged: the share of blocks that used a stated fallback, by its name.
    """

    seen: int
    skipped: int
    gaps: int
    dropped: int
    torn: int
    unfinite: int
    ages: tuple[float, float, float] | None
    flagged: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """One callback, all its windows: times in seconds, counts in all.

    misses: blocks that ended after their deadline, the start of the next; woken_late: those of them that began after it, when nothing
    the callback does could help; missed_windows: windows with any, as booleans. wakes: p99 of the lateness of waking, per window.
    allocations and locks include the warm-up.
    """

    callbacks: int
    seconds: float
    misses: int
    woken_late: int
    missed_windows: tuple[bool, ...]
    run: tuple[float, float, float, float]
    wake: tuple[float, float, float]
    wakes: tuple[float, ...]
    voluntary: int
    involuntary: int
    faults: int
    allocations: int
    locks: int
    latencies: tuple[int, ...]
    results: Results | None
    realtime: bool
    watched: bool
    why: str


@dataclass(frozen=True)
class Played:
    """A callback and the empty one that took turns with it.

    latency: what the callback reports, in samples. frames, rate: samples of a block, Hz.
    """

    subject: Figures
    empty: Figures
    latency: int
    frames: int
    rate: float
