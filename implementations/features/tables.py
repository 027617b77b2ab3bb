"""Filters and windows of the features, as librosa 0.11 defines them, made once per rate; the tuning of a recording."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from implementations.features.contract import BINS, COEFFICIENTS, FRAME, MELS, PITCHES


@lru_cache(maxsize=8)
def hann(length: int) -> np.ndarray:
    """(length,) float64, periodic."""
    return _frozen(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length))


@lru_cache(maxsize=8)
def mel_bank(sample_rate: int) -> np.ndarray:
    """(128, 1025) float32: triangles on Slaney's mel scale (linear to 1 kHz, then logarithmic), each of unit area."""
    step, knee, slope = 200 / 3, 15.0, np.log(6.4) / 27  # Hz per mel; 1 kHz in mel; log steps above

    def to_mel(hertz: float) -> float:
        return hertz / step if hertz < 1000 else knee + float(np.log(hertz / 1000)) / float(slope)

    mels = np.linspace(0.0, to_mel(sample_rate / 2), MELS + 2)
    edges = np.where(mels < knee, step * mels, 1000 * np.exp(slope * (mels - knee)))
    distance = edges[:, None] - np.linspace(0, sample_rate / 2, BINS)
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-distance[:-2] / widths[:-1], distance[2:] / widths[1:])).astype(np.float32)
    return _frozen((triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32))


@lru_cache(maxsize=32)
def chroma_bank(sample_rate: int, tuning: float) -> np.ndarray:
    """(12, 1025) float32: each bin shared out to the pitch classes around it, from C; strongest five octaves above 27.5 Hz.

    tuning: deviation from A4 = 440 Hz, in semitones.
    """
    notes = PITCHES * _octaves(np.linspace(0, sample_rate, FRAME, endpoint=False)[1:], tuning)
    notes = np.concatenate([[notes[0] - 1.5 * PITCHES], notes])  # bin 0 gets a place below bin 1
    width = np.concatenate([np.maximum(np.diff(notes), 1.0), [1.0]])
    distance = np.remainder(notes - np.arange(PITCHES)[:, None] + PITCHES / 2 + 10 * PITCHES, PITCHES) - PITCHES / 2
    bumps = np.exp(-0.5 * (2 * distance / width) ** 2)
    bumps /= np.sqrt((bumps**2).sum(axis=0))
    bumps *= np.exp(-0.5 * ((notes / PITCHES - 5) / 2) ** 2)
    return _frozen(np.ascontiguousarray(np.roll(bumps, -3, axis=0)[:, :BINS], dtype=np.float32))


@lru_cache(maxsize=1)
def cosines() -> np.ndarray:
    """(13, 128) float64: the first rows of the orthonormal DCT-II."""
    rows = np.cos(np.pi * np.arange(COEFFICIENTS)[:, None] * (np.arange(MELS) + 0.5) / MELS) * np.sqrt(2 / MELS)
    rows[0] /= np.sqrt(2)
    return _frozen(rows)


def tuning_of(peaks: np.ndarray) -> float:
    """Deviation from A4 = 440 Hz in semitones, in steps of 0.01: where most of the louder half of the peaks lie.

    peaks: (n, 2) float32, Hz and power.
    """
    pitches, powers = peaks[:, 0], peaks[:, 1]
    pitched = pitches > 0
    if not pitched.any():
        return 0.0
    loud = pitches[pitched & (powers >= np.median(powers[pitched]))]
    residual = np.mod(PITCHES * _octaves(loud, 0.0), 1.0)
    residual[residual >= 0.5] -= 1.0
    counts, edges = np.histogram(residual, np.linspace(-0.5, 0.5, 101))
    return float(edges[np.argmax(counts)])


def _octaves(hertz: np.ndarray, tuning: float) -> np.ndarray:
    return np.asarray(np.log2(hertz / (440.0 * 2.0 ** (tuning / PITCHES) / 16)))


def _frozen(array: Any) -> np.ndarray:
    array.setflags(write=False)  # shared by every caller in the process
    return np.asarray(array)
