"""Running medians of 31 values over magnitudes, along time and along frequency, as harmonic-percussive separation needs them.

Inputs: `magnitudes` (frames, bins) float32 >= 0, no NaN.
Outputs, both of that shape: `harmonic`, the medians along time; `percussive`, those along frequency; reflected at the ends. A median is one
of the values, so every implementation gives the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness import signals
from harness.component import Case, Component, Effect, Identical, Inputs, Outputs, Unit, Work

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

BINS, HOP = 1025, 512


def spectrogram_case(name: str, *, seconds: float, quick: bool = False) -> Case:
    """Magnitudes of a piece at 44.1 kHz, hop 512."""

    def make(seed: int) -> Inputs:
        samples = np.pad(signals.mix(seconds=seconds, sample_rate=44100, seed=seed), BINS - 1)
        frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * BINS - 2)[::HOP]
        magnitudes = np.abs(np.fft.rfft(frames * np.hanning(2 * BINS - 1)[:-1])).astype(np.float32)
        return {"magnitudes": magnitudes}

    return Case(name, make, quick=quick)


def check(inputs: Inputs) -> np.ndarray:
    """The magnitudes, C-contiguous, or TypeError, ValueError saying what was expected and found."""
    values = inputs["magnitudes"]
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        found = f"dtype {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise TypeError(f"median_filter: magnitudes: expected a NumPy array of float32, found {found}")
    if values.ndim != 2 or not values.size:
        raise ValueError(f"median_filter: magnitudes: expected shape (frames, bins) with at least one value, found {values.shape}")
    lowest = values.min()
    if not lowest >= 0:
        raise ValueError(f"median_filter: magnitudes: expected values >= 0 without NaN, found {lowest}")
    return np.ascontiguousarray(values)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Medians, of both directions."""
    return float(outputs["harmonic"].size + outputs["percussive"].size)


def work(inputs: Inputs) -> Work:
    """36 minima and maxima for a median by shared selection networks; read once, written once per direction."""
    size = inputs["magnitudes"].size
    return Work(operations=2.0 * 36 * size, bytes=4.0 * 3 * size)


def strategy() -> SearchStrategy[Inputs]:
    """Shapes around tiles, registers and the reach of a window; ties, zeros, infinities and denormals.

    Left out: sides of 2 and 3, where scipy reflects some windows of 31 to the element before the first (scipy 1.17).
    """
    from hypothesis import strategies as st

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        sides = st.one_of(st.sampled_from((1, 15, 16, 17, 30, 31, 32, 46, 47, 48)), st.integers(4, 80))
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        shape = (draw(sides), draw(sides))
        kind = draw(st.sampled_from(("distinct", "ties", "denormal", "extreme")))
        values = random.random(shape)
        if kind == "ties":
            values = np.floor(4 * values)
        elif kind == "denormal":
            values = values * 1e-42
        elif kind == "extreme":
            values = random.choice([0.0, 1e-45, 1.0, 3e38, np.inf], shape)
        return {"magnitudes": values.astype(np.float32)}

    return inputs()


COMPONENT = Component(
    name="median_filter",
    unit=Unit("median"),
    cases=(spectrogram_case("clip-5s", seconds=5, quick=True), spectrogram_case("song-30s", seconds=30)),
    policy={"harmonic": Identical(), "percussive": Identical()},
    produced=produced,
    strategy=strategy,
    work=work,
    effects=(Effect("threads", (1, 2), "song-30s", "processes"),),
    description="running medians of 31 along time and along frequency, as harmonic-percussive separation needs them",
)
