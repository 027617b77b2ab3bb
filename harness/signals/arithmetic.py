"""The arithmetic of deterministic audio: random numbers, sines, partials, decays, and what is in range, all exact in their order."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

Samples = np.ndarray

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


def sine(turns: np.ndarray) -> np.ndarray:
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


def partials(turns: np.ndarray, count: int) -> np.ndarray:
    """sum of sin(k 2 pi turns) / k for k = 1..count, scaled into [-1, 1] (the sum of a sawtooth's partials stays below 1.86)."""
    if count == 0:
        return np.zeros_like(turns)
    # sin(k a) = 2 cos(a) sin((k - 1) a) - sin((k - 2) a): two sines pay for all partials.
    double_cosine = 2.0 * sine(turns + 0.25)
    before, now = np.zeros_like(turns), sine(turns)
    total = now.copy()
    for k in range(2, count + 1):
        before, now = now, double_cosine * now - before
        total += now / k
    return total / (1.0 if count == 1 else 1.86)


def decay(size: int) -> np.ndarray:
    """From 1 to almost 0, as a cube: near an exponential's shape, without exp."""
    line = 1.0 - np.arange(size) / size
    return np.asarray(line * line * line)


def white(random: np.random.PCG64, size: int) -> np.ndarray:
    """[-1, 1) in steps of 2**-52."""
    return 2.0 * uniform(random, size) - 1.0


def uniform(random: np.random.PCG64, size: int) -> np.ndarray:
    """[0, 1) in steps of 2**-53."""
    return np.asarray((random.random_raw(size) >> np.uint64(11)) * 2.0**-53)


def one(random: np.random.PCG64) -> float:
    """A number in [0, 1)."""
    return float(uniform(random, 1)[0])


def below(random: np.random.PCG64, count: int) -> int:
    """One of 0 to count - 1."""
    return int(one(random) * count)


def render(count: int, block: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """`block(sample indices)` over pieces that stay in the cache, rounded once to float32."""
    result = np.empty(count, np.float32)
    for first in range(0, count, _BLOCK):
        last = min(first + _BLOCK, count)
        result[first:last] = np.clip(block(np.arange(first, last, dtype=np.float64)), -1, 1)
    return result


def add(target: np.ndarray, first: int, part: np.ndarray) -> None:
    """Add `part` to `target` from `first` on, as far as it fits."""
    part = part[: max(0, len(target) - first)]
    target[first : first + len(part)] += part


def below_nyquist(frequency: float, sample_rate: int) -> int:
    """How many partials of `frequency` lie below half the sample rate."""
    return -int(-(sample_rate / 2) // frequency) - 1 if frequency else 1


def tempo(seed: int) -> float:
    return 90.0 + below(generator(seed), 60)


def generator(seed: int) -> np.random.PCG64:
    """The random numbers of a seed; ValueError for what is no seed."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"seed: expected a whole number >= 0, found {seed!r}")
    return np.random.PCG64(number)


def count_of(seconds: float, sample_rate: int, seed: int) -> int:
    """How many samples a signal has; ValueError where one of the three is out of range."""
    generator(seed)
    if not isinstance(sample_rate, (int, np.integer)) or not 1000 <= sample_rate <= 768000:
        raise ValueError(f"sample_rate: expected a whole number of Hz from 1000 to 768000, found {sample_rate!r}")
    in_range("seconds", seconds, 0.0, 1e6)
    return round(float(seconds) * int(sample_rate))


def in_range(name: str, value: float, low: float, high: float) -> None:
    """ValueError for what is no number from low to high."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, found {value!r}")
