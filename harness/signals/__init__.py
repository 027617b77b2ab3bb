"""Deterministic audio: the same bytes for the same arguments, in every process and on every machine.

Random numbers are the raw integers of PCG64 (a stream NumPy promises to keep, unlike its distributions) scaled by powers of two.
Everything else is elementwise +, -, *, / and comparisons in float64, each rounded once by IEEE 754, then one rounding to float32.
Nothing here calls sin, exp, log or pow (their last bits depend on the processor's dispatch) or sums with a library reduction
(its order does).

Every function returns (n,) float32 in [-1, 1] with n = round(seconds * sample_rate), and raises ValueError for a length, rate or
seed outside its range.
"""

from __future__ import annotations

import numpy as np

from harness.signals.arithmetic import (
    Samples,
    add,
    below_nyquist,
    count_of,
    decay,
    generator,
    in_range,
    one,
    partials,
    render,
    sine,
    uniform,
    white,
)
from harness.signals.music import arranged, bass_phrase, chord_phrase, drum_phrase, melody_phrase, tempo

__all__ = ["STEMS", "Samples", "chirp", "clicks", "drums", "harmonic_tones", "mix", "noise", "silence", "stems"]

STEMS = ("bass", "drums", "other", "vocals")
"""The rows of `stems`."""


def silence(*, seconds: float, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Zeros; the seed changes nothing."""
    return np.zeros(count_of(seconds, sample_rate, seed), np.float32)


def noise(*, seconds: float, sample_rate: int = 44100, seed: int = 0, level: float = 0.5) -> Samples:
    """White noise, uniform in [-level, level]."""
    in_range("level", level, 0.0, 1.0)
    count = count_of(seconds, sample_rate, seed)
    random = generator(seed)
    return render(count, lambda index: level * white(random, len(index)))


def chirp(
    *, seconds: float, sample_rate: int = 44100, seed: int = 0, low: float = 20.0, high: float | None = None, level: float = 0.5
) -> Samples:
    """A sine that sweeps linearly from `low` to `high` Hz (0.45 of the sample rate by default); the seed turns its first phase."""
    high = 0.45 * sample_rate if high is None else high
    count = count_of(seconds, sample_rate, seed)
    in_range("low", low, 0.0, sample_rate / 2)
    in_range("high", high, 0.0, sample_rate / 2)
    in_range("level", level, 0.0, 1.0)
    start = one(generator(seed))
    slope = (high - low) / (2 * max(count, 1) / sample_rate)

    def block(index: np.ndarray) -> np.ndarray:
        time = index / sample_rate
        return level * sine(start + time * (low + slope * time))

    return render(count, block)


def harmonic_tones(
    *,
    seconds: float,
    sample_rate: int = 44100,
    seed: int = 0,
    frequencies: tuple[float, ...] = (110.0, 220.0, 329.0),
    harmonics: int = 6,
    level: float = 0.5,
) -> Samples:
    """Steady tones at `frequencies` (Hz), each with partials of amplitude 1 / k below half the sample rate; the seed turns phases."""
    count = count_of(seconds, sample_rate, seed)
    in_range("level", level, 0.0, 1.0)
    in_range("harmonics", harmonics, 1, 64)
    if not frequencies:
        raise ValueError("frequencies: expected at least one, found none")
    for frequency in frequencies:
        in_range("frequencies", frequency, 0.0, sample_rate / 2)
    starts = uniform(generator(seed), len(frequencies))

    def block(index: np.ndarray) -> np.ndarray:
        total = np.zeros(len(index))
        for start, frequency in zip(starts, frequencies, strict=True):
            total += partials(start + index * (frequency / sample_rate), min(harmonics, below_nyquist(frequency, sample_rate)))
        return (level / len(frequencies)) * total

    return render(count, block)


def clicks(*, seconds: float, sample_rate: int = 44100, seed: int = 0, bpm: float = 120.0, beats_per_bar: int = 4) -> Samples:
    """A metronome: 5 ms bursts at samples round(i * 60 / bpm * sample_rate), the first of each bar twice as strong."""
    count = count_of(seconds, sample_rate, seed)
    in_range("bpm", bpm, 10.0, 1000.0)
    in_range("beats_per_bar", beats_per_bar, 1, 64)
    random = generator(seed)
    size = max(1, round(0.005 * sample_rate))
    result = np.zeros(count)
    for beat in range(count + 1):
        first = round(beat * 60 / bpm * sample_rate)
        if first >= count:
            break
        burst = (0.9 if beat % beats_per_bar == 0 else 0.45) * white(random, size) * decay(size)
        burst[0] = 0.9 if beat % beats_per_bar == 0 else 0.45
        add(result, first, burst)
    return np.clip(result, -1, 1).astype(np.float32)


def drums(*, seconds: float, sample_rate: int = 44100, seed: int = 0, bpm: float = 120.0) -> Samples:
    """Kick, snare and hi-hat in 4/4, with strengths that vary from bar to bar."""
    in_range("bpm", bpm, 40.0, 300.0)
    return arranged(drum_phrase, seconds, sample_rate, seed, bpm)


def stems(*, seconds: float, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Bass, drums, other (chords) and vocals (a melody with vibrato) of one piece: (4, n) float32 that sum to `mix`."""
    bpm = tempo(seed)
    phrases = (bass_phrase, drum_phrase, chord_phrase, melody_phrase)
    return np.stack([arranged(phrase, seconds, sample_rate, seed, bpm) for phrase in phrases]) * np.float32(0.25)


def mix(*, seconds: float, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Music-like audio: the sum of `stems`, at a tempo of 90 to 149 beats per minute that the seed chooses."""
    parts = stems(seconds=seconds, sample_rate=sample_rate, seed=seed)
    # Spelled out, because the order of a library sum is not ours.
    return np.asarray(((parts[0] + parts[1]) + parts[2]) + parts[3], dtype=np.float32)
