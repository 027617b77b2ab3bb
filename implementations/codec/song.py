"""A song out of segments: which codes each sees, what it takes over from the one before, how their samples are joined.

Segments have 372 frames (29.76 s) and begin every 320; a segment's first latents are the last of the segment before, so they cannot be
computed side by side. Where they overlap, the samples fade from one to the next. Codes that the last one lacks repeat the song's own.
(HeartMuLa/heartlib's `detokenize`, which drops the last 4.16 s of songs of 104 + 320 k frames and cannot divide short segments.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from implementations.codec.configuration import CHANNELS, CODES_PER_SECOND, LATENTS_PER_FRAME, Configuration

SEGMENT = 372
"""Frames of codes."""

LONGEST_SECONDS = 3600.0

Flow = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(codes (songs, frames, quantizers) int64, noise (songs, latents, channels), context (songs, n, channels)) -> latents, as noise."""

Decode = Callable[[np.ndarray], np.ndarray]
"""Latents (t, channels) -> samples (n, 2) float32."""


@dataclass(frozen=True)
class Segments:
    """How a song is cut, in frames: `count` segments of `length`, one every `hop`."""

    length: int
    hop: int
    count: int

    @property
    def overlap(self) -> int:
        return self.length - self.hop


def cut(frames: int, length: int = SEGMENT) -> Segments:
    """Segments that cover `frames` whole; 80 of 93 parts of a segment are new, as upstream has it."""
    hop = length // 93 * 80 or max(1, length * 80 // 93)
    return Segments(length, hop, max(1, math.ceil((frames - (length - hop)) / hop)))


def seconds_of(frames: int) -> float:
    return frames / CODES_PER_SECOND


def noise_of(seed: int, segment: int, configuration: Configuration, length: int = SEGMENT) -> np.ndarray:
    """(latents, channels) float32 of a normal distribution: of a counter, so that no segment's depends on another's."""
    generator = np.random.Generator(np.random.Philox(key=[seed, segment]))
    return generator.standard_normal((LATENTS_PER_FRAME * length, configuration.out_channels), np.float32)


def song(
    codes: Iterable[np.ndarray],
    noise: Callable[[int], np.ndarray],
    flow: Flow,
    decode: Decode,
    configuration: Configuration,
    *,
    length: int = SEGMENT,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(latents (1, t, channels), samples (n, 2) float32) of each segment as soon as its codes are there.

    codes: (frames, quantizers) int64, in any number of parts. noise: (latents, channels) of the segment of that number. A segment that
    another one follows gives the samples up to where the next one begins to fade in.
    """
    heard = np.empty((0, configuration.num_quantizers), np.int64)
    state = _State(np.empty((1, 0, configuration.out_channels), np.float32), np.empty((0, CHANNELS), np.float32))
    segments, number = cut(length, length), 0
    for part in codes:
        heard = np.concatenate([heard, part])
        while len(heard) > number * segments.hop + length:  # there will be one more
            begin = number * segments.hop
            latents, samples = _segment(heard[begin : begin + length], noise(number), flow, decode, state)
            kept = segments.hop * configuration.samples_per_frame
            state = _State(latents[:, -LATENTS_PER_FRAME * segments.overlap :] if segments.overlap else latents[:, :0], samples[kept:])
            yield latents, samples[:kept]
            number += 1
    if len(heard):
        begin = number * segments.hop
        again = np.arange(begin, begin + length) % len(heard)
        latents, samples = _segment(heard[again], noise(number), flow, decode, state)
        yield latents, samples[: (len(heard) - begin) * configuration.samples_per_frame]


@dataclass(frozen=True)
class _State:
    """What a segment leaves for the next: its last latents, and the samples that fade out."""

    context: np.ndarray
    tail: np.ndarray


def _segment(codes: np.ndarray, noise: np.ndarray, flow: Flow, decode: Decode, state: _State) -> tuple[np.ndarray, np.ndarray]:
    latents = flow(codes[None], noise[None], state.context)
    samples = decode(latents[0])
    fading = len(state.tail)
    if fading:
        rising = np.linspace(0, 1, fading)[:, None]
        samples[:fading] = state.tail * (1 - rising) + samples[:fading] * rising
    return latents, samples
