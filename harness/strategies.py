"""Hypothesis strategies for adversarial audio, arrays and settings; import this module inside a strategy function only.

Everything shrinks towards what is small and plain: short before long, silence before noise, the first of each list of choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from harness.settings import NAMES, ConfigurationError, Settings

Dtype = Literal["int16", "float32", "float64"]

SAMPLE_RATES = (44100, 48000, 22050, 16000, 8000, 32000, 96000, 11025, 44101)
"""What audio really comes in, and one rate that divides nothing."""


def lengths(*, edges: Iterable[int] = (), longest: int = 8192) -> SearchStrategy[int]:
    """Counts of samples from 0 to `longest`: tiny ones, two to either side of each edge (frame, hop, block), and any."""
    _check("longest", longest >= 0, "a number >= 0", longest)
    near = {edge + offset for edge in (0, *edges) for offset in (-2, -1, 0, 1, 2)}
    return st.one_of(st.sampled_from(sorted(n for n in near if 0 <= n <= longest)), st.integers(0, longest))


def sample_rates(*, lowest: int = 8000, highest: int = 96000) -> SearchStrategy[int]:
    """Usual rates in Hz within the bounds, and any other."""
    _check("lowest, highest", 1000 <= lowest <= highest <= 768000, "1000 <= lowest <= highest <= 768000", (lowest, highest))
    usual = [rate for rate in SAMPLE_RATES if lowest <= rate <= highest]
    anything = st.integers(lowest, highest)
    return st.one_of(st.sampled_from(usual), anything) if usual else anything


@st.composite
def arrays(
    draw: DrawFn,
    shape: tuple[int, ...] | SearchStrategy[tuple[int, ...]],
    *,
    dtype: str = "float32",
    low: float = -1.0,
    high: float = 1.0,
    finite: bool = True,
) -> np.ndarray:
    """An array of floats in [low, high], row by row of one kind of content; with NaN and infinities where not `finite`.

    Contents: constant, one impulse, alternating extremes, noise, clipping, denormal numbers, loud beside quiet, a ramp.
    """
    _check("low, high", low < high, "low < high", (low, high))
    shape = draw(shape) if isinstance(shape, SearchStrategy) else shape
    rows, length = int(np.prod(shape[:-1], dtype=np.int64)), shape[-1] if shape else 1
    kinds = st.sampled_from(tuple(_CONTENTS))
    result = np.empty((rows, length), np.float64)
    for row in result:
        content = _CONTENTS[draw(kinds)]
        # Contents live in [-1, 1], with 0 as the plain value where the range has one.
        unit = content(length, np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**16)))))
        middle = 0.0 if low < 0 < high else (low + high) / 2
        row[:] = middle + np.where(unit < 0, unit * (middle - low), unit * (high - middle))
    array = np.clip(result, low, high).reshape(shape).astype(dtype)
    if not finite and array.size:
        for _ in range(draw(st.integers(1, 3))):
            array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from((np.nan, np.inf, -np.inf)))
    return array


@st.composite
def audio(
    draw: DrawFn,
    *,
    length: SearchStrategy[int] | None = None,
    channels: Sequence[int | None] = (None, 1, 2),
    dtypes: Sequence[Dtype] = ("float32", "float64", "int16"),
    finite: bool = True,
    contiguous: bool = False,
) -> np.ndarray:
    """Samples (n,) for a channel count of None, else (channels, n); floats in [-1, 1], int16 over its whole range.

    length: a strategy such as `lengths(edges=[2048])`. finite=False puts NaN and infinities into floats. Without
    `contiguous` some arrays are views whose channels or samples lie apart in memory.
    """
    count, dtype = draw(st.sampled_from(tuple(channels))), draw(st.sampled_from(tuple(dtypes)))
    size = draw(lengths() if length is None else length)
    floats = draw(arrays((count or 1, size), dtype="float64" if dtype == "int16" else dtype, finite=finite or dtype == "int16"))
    samples = np.round(floats * 32767.5 - 0.5).astype(np.int16) if dtype == "int16" else floats
    layout = "plain" if contiguous else draw(st.sampled_from(("plain", "channels last", "strided")))
    if layout == "channels last":
        samples = np.asfortranarray(samples)
    elif layout == "strided":
        wide = np.zeros((samples.shape[0], 2 * size), samples.dtype)
        wide[:, ::2] = samples
        samples = wide[:, ::2]
    return samples[0] if count is None else samples


def settings(**choices: Sequence[Any]) -> SearchStrategy[Settings]:
    """Settings with each named one drawn from its choices (None leaves it out): `settings(threads=(1, 2), precision=("float32",))`.

    ConfigurationError at once for a name or value that Settings does not know.
    """

    def build(values: Mapping[str, Any]) -> Settings:
        return Settings(**values)

    for name, values in choices.items():
        if name not in NAMES:
            raise ConfigurationError(f"unknown setting {name!r}; known: {', '.join(NAMES)}")
        for value in values:
            Settings(**{name: value})
    return st.fixed_dictionaries({name: st.sampled_from(tuple(values)) for name, values in choices.items()}).map(build)


def _impulse(length: int, random: np.random.Generator) -> np.ndarray:
    result = np.zeros(length)
    if length:
        # First, last or anywhere: an edge is where framing goes wrong.
        result[(0, length - 1, int(random.integers(length)))[int(random.integers(3))]] = 1.0
    return result


def _loud_and_quiet(length: int, random: np.random.Generator) -> np.ndarray:
    noise = random.uniform(-1, 1, length)
    noise[length // 2 :] *= 1e-5
    return noise


# The first is where shrinking ends.
_CONTENTS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "silence": lambda length, random: np.zeros(length),
    "constant": lambda length, random: np.full(length, random.uniform(-1, 1)),
    "impulse": _impulse,
    "alternating": lambda length, random: np.where(np.arange(length) % 2, -1.0, 1.0),
    "ramp": lambda length, random: np.linspace(-1, 1, length),
    "noise": lambda length, random: random.uniform(-1, 1, length),
    "clipping": lambda length, random: np.clip(random.uniform(-8, 8, length), -1, 1),
    "denormal": lambda length, random: random.uniform(-1, 1, length) * 1e-40,
    "loud and quiet": _loud_and_quiet,
}


def _check(name: str, right: bool, expected: str, found: object) -> None:
    if not right:
        raise ValueError(f"{name}: expected {expected}, found {found!r}")
