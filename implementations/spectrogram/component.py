"""Log-filtered spectrograms of the stems of a song: what is computed, on what, how equal, at least how much work.

Inputs: `signals`, one array (stems, samples) or (stems, samples, channels) of int16 or float32 in [-1, 1]; `sample_rate` in Hz.
Output: `spectrogram` (stems, frames, bands) float32 with ceil(samples / hop) frames, hop = sample_rate / 100 (fractions allowed);
the number of bands depends on the rate (81 at 44.1 kHz).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import signals
from harness.component import Approximate, Case, Close, Component, Effect, Inputs, Metric, Outputs, Unit, Variant, Work
from implementations.spectrogram.reference import FRAME, FRAMES_PER_SECOND, filterbank, frame_count

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

RATES = (8000, 11025, 16000, 22050, 32000, 37800, 44100, 44117, 48000, 88200, 96000)
"""Hz: the usual ones, and two whose hop is no multiple of anything (11025, 44117)."""

FLOAT32 = Variant(
    {"precision": "float32"},
    {
        "spectrogram": Approximate(
            Metric("max_abs_difference", at_most=2e-5),
            "a float32 transform leaves noise of 1e-7 of the strongest bin in the weak ones: at worst 1.3e-5 in 7500 adversarial inputs",
        )
    },
)
"""The row of implementations that can transform in float32."""


def stems_case(name: str, *, seconds: float, sample_rate: int = 44100, quick: bool = False, thorough: str = "") -> Case:
    """The four stems of one piece, float32."""

    def make(seed: int) -> Inputs:
        return {"signals": signals.stems(seconds=seconds, sample_rate=sample_rate, seed=seed), "sample_rate": sample_rate}

    return Case(name, make, quick=quick, thorough=thorough)


def mix_case(name: str, *, seconds: float, quick: bool = False) -> Case:
    """One stem, the mix of a piece, float32 at 44.1 kHz."""

    def make(seed: int) -> Inputs:
        return {"signals": signals.mix(seconds=seconds, sample_rate=44100, seed=seed)[None], "sample_rate": 44100}

    return Case(name, make, quick=quick)


def _stereo(seed: int) -> Inputs:
    """A 16-bit stereo mix-down: bass, drums and half the rest left, vocals and half the rest right."""
    bass, drums, other, vocals = signals.stems(seconds=20, sample_rate=48000, seed=seed)
    channels = np.stack([bass + drums + other / 2, vocals + drums + other / 2], axis=-1)
    return {"signals": to_int16(channels)[None], "sample_rate": 48000}


def to_int16(samples: np.ndarray) -> np.ndarray:
    """[-1, 1] to int16, full scale at 32767 as madmom has it."""
    return np.clip(np.rint(samples * np.float32(32767)), -32768, 32767).astype(np.int16)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio, counting each stem: stems x frames / 100 of the result."""
    stems, frames, _ = outputs["spectrogram"].shape
    return float(stems * frames / FRAMES_PER_SECOND)


def work(inputs: Inputs) -> Work:
    """Per frame: window, a split-radix FFT of real data (2 N log2 N - 4 N + 6; Sorensen, Jones, Heideman, Burrus 1987), magnitudes of
    the bins in use, the filters' non-zero terms, a logarithm per band.

    In float64: float32 transforms miss the bound of 1e-6. Samples are read once, the result is written once.
    """
    array, rate = inputs["signals"], inputs["sample_rate"]
    bank = filterbank(rate)
    used = np.count_nonzero(bank.any(axis=1))
    per_frame = FRAME + 2 * FRAME * math.log2(FRAME) - 4 * FRAME + 6 + 4 * used + 2 * np.count_nonzero(bank) + 2 * bank.shape[1]
    frames = len(array) * frame_count(array.shape[1], rate)
    return Work(operations=float(frames * per_frame), bytes=float(array.nbytes + frames * bank.shape[1] * 4), precision="float64")


def from_audio(samples: np.ndarray, sample_rate: int) -> Inputs:
    """A recording is one stem; its channels are averaged."""
    return {"signals": np.ascontiguousarray(samples.T)[None], "sample_rate": sample_rate}


def strategy() -> SearchStrategy[Inputs]:
    """Lengths around the edges of frames and hops, any layout and rate, and contents that are hard on single precision."""
    from hypothesis import strategies as st

    contents = st.sampled_from(("silence", "impulse", "dc", "nyquist", "noise", "clipping", "denormal", "loud_and_quiet", "chirp"))

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        rate = draw(st.one_of(st.sampled_from(RATES), st.integers(8000, 96000)))
        hop = rate / FRAMES_PER_SECOND
        around = {0, 1024, 2048, *(int(k * hop) for k in (1, 2, 5))}
        edges = sorted({max(0, edge + offset) for edge in around for offset in (-1, 0, 1, 2)})
        samples = draw(st.one_of(st.sampled_from(edges), st.integers(0, 6000)))
        stems, channels = draw(st.integers(1, 4)), draw(st.sampled_from((None, 1, 2, 3, 6)))
        count = stems * (channels or 1)
        rows = [_content(draw(contents), samples, draw(st.integers(0, 2**16))) for _ in range(count)]
        array = np.stack(rows).reshape(stems, channels or 1, samples).swapaxes(1, 2)
        array = array[:, :, 0] if channels is None else array
        if draw(st.booleans()):
            array = to_int16(array)
        if draw(st.booleans()):
            array = np.ascontiguousarray(array)  # else the channels lie apart in memory
        return {"signals": array, "sample_rate": rate}

    return inputs()


def _content(kind: str, samples: int, seed: int) -> np.ndarray:
    """(samples,) float32 in [-1, 1]."""
    random = np.random.default_rng(seed)
    index = np.arange(samples)
    result: Any = np.zeros(samples)
    if kind == "impulse" and samples:
        result[seed % samples] = 1 - 2 * (seed & 1)
    elif kind == "dc":
        result += 1
    elif kind == "nyquist":
        result += 1 - 2 * (index & 1)
    elif kind == "noise":
        result = random.uniform(-1, 1, samples)
    elif kind == "clipping":
        result = np.clip(40 * np.sin(index * random.uniform(0.001, 3)), -1, 1)
    elif kind == "denormal":
        result = random.uniform(-1, 1, samples) * 1e-39
    elif kind == "loud_and_quiet":
        result = np.sin(index * random.uniform(0.01, 3)) * np.where(index < samples // 2, 1, 3e-5)
    elif kind == "chirp":
        result = np.sin(np.pi * index * index / max(2 * samples, 1))
    return np.asarray(result, np.float32)


COMPONENT = Component(
    name="spectrogram",
    unit=Unit("audio second", 1.0),
    cases=(
        mix_case("one-second", seconds=1),
        mix_case("quick", seconds=10, quick=True),
        Case("stereo-int16", _stereo, thorough="16-bit stereo at 48 kHz: other input for the work of quick"),
        stems_case("fractional-hop", seconds=10, sample_rate=22050, thorough="hops of 220.5 samples: other input for the work of quick"),
        stems_case("stems-30s", seconds=30),
        stems_case("stems-180s", seconds=180, thorough="four stems of a whole song: 12 minutes of audio per call"),
    ),
    policy={"spectrogram": Close(max_abs=1e-6, precision="float64 transform, float32 magnitudes and filters")},
    produced=produced,
    strategy=strategy,
    work=work,
    from_audio=from_audio,
    effects=(
        Effect("threads", (1, 2), "stems-30s", "processes"),
        Effect("precision", ("float32", "float64"), "quick", "output"),
        Effect("cache", (True, False), "one-second", "time"),
    ),
    description="log-filtered spectrogram of stems as madmom computes it: 12 bands per octave, 100 frames a second",
)
