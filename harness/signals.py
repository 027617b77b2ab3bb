"""Deterministic audio: the same bytes for the same arguments, in every process and on every machine.

Random numbers are the raw integers of PCG64 (a stream NumPy promises to keep, unlike its distributions) scaled by powers of two.
Everything else is elementwise +, -, *, / and comparisons in float64, each rounded once by IEEE 754, then one rounding to float32.
Nothing here calls sin, exp, log or pow (their last bits depend on the processor's dispatch) or sums with a library reduction
(its order does).

Every function returns (n,) float32 in [-1, 1] with n = round(seconds * sample_rate), and raises ValueError for a length, rate or
seed outside its range.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

Samples = np.ndarray

STEMS = ("bass", "drums", "other", "vocals")
"""The rows of `stems`."""

_BLOCK = 1 << 15
# sin(pi / 2 * z) = z * (c0 + c1 z^2 + ...): Taylor up to z^15, |error| < 7e-12, far below float32's 6e-8.
_SINE = (
    1.5707963267948966,
    -0.6459640975062462,
    0.07969262624616703,
    -0.004681754135318687,
    0.00016044118478735975,
    -3.598843235212084e-06,
    5.692172921967924e-08,
    -6.688035109811464e-10,
)
# Just intonation: the steps of a scale as exact ratios, where 2 ** (n / 12) would need pow.
_SCALE = (1.0, 9 / 8, 6 / 5, 4 / 3, 3 / 2, 8 / 5, 9 / 5, 2.0)


def silence(*, seconds: float, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Zeros; the seed changes nothing."""
    return np.zeros(_length(seconds, sample_rate, seed), np.float32)


def noise(*, seconds: float, sample_rate: int = 44100, seed: int = 0, level: float = 0.5) -> Samples:
    """White noise, uniform in [-level, level]."""
    _in_range("level", level, 0.0, 1.0)
    count = _length(seconds, sample_rate, seed)
    random = _generator(seed)
    return _render(count, lambda index: level * _white(random, len(index)))


def chirp(
    *, seconds: float, sample_rate: int = 44100, seed: int = 0, low: float = 20.0, high: float | None = None, level: float = 0.5
) -> Samples:
    """A sine that sweeps linearly from `low` to `high` Hz (0.45 of the sample rate by default); the seed turns its first phase."""
    high = 0.45 * sample_rate if high is None else high
    count = _length(seconds, sample_rate, seed)
    _in_range("low", low, 0.0, sample_rate / 2)
    _in_range("high", high, 0.0, sample_rate / 2)
    _in_range("level", level, 0.0, 1.0)
    start = _one(_generator(seed))
    slope = (high - low) / (2 * max(count, 1) / sample_rate)

    def block(index: np.ndarray) -> np.ndarray:
        time = index / sample_rate
        return level * _sine(start + time * (low + slope * time))

    return _render(count, block)


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
    count = _length(seconds, sample_rate, seed)
    _in_range("level", level, 0.0, 1.0)
    _in_range("harmonics", harmonics, 1, 64)
    if not frequencies:
        raise ValueError("frequencies: expected at least one, found none")
    for frequency in frequencies:
        _in_range("frequencies", frequency, 0.0, sample_rate / 2)
    starts = _uniform(_generator(seed), len(frequencies))

    def block(index: np.ndarray) -> np.ndarray:
        total = np.zeros(len(index))
        for start, frequency in zip(starts, frequencies, strict=True):
            total += _harmonics(start + index * (frequency / sample_rate), min(harmonics, _below_nyquist(frequency, sample_rate)))
        return (level / len(frequencies)) * total

    return _render(count, block)


def clicks(*, seconds: float, sample_rate: int = 44100, seed: int = 0, bpm: float = 120.0, beats_per_bar: int = 4) -> Samples:
    """A metronome: 5 ms bursts at samples round(i * 60 / bpm * sample_rate), the first of each bar twice as strong."""
    count = _length(seconds, sample_rate, seed)
    _in_range("bpm", bpm, 10.0, 1000.0)
    _in_range("beats_per_bar", beats_per_bar, 1, 64)
    random = _generator(seed)
    size = max(1, round(0.005 * sample_rate))
    result = np.zeros(count)
    for beat in range(count + 1):
        first = round(beat * 60 / bpm * sample_rate)
        if first >= count:
            break
        burst = (0.9 if beat % beats_per_bar == 0 else 0.45) * _white(random, size) * _decay(size)
        burst[0] = 0.9 if beat % beats_per_bar == 0 else 0.45
        _add(result, first, burst)
    return np.clip(result, -1, 1).astype(np.float32)


def drums(*, seconds: float, sample_rate: int = 44100, seed: int = 0, bpm: float = 120.0) -> Samples:
    """Kick, snare and hi-hat in 4/4, with strengths that vary from bar to bar."""
    _in_range("bpm", bpm, 40.0, 300.0)
    return _arranged(_drum_phrase, seconds, sample_rate, seed, bpm)


def stems(*, seconds: float, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Bass, drums, other (chords) and vocals (a melody with vibrato) of one piece: (4, n) float32 that sum to `mix`."""
    bpm = _tempo(seed)
    phrases = (_bass_phrase, _drum_phrase, _chord_phrase, _melody_phrase)
    return np.stack([_arranged(phrase, seconds, sample_rate, seed, bpm) for phrase in phrases]) * np.float32(0.25)


def mix(*, seconds: float, sample_rate: int = 44100, seed: int = 0) -> Samples:
    """Music-like audio: the sum of `stems`, at a tempo of 90 to 149 beats per minute that the seed chooses."""
    parts = stems(seconds=seconds, sample_rate=sample_rate, seed=seed)
    # Spelled out, because the order of a library sum is not ours.
    return np.asarray(((parts[0] + parts[1]) + parts[2]) + parts[3], dtype=np.float32)


# Phrases: 4 bars of 4/4 in [-1, 1], rendered in two variants and then arranged, so that minutes cost little.


def _arranged(
    phrase: Callable[[np.random.PCG64, int, float], np.ndarray], seconds: float, sample_rate: int, seed: int, bpm: float
) -> Samples:
    count = _length(seconds, sample_rate, seed)
    random = _generator(seed)
    beat = 60 / bpm * sample_rate
    variants = [phrase(random, sample_rate, beat).astype(np.float32) for _ in range(2)] if count else []
    result = np.empty(count, np.float32)
    floor = np.float32(2**-11)
    first = 0
    while first < count:
        variant = variants[_below(random, 2)]
        gain = np.float32(0.5 + 0.49 * _one(random))
        part = variant[: count - first]
        # A floor of noise at -60 dB keeps one repetition from being the bytes of another, and no sample exactly silent.
        hiss = _white(random, len(part)).astype(np.float32)
        hiss *= floor
        hiss += part * gain
        result[first : first + len(part)] = hiss
        first += len(part)
    return result


def _drum_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    result = np.zeros(round(16 * beat))
    size = max(1, round(min(0.2 * sample_rate, beat)))
    time = np.arange(size) / sample_rate
    # A kick falls from 150 to 50 Hz over 0.2 s.
    kick = 0.8 * _sine(time * (150.0 - 250.0 * time)) * _decay(size)
    for step in range(32):
        strength = 0.6 + 0.4 * _one(random)
        at = round(step * beat / 2)
        if step % 4 == 0 or (step % 8 == 7 and _below(random, 2)):
            _add(result, at, strength * kick)
        if step % 4 == 2:
            _add(result, at, 0.5 * strength * _white(random, size) * _decay(size))
        short = max(1, size // 4)
        _add(result, at, 0.15 * strength * _white(random, short) * _decay(short))
    return np.clip(result, -1, 1)


def _bass_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    notes = [(step * beat, beat, 55.0 * _SCALE[_below(random, 5)]) for step in range(16)]
    return _notes(notes, sample_rate, beat, harmonics=4, level=1.0)


def _chord_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    roots = [220.0 * _SCALE[_below(random, 6)] for _ in range(8)]
    notes = [(2 * i * beat, 2 * beat, root * third) for i, root in enumerate(roots) for third in (1.0, 6 / 5, 3 / 2)]
    return _notes(notes, sample_rate, beat, harmonics=5, level=0.33)


def _melody_phrase(random: np.random.PCG64, sample_rate: int, beat: float) -> np.ndarray:
    notes = [(step * beat / 2, beat / 2, 440.0 * _SCALE[_below(random, 8)]) for step in range(32) if _below(random, 4)]
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
            turns += vibrato * _sine(index * (5.5 / sample_rate))
        tone = _harmonics(turns, min(harmonics, _below_nyquist(frequency, sample_rate)))
        attack = np.minimum(1.0, index / max(1.0, 0.01 * sample_rate))
        _add(result, round(start), level * tone * attack * _decay(size))
    return np.clip(result, -1, 1)


# Arithmetic.


def _sine(turns: np.ndarray) -> np.ndarray:
    """sin(2 pi turns) by folding to a triangle wave z, then a polynomial in z."""
    shifted = turns + 0.25
    shifted -= np.floor(shifted)
    shifted -= 0.5
    z = 1.0 - 4.0 * np.abs(shifted)
    square = z * z
    result = np.full_like(z, _SINE[-1])
    for coefficient in reversed(_SINE[:-1]):
        result *= square
        result += coefficient
    result *= z
    return result


def _harmonics(turns: np.ndarray, count: int) -> np.ndarray:
    """sum of sin(k 2 pi turns) / k for k = 1..count, scaled into [-1, 1] (the sum of a sawtooth's partials stays below 1.86)."""
    if count == 0:
        return np.zeros_like(turns)
    # sin(k a) = 2 cos(a) sin((k - 1) a) - sin((k - 2) a): two sines pay for all partials.
    double_cosine = 2.0 * _sine(turns + 0.25)
    before, now = np.zeros_like(turns), _sine(turns)
    total = now.copy()
    for k in range(2, count + 1):
        before, now = now, double_cosine * now - before
        total += now / k
    return total / (1.0 if count == 1 else 1.86)


def _decay(size: int) -> np.ndarray:
    """From 1 to almost 0, as a cube: near an exponential's shape, without exp."""
    line = 1.0 - np.arange(size) / size
    return np.asarray(line * line * line)


def _white(random: np.random.PCG64, size: int) -> np.ndarray:
    return 2.0 * _uniform(random, size) - 1.0


def _uniform(random: np.random.PCG64, size: int) -> np.ndarray:
    """[0, 1) in steps of 2**-53."""
    return np.asarray((random.random_raw(size) >> np.uint64(11)) * 2.0**-53)


def _one(random: np.random.PCG64) -> float:
    return float(_uniform(random, 1)[0])


def _below(random: np.random.PCG64, count: int) -> int:
    return int(_one(random) * count)


def _render(count: int, block: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """`block(sample indices)` over pieces that stay in the cache, rounded once to float32."""
    result = np.empty(count, np.float32)
    for first in range(0, count, _BLOCK):
        last = min(first + _BLOCK, count)
        result[first:last] = np.clip(block(np.arange(first, last, dtype=np.float64)), -1, 1)
    return result


def _add(target: np.ndarray, first: int, part: np.ndarray) -> None:
    part = part[: max(0, len(target) - first)]
    target[first : first + len(part)] += part


def _below_nyquist(frequency: float, sample_rate: int) -> int:
    """How many partials of `frequency` lie below half the sample rate."""
    return -int(-(sample_rate / 2) // frequency) - 1 if frequency else 1


def _tempo(seed: int) -> float:
    return 90.0 + _below(_generator(seed), 60)


def _generator(seed: int) -> np.random.PCG64:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"seed: expected a whole number >= 0, found {seed!r}")
    return np.random.PCG64(number)


def _length(seconds: float, sample_rate: int, seed: int) -> int:
    _generator(seed)
    if not isinstance(sample_rate, (int, np.integer)) or not 1000 <= sample_rate <= 768000:
        raise ValueError(f"sample_rate: expected a whole number of Hz from 1000 to 768000, found {sample_rate!r}")
    _in_range("seconds", seconds, 0.0, 1e6)
    return round(float(seconds) * int(sample_rate))


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, found {value!r}")
