"""Phrases: 4 bars of 4/4 in [-1, 1], rendered in two variants and then arranged, so that minutes cost little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.signals.arithmetic import Samples, add, below, below_nyquist, count_of, decay, generator, one, partials, sine, white

Phrase = Callable[[np.random.PCG64, int, float], np.ndarray]
"""(random numbers, sample rate, samples per beat) -> samples of 4 bars."""

# Just intonation: the steps of a scale as exact ratios, where 2 ** (n / 12) would need pow.
_SCALE = (1.0, 9 / 8, 6 / 5, 4 / 3, 3 / 2, 8 / 5, 9 / 5, 2.0)


def tempo(seed: int) -> float:
    """Beats per minute, 90 to 149."""
    return 90.0 + below(generator(seed), 60)


def arranged(phrase: Phrase, seconds: float, sample_rate: int, seed: int, bpm: float) -> Samples:
    """A phrase as long as is asked for, at that tempo: (n,) float32."""
    count = count_of(seconds, sample_rate, seed)
    random = generator(seed)
    beat = 60 / bpm * sample_rate
    variants = [phrase(random, sample_rate, beat).astype(np.float32) for _ in range(2)] if count else []
    result = np.empty(count, np.float32)
    floor = np.float32(2**-11)
    first = 0
    while first < count:
        variant = variants[below(random, 2)]
        gain = np.float32(0.5 + 0.49 * one(random))
        part = variant[: count - first]
        # A floor of noise at -60 dB keeps one repetition from being the bytes of another, and no sample exactly silent.
        hiss = white(random, len(part)).astype(np.float32)
        hiss *= floor
        hiss += part * gain
        result[first : first + len(part)] = hiss
        first += len(part)
    return result


def drum_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    result = np.zeros(round(16 * beat))
    size = max(1, round(min(0.2 * sample_rate, beat)))
    time = np.arange(size) / sample_rate
    # A kick falls from 150 to 50 Hz over 0.2 s.
    kick = 0.8 * sine(time * (150.0 - 250.0 * time)) * decay(size)
    for step in range(32):
        strength = 0.6 + 0.4 * one(random)
        at = round(step * beat / 2)
        if step % 4 == 0 or (step % 8 == 7 and below(random, 2)):
            add(result, at, strength * kick)
        if step % 4 == 2:
            add(result, at, 0.5 * strength * white(random, size) * decay(size))
        short = max(1, size // 4)
        add(result, at, 0.15 * strength * white(random, short) * decay(short))
    return np.clip(result, -1, 1)


def bass_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    notes = [(step * beat, beat, 55.0 * _SCALE[below(random, 5)]) for step in range(16)]
    return _notes(notes, sample_rate, beat, harmonics=4, level=1.0)


def chord_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    roots = [220.0 * _SCALE[below(random, 6)] for _ in range(8)]
    notes = [(2 * i * beat, 2 * beat, root * third) for i, root in enumerate(roots) for third in (1.0, 6 / 5, 3 / 2)]
    return _notes(notes, sample_rate, beat, harmonics=5, level=0.33)


def melody_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    notes = [(step * beat / 2, beat / 2, 440.0 * _SCALE[below(random, 8)]) for step in range(32) if below(random, 4)]
    return _notes(notes, sample_rate, beat, harmonics=8, level=1.0, vibrato=0.2)


def _notes(
    notes: list[tuple[float, float, float]], sample_rate: int, beat: float, *, harmonics: int, level: float, vibrato: float = 0.0
) -> np.ndarray:
    """(start, length in samples, Hz) each, decaying; `vibrato` swings the phase by that many turns, 5.5 times a second."""
    result = np.zeros(round(16 * beat))
    for start, length, frequency in notes:
        size = max(1, int(length))
        index = np.arange(size)
        turns = index * (frequency / sample_rate)
        if vibrato:
            turns += vibrato * sine(index * (5.5 / sample_rate))
        tone = partials(turns, min(harmonics, below_nyquist(frequency, sample_rate)))
        attack = np.minimum(1.0, index / max(1.0, 0.01 * sample_rate))
        add(result, round(start), level * tone * attack * decay(size))
    return np.clip(result, -1, 1)
