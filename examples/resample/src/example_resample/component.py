"""Sample rate conversion: what is computed, on what, how equal two results must be.

Inputs: `samples` (n,) float32 in [-1, 1]; `rate_in` and `rate_out` in Hz. Output: `resampled` (ceil(n * rate_out / rate_in),) float32,
filtered below the lower of the two Nyquist frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from harness import signals
from harness.component import Case, Close, Component, Inputs, Outputs, Unit, Work

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

CROSSINGS = 10
"""Zero crossings of the filter to each side."""


def ratio(rate_in: int, rate_out: int) -> tuple[int, int]:
    """(up, down) in lowest terms; ValueError for rates that are none."""
    if rate_in < 1 or rate_out < 1:
        raise ValueError(f"rates: expected at least 1 Hz, found {rate_in} to {rate_out}")
    common = math.gcd(rate_in, rate_out)
    return rate_out // common, rate_in // common


def case(name: str, seconds: float, rate_in: int, rate_out: int, *, quick: bool = False, thorough: str = "") -> Case:
    """Music of that length, converted from one rate to another."""

    def make(seed: int) -> Inputs:
        samples = signals.mix(seconds=seconds, sample_rate=rate_in, seed=seed)
        return {"samples": samples, "rate_in": rate_in, "rate_out": rate_out}

    return Case(name, make, quick=quick, thorough=thorough)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio in the result."""
    return len(outputs["resampled"]) / float(inputs["rate_out"])


def work(inputs: Inputs) -> Work:
    """A product and a sum per tap that meets a sample: 2 * CROSSINGS of them for each output, more where the rate falls."""
    up, down = ratio(inputs["rate_in"], inputs["rate_out"])
    count = -(-len(inputs["samples"]) * up // down)
    taps = 2 * CROSSINGS * max(up, down) / up
    return Work(operations=2.0 * count * taps, bytes=4.0 * (len(inputs["samples"]) + count), precision="float64")


def strategy() -> SearchStrategy[Inputs]:
    """Any usual pair of rates, lengths from nothing on, contents that are hard on a filter."""
    from hypothesis import strategies as st

    from harness import strategies

    rate: Callable[[], SearchStrategy[int]] = lambda: st.sampled_from((8000, 16000, 22050, 44100, 48000, 96000))  # noqa: E731
    samples = strategies.audio(length=strategies.lengths(edges=(147, 160, 640)), channels=(None,), dtypes=("float32",), contiguous=True)
    return st.fixed_dictionaries({"samples": samples, "rate_in": rate(), "rate_out": rate()})


COMPONENT = Component(
    name="resample",
    unit=Unit("audio second", 1.0),
    cases=(
        case("quick", 10.0, 44100, 48000, quick=True),
        case("speech", 60.0, 48000, 16000),
        case("song", 180.0, 44100, 48000, thorough="three minutes of audio per call: the work of quick, 18 times"),
    ),
    policy={"resampled": Close(2e-7, precision="float64, rounded to float32")},
    produced=produced,
    strategy=strategy,
    work=work,
    description="sample rate conversion with SciPy's polyphase filter",
)


def mono(inputs: Inputs) -> np.ndarray:
    """The samples (n,) of a call; ValueError says what else was found."""
    samples = np.asarray(inputs["samples"])
    if samples.ndim != 1 or samples.dtype != np.float32:
        raise ValueError(f"samples: expected (n,) float32, found {samples.shape} {samples.dtype}")
    return samples
