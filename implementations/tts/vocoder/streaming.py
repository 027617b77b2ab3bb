"""Chunks of a sentence: a short one first, so that audio starts soon, each next twice as long, so that little is computed twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from implementations.tts.vocoder.shapes import Shape

FIRST, LONGEST = 8, 256
"""Mel frames of the first chunk, and of the longest: 93 ms and 3.0 s at 22.05 kHz. The second bounds the memory."""


@dataclass(frozen=True)
class Chunk:
    """mel: the frames to vocode, context included. wave: the samples of the result that are the chunk's own."""

    mel: slice
    wave: slice


def chunks(frames: int, shape: Shape, *, first: int = FIRST, longest: int = LONGEST) -> Iterator[Chunk]:
    """Joined, the waves of all chunks are the wave of all frames: to the last bit where a sum's order does not depend on its length."""
    start, size = 0, first
    while start < frames:
        stop = min(start + size, frames)
        left = max(0, start - shape.context)
        yield Chunk(
            slice(left, min(frames, stop + shape.context)),
            slice((start - left) * shape.hop, (stop - left) * shape.hop),
        )
        start, size = stop, min(2 * size, longest)
