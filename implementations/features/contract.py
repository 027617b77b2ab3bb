"""What every implementation of the features shares: constants, the check of inputs, and the outputs made from per-frame values.

The features are those of the audio analysis of a song-scoring service (source document 000, `extract_audio_features`): librosa at its
defaults, frames of 2048 samples. Mode "full": the native rate, hop 512. Mode "lightweight": 22050 Hz, hop 1024, no separation into
harmonic and percussive parts, neither chroma nor MFCC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.component import Inputs, Outputs

FRAME, HOP = 2048, 512
BINS = FRAME // 2 + 1
MELS, COEFFICIENTS, PITCHES = 128, 13, 12
RATES = (8000, 192000)
LIGHTWEIGHT_RATE, LIGHTWEIGHT_HOP = 22050, 1024
BRIGHT = 5000.0
"""Hz: without separation the source document takes min(1, centroid / 5000 Hz) for the harmonic ratio."""

SCALARS = (
    "duration",
    "tempo",
    "beat_count",
    "spectral_centroid",
    "spectral_rolloff",
    "zero_crossing_rate",
    "rms_mean",
    "rms_std",
    "dynamic_range",
    "harmonic_ratio",
    "loudness",
)


@dataclass(frozen=True)
class Measured:
    """What a song's frames say, before it is put into words.

    centroid, rolloff: Hz, means over frames. crossings: mean share of samples in a frame where the sign changes. rms: (frames,) float32.
    harmonic: share of the mean magnitude, or None where it was not separated. chroma (12,), mfcc (13,): means over frames, or empty.
    """

    samples: int
    sample_rate: int
    tempo: float
    beats: np.ndarray
    centroid: float
    rolloff: float
    crossings: float
    rms: np.ndarray
    harmonic: float | None
    chroma: np.ndarray
    mfcc: np.ndarray


def outputs(found: Measured) -> Outputs:
    """The named outputs, float64 but for the count of beats."""
    mean = float(np.mean(found.rms))
    with np.errstate(divide="ignore"):  # silence has a range of -inf dB
        dynamic_range = float(20 * np.log10(found.rms.max() / (found.rms.min() + 1e-10)))
    harmonic = min(1.0, found.centroid / BRIGHT) if found.harmonic is None else found.harmonic
    scalars: Mapping[str, float] = {
        "duration": found.samples / found.sample_rate,
        "tempo": found.tempo,
        "spectral_centroid": found.centroid,
        "spectral_rolloff": found.rolloff,
        "zero_crossing_rate": found.crossings,
        "rms_mean": mean,
        "rms_std": float(np.std(found.rms)),
        "dynamic_range": dynamic_range,
        "harmonic_ratio": harmonic,
        "loudness": 20 * math.log10(mean + 1e-10) - 23,
    }
    return {
        **{name: np.asarray(value, np.float64) for name, value in scalars.items()},
        "beat_count": np.asarray(len(found.beats), np.int64),
        "beats": np.asarray(found.beats, np.float64),
        "chroma": np.asarray(found.chroma, np.float64),
        "mfcc": np.asarray(found.mfcc, np.float64),
    }


def check(inputs: Inputs, longest: float | None = None) -> tuple[np.ndarray, int]:
    """(samples,) float32 and the rate in Hz, or TypeError, ValueError saying what was expected and found. longest: seconds, or any."""
    samples, rate = inputs["samples"], inputs["sample_rate"]
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32:
        found = f"dtype {samples.dtype}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise TypeError(f"features: samples: expected a NumPy array of float32 in [-1, 1], found {found}; convert the samples first")
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"features: samples: expected shape (n,) with at least one sample, found {samples.shape}; mix down to mono first")
    if not isinstance(rate, int | np.integer) or isinstance(rate, bool):
        raise TypeError(f"features: sample_rate: expected a whole number of Hz, found {rate!r} ({type(rate).__name__})")
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"features: sample_rate: expected {RATES[0]} to {RATES[1]} Hz, found {rate}; resample the samples first")
    if longest is not None and len(samples) / rate > longest:
        raise ValueError(f"features: samples: expected at most {longest:g} s (longest_audio), found {len(samples) / rate:.1f} s; cut it")
    if not math.isfinite(float(np.dot(samples, samples))):
        finite = np.isfinite(samples)
        if finite.all():
            raise ValueError(f"features: samples: expected a normal level, found a peak of {np.abs(samples).max():g}; scale to [-1, 1]")
        where = int(np.argmin(finite))
        raise ValueError(f"features: samples: expected finite samples, found {samples[where]} at sample {where}; remove NaN and inf first")
    return np.ascontiguousarray(samples), int(rate)
