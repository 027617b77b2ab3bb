"""Audio features of a recording: what is computed, on what, how equal.

Inputs: `samples` (n,) float32 in [-1, 1], mono, n >= 1; `sample_rate` in Hz, 8000 to 192000.
Outputs, float64 unless said: `duration` (s), `tempo` (beats per minute; 0 without onsets), `beats` (s, ascending), `beat_count` (int64),
`spectral_centroid` and `spectral_rolloff` (Hz, 85 %), `zero_crossing_rate` (share of samples), `rms_mean`, `rms_std`, `dynamic_range`
(dB between the loudest and the quietest frame), `harmonic_ratio` (mean magnitude of the harmonic part over that of the whole),
`loudness` (20 log10(rms_mean) - 23 dB), `chroma` (12,) and `mfcc` (13,): means over frames; empty in lightweight mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness import signals
from harness.component import Approximate, Case, Close, Component, Effect, Identical, Inputs, Metric, Outputs, Unit, Variant
from implementations.features.contract import RATES

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

RELATIVE = 2e-6
"""librosa rounds its float64 spectrum to float32 and goes on in float32: its own results carry 1e-8 to 1e-6 of noise.

Coefficients of the MFCC can be anything near zero, as sums of 128 decibel values of which each is rounded to 4e-6: they get 1e-4 more,
a quarter of a millionth of the first coefficient. librosa itself is up to 1e-5 away from its own algorithm in float64.
"""


def _close(max_abs: float = 0.0) -> Close:
    return Close(max_abs=max_abs, max_rel=RELATIVE, precision="float64 transform, the rest float32")


def relative_deviation(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Largest |candidate - reference| / |reference|; 0 / 0 is 0."""
    difference = np.abs(np.asarray(candidate, np.float64) - reference)
    scale = np.where(difference == 0, 1.0, np.abs(reference))
    with np.errstate(divide="ignore"):
        return float(np.max(difference / scale, initial=0.0))


def values_kept(reference: np.ndarray, candidate: np.ndarray) -> float:
    """How many values of the reference are there."""
    return float(min(np.size(reference), np.size(candidate)))


def _deviates(bound: float, reason: str) -> Approximate:
    return Approximate(Metric("relative_deviation", at_most=bound, function=relative_deviation), reason)


def _differs(bound: float, reason: str) -> Approximate:
    return Approximate(Metric("max_abs_difference", at_most=bound), reason)


def _skipped(reason: str) -> Approximate:
    return Approximate(Metric("values_kept", at_most=0, function=values_kept), reason)


LIGHTWEIGHT = Variant(
    {"mode": "lightweight"},
    {
        "duration": _differs(1e-4, "a whole number of samples at 22050 Hz"),
        "tempo": _differs(320, "no bound holds: frames of 46 ms see other onsets; on music mostly 3 % off, or another metrical level"),
        "beats": Approximate(Metric("f_measure", at_least=0), "no bound holds: the beats of another tempo"),
        "beat_count": _differs(1e6, "no bound holds: the beats of another tempo"),
        "spectral_centroid": _deviates(2, "nothing above 11025 Hz is left; half on music at 44.1 kHz"),
        "spectral_rolloff": _deviates(2, "nothing above 11025 Hz is left; half on music at 44.1 kHz"),
        "zero_crossing_rate": _deviates(10, "crossings per sample, of samples as dense as 22050 Hz; a fifth more on music at 44.1 kHz"),
        "rms_mean": _deviates(1, "what lies above 11025 Hz is missing, frames last longer; 5 % on music"),
        "rms_std": _deviates(5, "frames last twice as long at 22050 Hz; 13 % on music"),
        "dynamic_range": _differs(80, "longer frames level out extremes; 11 dB on music with rests"),
        "loudness": _differs(10, "follows rms_mean; 0.5 dB on music"),
        "harmonic_ratio": _differs(1.1, "not separated: min(1, centroid / 5000 Hz) stands in its place, half of the ratio on music"),
        "chroma": _skipped("skipped in lightweight mode"),
        "mfcc": _skipped("skipped in lightweight mode"),
    },
)
"""The row of implementations that have the document's lightweight mode: another contract, compared with the full features.

The bounds hold for adversarial inputs too; what to expect of music stands beside them.
"""

FLOAT32 = Variant(
    {"precision": "float32"},
    {
        "spectral_rolloff": _deviates(1e-4, "a float32 transform moves the 85 % point of some frames by a bin"),
        "spectral_centroid": _deviates(1e-5, "float32 transform"),
        "harmonic_ratio": _deviates(1e-5, "float32 transform"),
        "chroma": _deviates(1e-4, "float32 transform"),
        "mfcc": Approximate(Metric("max_abs_difference", at_most=1e-2), "float32 transform: noise in bands 100 dB below the loudest"),
    },
)
"""The row of implementations that transform in float32."""


def song_case(name: str, *, seconds: float, quick: bool = False, thorough: str = "") -> Case:
    """The mix of a piece, at 44.1 kHz."""

    def make(seed: int) -> Inputs:
        return {"samples": signals.mix(seconds=seconds, sample_rate=44100, seed=seed), "sample_rate": 44100}

    return Case(name, make, quick=quick, thorough=thorough)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio that the features describe."""
    return float(outputs["duration"])


def from_audio(samples: np.ndarray, sample_rate: int) -> Inputs:
    """The mean of a recording's channels."""
    return {"samples": np.ascontiguousarray(samples.mean(axis=0, dtype=np.float32)), "sample_rate": sample_rate}


def strategy() -> SearchStrategy[Inputs]:
    """Lengths around the edges of frames, hops and blocks, any rate, silent stretches, all levels down to -120 dB.

    What is left out: spectra without peaks (an impulse, a constant, a few samples), because there librosa's estimate of the tuning, and
    with it the chroma, follows the last bits of its own transform; and two or three frames, where scipy's median filter, which librosa
    calls, reflects some windows of 31 to the element before the first (scipy 1.17).
    """
    from hypothesis import strategies as st

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        rate = draw(st.one_of(st.sampled_from((8000, 22050, 44100, 48000, 96000)), st.integers(*RATES)))
        edges = sorted(edge + offset for edge in (4096, 8192, 8704, 16384) for offset in (-1, 0, 1, 2))
        samples = draw(st.one_of(st.sampled_from(edges), st.integers(4000, 40000)))
        piece = signals.mix(seconds=1, sample_rate=rate, seed=draw(st.integers(0, 2**16)))
        array = np.resize(piece, samples) * np.float32(10.0 ** (draw(st.integers(-120, 0)) / 20))
        if draw(st.booleans()):
            array[: draw(st.integers(0, samples // 2))] = 0
        return {"samples": array, "sample_rate": rate}

    return inputs()


COMPONENT = Component(
    name="features",
    unit=Unit("audio second", 1.0),
    cases=(
        song_case("clip-10s", seconds=10, quick=True),
        song_case("song-30s", seconds=30),
        song_case("song-180s", seconds=180, thorough="librosa takes 20 s for a whole song"),
    ),
    policy={
        "duration": Identical(),
        "tempo": Identical(),
        "beats": Identical(),
        "beat_count": Identical(),
        "spectral_centroid": _close(),
        "spectral_rolloff": _close(),
        "zero_crossing_rate": _close(),
        "rms_mean": _close(),
        "rms_std": _close(),
        "dynamic_range": _close(),
        "harmonic_ratio": _close(),
        "loudness": _close(),
        "chroma": _close(),
        "mfcc": _close(max_abs=1e-4),
    },
    produced=produced,
    strategy=strategy,
    from_audio=from_audio,
    effects=(
        Effect("threads", (1, 2), "song-30s", "processes"),
        Effect("mode", ("full", "lightweight"), "clip-10s", "output"),
        Effect("longest_audio", (300.0, 9.0), "clip-10s", "error"),
    ),
    description="tempo, beats, timbre, dynamics, harmonic share, chroma and MFCC of a recording, as librosa computes them",
)
