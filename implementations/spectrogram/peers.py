"""Outside libraries that compute the same spectrogram: madmom, which defined it, and librosa."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._madmom import madmom_module
from implementations.spectrogram.component import FLOAT32
from implementations.spectrogram.reference import (
    BINS,
    CHUNK,
    FRAME,
    FRAMES_PER_SECOND,
    check_finite,
    check_precision,
    check_signals,
    chunks,
    filterbank,
    frame_count,
    to_mono,
    window,
)

if TYPE_CHECKING:
    from harness.settings import Settings


@contextmanager
def load_madmom(settings: Settings) -> Iterator[Run]:
    """Gives `run`: upstream's processors, one chain per rate and dtype.

    A chain keeps its window, scaled for the first dtype it sees, and its filterbank: sharing one over dtypes gives wrong results.
    """
    audio = madmom_module("madmom.audio")
    chains: dict[tuple[int, str], Any] = {}

    def chain(rate: int, dtype: str) -> Any:
        if (rate, dtype) not in chains:
            steps = [
                audio.signal.FramedSignalProcessor(frame_size=FRAME, fps=FRAMES_PER_SECOND),
                audio.stft.ShortTimeFourierTransformProcessor(),
                audio.spectrogram.FilteredSpectrogramProcessor(num_bands=12, fmin=30, fmax=17000, norm_filters=True),
                audio.spectrogram.LogarithmicSpectrogramProcessor(mul=1, add=1),
            ]
            chains[rate, dtype] = madmom_module("madmom.processors").SequentialProcessor(steps)
        return chains[rate, dtype]

    def run(inputs: Inputs) -> Outputs:
        signals, rate = check_signals(inputs)
        process = chain(rate, str(signals.dtype))
        with np.errstate(invalid="ignore", over="ignore"):
            stems = [np.asarray(process(audio.signal.Signal(stem, sample_rate=rate, num_channels=1))) for stem in signals]
        result = np.stack(stems)
        check_finite(signals, float(result.sum(dtype=np.float64)))
        return {"spectrogram": result}

    yield run


@contextmanager
def load_librosa(settings: Settings) -> Iterator[Run]:
    """Gives `run`: librosa.stft with madmom's window and framing, then the reference's filters.

    librosa knows whole hops only: at other rates its stft gets the frames one after the other, uncentred, with a hop of 2048.
    int16 is scaled to [-1, 1] first. precision: of the transform; librosa's own choice would be float32.
    """
    import librosa

    check_precision("librosa", settings, "float32", "float64")
    precision: Any = np.dtype(settings.precision or "float64")
    taper = window().astype(precision)

    def transform(mono: np.ndarray, rate: int) -> np.ndarray:
        """(samples,) to (1025, frames) complex."""
        options: dict[str, Any] = {"n_fft": FRAME, "window": taper}
        if rate % FRAMES_PER_SECOND == 0:
            return np.asarray(librosa.stft(mono, hop_length=rate // FRAMES_PER_SECOND, center=True, pad_mode="constant", **options))
        frames = [
            np.lib.stride_tricks.sliding_window_view(np.pad(mono[c.first : c.last], (c.left, c.right)), FRAME)[c.starts].ravel()
            for c in chunks(len(mono), rate, CHUNK)
        ]
        return np.asarray(librosa.stft(np.concatenate(frames), hop_length=FRAME, center=False, **options))

    def run(inputs: Inputs) -> Outputs:
        signals, rate = check_signals(inputs)
        bank, frames = filterbank(rate), frame_count(signals.shape[1], rate)
        result = np.empty((len(signals), frames, bank.shape[1]), np.float32)
        for stem in range(len(signals) if frames else 0):  # librosa refuses an empty signal
            mono = to_mono(signals[stem : stem + 1])[0].astype(precision)
            if signals.dtype == np.int16:
                mono /= np.iinfo(np.int16).max
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="n_fft=.* is too large")
                try:
                    spectrum = transform(mono, rate)
                except librosa.ParameterError:
                    check_finite(signals, math.nan)
                    raise
            magnitudes = np.abs(spectrum[:BINS, :frames]).astype(np.float32, copy=False)
            result[stem] = np.log10(1 + bank.T @ magnitudes).T
        check_finite(signals, float(result.sum(dtype=np.float64)))
        return {"spectrogram": result}

    yield run


MADMOM = Implementation(
    component="spectrogram",
    name="madmom",
    role="peer",
    load=load_madmom,
    requires=Requires(packages=("madmom",)),
    description="the library that defined this spectrogram (BSD code, models for non-commercial use only)",
)
LIBROSA = Implementation(
    component="spectrogram",
    name="librosa",
    role="peer",
    load=load_librosa,
    requires=Requires(packages=("librosa",)),
    settings=("precision",),
    variants=(FLOAT32,),
    description="librosa.stft (ISC), then the same filters",
)
