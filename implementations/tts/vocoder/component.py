"""The vocoder alone, on the same mel for every implementation: what is computed, on what, how equal, at least how much work.

Inputs: `mel` (frames, mels) float32, finite; `vocoder`, a name of `shapes.SHAPES`.
Output: `wave` (frames * hop,) float32 in [-1, 1].
Beside them, in the case `speech`: `recording` (samples,), what the mel is of; the weights there are the trained ones that ship.
Elsewhere the weights are random, scaled so that the signal keeps its size from layer to layer: they say how fast and how equal, not how
it sounds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Approximate, Case, Component, Effect, Inputs, Metric, Outputs, Unit, Variant, Work
from implementations.tts import checkpoints
from implementations.tts.mel import log_mel
from implementations.tts.quality import proxies
from implementations.tts.vocoder.shapes import SHAPES, Shape

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

EXACT_DB = 110.0
"""What float32 reaches against float32: another order of the sums leaves 116 to 121 dB."""

SENTENCE = 431
"""Frames: 5.0 s of audio at 22.05 kHz."""


def precision_variant(precision: str, decibels: float, reason: str, also: tuple[Metric, ...] = ()) -> Variant:
    """The row of a narrower precision ("bfloat16", "int16", "int8"), with the ratio of signal to noise that it must reach.

    also: what it must keep on trained weights.
    """
    return Variant({"precision": precision}, {"wave": Approximate(Metric("snr_db", at_least=decibels), reason, also=also)})


BFLOAT16 = precision_variant("bfloat16", 35.0, "weights and what passes between layers have 8 significant bits", also=proxies())

FLOAT16 = precision_variant("float16", 50.0, "weights stored with 11 significant bits; all arithmetic in float32", also=proxies())


def check_inputs(inputs: Inputs) -> tuple[np.ndarray, str]:
    """mel (frames, mels), contiguous, and the vocoder's name; TypeError or ValueError says what is wrong with them."""
    mel, name = inputs["mel"], inputs["vocoder"]
    if name not in SHAPES:
        raise ValueError(f"tts_vocoder: vocoder: expected {', '.join(SHAPES)}, found {name!r}")
    return check_mel(mel, SHAPES[name]), name


def check_mel(mel: np.ndarray, shape: Shape) -> np.ndarray:
    """mel (frames, mels), contiguous; TypeError or ValueError says what is wrong with it."""
    if not isinstance(mel, np.ndarray) or mel.dtype != np.float32:
        found = f"dtype {mel.dtype}" if isinstance(mel, np.ndarray) else type(mel).__name__
        raise TypeError(f"tts_vocoder: mel: expected a float32 array, found {found}; convert with mel.astype(numpy.float32)")
    if mel.ndim != 2 or mel.shape[1] != shape.mels:
        raise ValueError(f"tts_vocoder: mel: expected shape (frames, {shape.mels}), found {mel.shape}; frames come first: mel.T?")
    if not np.isfinite(mel).all():
        frame, band = (int(i) for i in np.argwhere(~np.isfinite(mel))[0])
        raise ValueError(f"tts_vocoder: mel: expected finite values, found {mel[frame, band]} at frame {frame}, band {band}")
    return np.ascontiguousarray(mel)


def _make(name: str, frames: int, seed: int) -> Inputs:
    """Normal noise, which the random weights are scaled for."""
    random = np.random.Generator(np.random.PCG64([seed, frames]))
    return {"mel": random.standard_normal((frames, SHAPES[name].mels), np.float32), "vocoder": name}


def _speech(seed: int) -> Inputs:
    """A recording that the shipped weights were not trained on."""
    recordings = checkpoints.held_out()
    wave = recordings[seed % len(recordings)].wave
    return {"mel": log_mel(wave), "vocoder": "shipped", "recording": wave}


def _case(name: str, vocoder: str, frames: int, *, quick: bool = False, thorough: str = "") -> Case:
    return Case(name, partial(_make, vocoder, frames), quick=quick, thorough=thorough)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio in the wave."""
    return len(outputs["wave"]) / SHAPES[inputs["vocoder"]].sample_rate


def work(inputs: Inputs) -> Work:
    """The products of minimal filtering, each with an addition; mel, weights and wave once.

    Direct convolutions take 2.1 times as many: implementations that compute them cannot show a share above 47 %.
    """
    shape, frames = SHAPES[inputs["vocoder"]], len(inputs["mel"])
    weights = 4.0 * shape.parameters
    return Work(
        operations=2.0 * shape.products_per_frame * frames,
        bytes=weights + inputs["mel"].nbytes + 4.0 * frames * shape.hop,
        weight_bytes=weights,
    )


def strategy() -> SearchStrategy[Inputs]:
    """Few frames of anything, any layout, for the small generators."""
    from hypothesis import strategies as st

    from harness import strategies

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        name = draw(st.sampled_from(("v3", "v2")))
        frames = draw(st.one_of(st.sampled_from((1, 2, 7, 8, 9)), st.integers(1, 24)))
        mel = draw(strategies.arrays((frames, SHAPES[name].mels), dtype="float32", low=-12.0, high=3.0))
        return {"mel": np.asfortranarray(mel) if draw(st.booleans()) else mel, "vocoder": name}

    return inputs()


COMPONENT = Component(
    name="tts_vocoder",
    unit=Unit("audio second", 1.0),
    cases=(
        _case("quick", "v2", 64, quick=True),
        Case("speech", _speech),
        _case("sentence-5s-v3", "v3", SENTENCE),
        _case("sentence-5s-v2", "v2", SENTENCE),
        _case("sentence-5s", "v1", SENTENCE),
        _case("sentence-5s-48khz", "v1-48khz", 469, thorough="V1 at 48 kHz: 1.2 times the work of sentence-5s, by the same code"),
    ),
    policy={"wave": Metric("snr_db", at_least=EXACT_DB)},
    produced=produced,
    strategy=strategy,
    work=work,
    effects=(
        *(Effect("precision", ("float32", precision), "quick", "output") for precision in ("bfloat16", "float16", "int16", "int8")),
        Effect("threads", (1, 2), "sentence-5s-v2", "processes"),
        Effect("pool", (True, False), "quick", "time"),
    ),
    description="HiFi-GAN V1, V2, V3 and V1 at 48 kHz: mel spectrogram to wave",
)
