"""Two sides of one launch: what was measured of both at the same time, so that what the machine did to both cancels; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from harness import stats
from harness.record import Block, Samples

Clock = Literal["wall", "cpu"]

SLICE_CALLS = 4
"""The median of so many calls is moved by none of them that is slow: the speed of a slice, beside which its slow calls still stand out."""


def comparable(one: Iterable[Block], other: Iterable[Block], clock: Clock) -> list[tuple[Block, Block]]:
    """The blocks of one launch that tell how the two sides compare, paired by their rounds.

    Of the rounds that both have: those with blocks divided on both sides, or the others, whichever are more. Of these the quiet
    ones; all, where so few are quiet that their median ratio is known less well.
    """
    mine, its = ({block.round: block for block in side} for side in (one, other))
    pairs = [(mine[number], its[number]) for number in sorted(mine.keys() & its.keys())]
    divided = [pair for pair in pairs if _divided(pair)]
    if 2 * len(divided) < len(pairs):
        divided = [pair for pair in pairs if not _divided(pair) and all(_seconds(block, clock) > 0 for block in pair)]
    quiet = [pair for pair in divided if all(block.quiet for block in pair)]
    known, all_known = (stats.median_error([log_ratio(pair, clock) for pair in some]) for some in (quiet, divided))
    return quiet if known <= all_known and quiet else divided


def log_ratio(pair: tuple[Block, Block], clock: Clock) -> float:
    """log(one / other) of the seconds per call of one round: of the steady part where both are divided, else of the whole, on the clock."""
    one, other = pair
    if one.steady_seconds and other.steady_seconds:
        return math.log(one.steady_seconds / other.steady_seconds)
    return math.log(_seconds(one, clock) / _seconds(other, clock))


def log_ratios(one: Iterable[Block], other: Iterable[Block], clock: Clock) -> list[float]:
    """log(one / other) at each of the comparable rounds."""
    return [log_ratio(pair, clock) for pair in comparable(one, other, clock)]


def at_one_speed(one: Samples, other: Samples, share: float) -> tuple[list[float], list[float]]:
    """The single calls of two sides as if the machine had kept one speed: those of each slice over its speed, times what is usual.

    That speed is of both sides together, the geometric mean of their medians. share: the percentile that is asked for; of a tail,
    calls in slices too small to have a speed beside their slow calls are left as they are.
    """
    mine, its = _sliced(one), _sliced(other)
    sizes = [len(part) for part in (*mine, *its)]
    if len(mine) != len(its) or (share > 0.5 and stats.median(sizes) < SLICE_CALLS):
        return list(one.calls), list(other.calls)
    speeds = [math.sqrt(stats.median(a) * stats.median(b)) for a, b in zip(mine, its, strict=True)]
    if not all(speeds):
        return list(one.calls), list(other.calls)
    usual = stats.median(speeds)
    return _scaled(mine, speeds, usual), _scaled(its, speeds, usual)


def _divided(pair: tuple[Block, Block]) -> bool:
    return all(block.steady_seconds for block in pair)


def _seconds(block: Block, clock: Clock) -> float:
    seconds = block.wall_seconds if clock == "wall" else block.cpu_seconds
    return seconds / block.calls if block.calls > 0 else 0.0


def _sliced(samples: Samples) -> list[Sequence[float]]:
    """The calls by slice; one slice of all where they do not say."""
    parts, start = [], 0
    for size in samples.slices:
        parts.append(samples.calls[start : start + size])
        start += size
    return [part for part in parts if part] if start == len(samples.calls) else [samples.calls]


def _scaled(parts: Sequence[Sequence[float]], speeds: Sequence[float], usual: float) -> list[float]:
    return [call / speed * usual for part, speed in zip(parts, speeds, strict=True) for call in part]
