"""The features by librosa itself, call by call as the source document makes them.

Two corrections without which its code does not run today: the tempo comes as an array of one element, and chroma and MFCC, computed and
thrown away there, are returned.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._modes import is_lightweight
from implementations.features.component import LIGHTWEIGHT
from implementations.features.contract import (
    COEFFICIENTS,
    HOP,
    LIGHTWEIGHT_HOP,
    LIGHTWEIGHT_RATE,
    Measured,
    check,
    outputs,
)

if TYPE_CHECKING:
    from harness.settings import Settings


def features(samples: np.ndarray, sample_rate: int, *, lightweight: bool = False) -> Outputs:
    """The named outputs of checked samples."""
    import librosa

    rate, hop = (LIGHTWEIGHT_RATE, LIGHTWEIGHT_HOP) if lightweight else (sample_rate, HOP)
    y = librosa.resample(samples, orig_sr=sample_rate, target_sr=rate) if rate != sample_rate else samples
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=.* is too large")
        warnings.filterwarnings("ignore", message="Trying to estimate tuning from empty")
        warnings.filterwarnings("ignore", message="Mean of empty slice|invalid value", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message="Empty filters detected")  # 128 bands below 4 kHz
        tempo, beats = librosa.beat.beat_track(y=y, sr=rate, hop_length=hop)
        centroid = librosa.feature.spectral_centroid(y=y, sr=rate, hop_length=hop)
        rolloff = librosa.feature.spectral_rolloff(y=y, sr=rate, hop_length=hop)
        crossings = librosa.feature.zero_crossing_rate(y, hop_length=hop)
        rms = librosa.feature.rms(y=y, hop_length=hop)
        harmonic, chroma, mfcc = None, np.zeros(0), np.zeros(0)
        if not lightweight:
            separated, _ = librosa.effects.hpss(y)
            harmonic = float(np.mean(np.abs(separated)) / (np.mean(np.abs(y)) + 1e-10))
            # Means in float64: librosa's arrays lie so that NumPy adds up their frames one by one, with an error of 2e-6 after 3 minutes.
            chroma = librosa.feature.chroma_stft(y=y, sr=rate, hop_length=hop).mean(axis=1, dtype=np.float64)
            mfcc = librosa.feature.mfcc(y=y, sr=rate, n_mfcc=COEFFICIENTS, hop_length=hop).mean(axis=1, dtype=np.float64)
    return outputs(
        Measured(
            samples=len(y),
            sample_rate=rate,
            tempo=float(np.squeeze(tempo)),
            beats=librosa.frames_to_time(beats, sr=rate, hop_length=hop),
            centroid=float(np.mean(centroid)),
            rolloff=float(np.mean(rolloff)),
            crossings=float(np.mean(crossings)),
            rms=rms[0],
            harmonic=harmonic,
            chroma=chroma,
            mfcc=mfcc,
        )
    )


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`."""
    for name in ("beat", "effects", "feature"):  # librosa loads its parts when they are first asked for
        import_module(f"librosa.{name}")
    lightweight = is_lightweight("features.reference", settings)

    def run(inputs: Inputs) -> Outputs:
        samples, rate = check(inputs, settings.longest_audio)
        return features(samples, rate, lightweight=lightweight)

    yield run


IMPLEMENTATION = Implementation(
    component="features",
    name="reference",
    role="reference",
    load=load,
    requires=Requires(packages=("librosa",)),
    settings=("mode", "longest_audio"),
    variants=(LIGHTWEIGHT,),
    description="librosa (ISC; it brings soxr, LGPL), each feature by a call of its own",
)
