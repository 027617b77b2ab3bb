"""Tempo and beats from an onset strength, as librosa 0.11 finds them (Ellis 2007): small arrays, so NumPy does for every implementation.

The recursion over frames and the spectra of the tempogram can be handed over to faster code; everything else costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implementations.features.contract import FRAME
from implementations.features.tables import hann

TIGHTNESS = 100.0
START, LOWEST_PRIOR = 120.0, 320.0
"""Beats per minute: where the prior is centred, and above which no tempo is looked for."""

Track = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]
"""(local scores, frames per beat) -> cumulative scores, frame of the beat before or -1."""

Autocorrelate = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(padded envelope, window, frames) -> mean over frames of the autocorrelation of a window, each scaled to 1 at lag 0."""


def envelope_of(strength: np.ndarray, hop: int) -> np.ndarray:
    """(frames,) float32: the rises at the time when they are heard. strength[t]: of frame t over t - 1; strength[0] is not used."""
    lag = 1 + FRAME // (2 * hop)
    result = np.zeros(len(strength), np.float32)
    result[lag:] = strength[1 : max(1, len(strength) - lag + 1)]
    return result


def tempo_and_beats(
    envelope: np.ndarray, sample_rate: int, hop: int, *, autocorrelate: Autocorrelate | None = None, track: Track | None = None
) -> tuple[float, np.ndarray]:
    """Beats per minute, and the beats in seconds; 0 and none where nothing ever rises."""
    if not envelope.any():
        return 0.0, np.zeros(0)
    length = int(8.0 * sample_rate) // hop
    padded = np.pad(envelope, length // 2, mode="linear_ramp", end_values=0)
    correlation = (autocorrelate or mean_autocorrelation)(padded, hann(length), len(envelope))
    with np.errstate(divide="ignore"):
        candidates = 60.0 * sample_rate / (hop * np.arange(length, dtype=np.float64))
        prior = -0.5 * (np.log2(candidates) - np.log2(START)) ** 2
    prior[: int(np.argmax(candidates < LOWEST_PRIOR))] = -np.inf
    tempo = float(candidates[np.argmax(np.log1p(1e6 * correlation) + prior)])
    frames = find_beats(envelope, tempo, sample_rate / hop, track or track_in_blocks)
    return tempo, frames * hop / float(sample_rate)


def mean_autocorrelation(padded: np.ndarray, window: np.ndarray, frames: int) -> np.ndarray:
    """(length,) float64. The mean is taken of power spectra: one inverse transform does for all frames."""
    size = 1 << (2 * len(window) - 2).bit_length()
    total = np.zeros(size // 2 + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(window))[:frames]
    for first in range(0, frames, 256):
        block = windows[first : first + 256] * window
        spectrum = np.fft.rfft(block, size)
        energy = np.square(block).sum(axis=1)
        scale = np.divide(1.0, energy, out=np.zeros_like(energy), where=energy > 0)
        total += scale @ (np.square(spectrum.real) + np.square(spectrum.imag))
    return correlation_from(total / frames, len(window))


def correlation_from(power: np.ndarray, length: int) -> np.ndarray:
    """The first `length` lags of the autocorrelation whose power spectrum this is."""
    return np.asarray(np.fft.irfft(power)[:length])


def find_beats(envelope: np.ndarray, tempo: float, frame_rate: float, track: Track) -> np.ndarray:
    """Frames of the beats, ascending."""
    period = float(np.round(frame_rate * 60.0 / tempo))
    onsets = envelope / (envelope.std(ddof=1) + np.finfo(np.float32).tiny)
    bump = np.exp(-0.5 * (np.arange(-period, period + 1) * 32.0 / period) ** 2)
    scores = np.convolve(onsets.astype(np.float64), bump)[len(bump) // 2 :][: len(onsets)]
    cumulative, before = track(scores, period)
    before[: int(np.argmax(scores >= 0.01 * scores.max()))] = -1  # no beat leads back into the silence before the first
    beats = []
    frame = _last_beat(cumulative)
    while frame >= 0:
        beats.append(frame)
        frame = int(before[frame])
    found = np.array(beats[::-1])
    smoothed = np.convolve(scores[found], np.hanning(5))[2 : len(scores) + 2]
    strong = np.flatnonzero(scores > 0.5 * np.sqrt(np.mean(np.square(smoothed))))
    if not len(strong):
        return found[:0]
    return np.asarray(found[(found >= strong[0]) & (found <= strong[-1])])


def track_in_blocks(scores: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    """Best cumulative score of a beat at each frame, and the beat before, or -1.

    No beat follows another within half a period, so that many frames can be computed side by side.
    """
    nearest, farthest = round(period / 2), int(2 * period)
    lags = np.arange(farthest, nearest - 1, -1)  # from the earliest frame to the latest
    penalty = TIGHTNESS * np.square(np.log(lags) - np.log(period))
    cumulative = np.concatenate([np.full(farthest, -np.inf), scores])  # nothing lies before the beginning
    before = np.full(len(scores), -1, np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(cumulative, len(lags))
    for first in range(0, len(scores), max(1, nearest)):
        last = min(first + max(1, nearest), len(scores))
        candidates = windows[first:last] - penalty
        best = len(lags) - 1 - np.argmax(candidates[:, ::-1], axis=1)  # of equals the latest
        values = candidates[np.arange(last - first), best]
        reached = values > -np.inf
        cumulative[farthest + first : farthest + last] += np.where(reached, values, 0)
        before[first:last] = np.where(reached, np.arange(first, last) - lags[best], -1)
    return cumulative[farthest:], before


def _last_beat(cumulative: np.ndarray) -> int:
    """The last local maximum that reaches half the median of them all."""
    peaks = np.zeros(len(cumulative), bool)
    peaks[1:-1] = (cumulative[1:-1] > cumulative[:-2]) & (cumulative[1:-1] >= cumulative[2:])
    peaks[-1] = cumulative[-1] > cumulative[-2]
    if not peaks.any():
        return len(cumulative) - 1
    enough = np.flatnonzero(peaks & (cumulative >= 0.5 * np.median(cumulative[peaks])))
    return int(enough[-1]) if len(enough) else len(cumulative) - 1
