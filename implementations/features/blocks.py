"""The features on arrays of a library (torch, MLX): blocks of frames with a halo, one transform for everything, medians by whole arrays.

What is small goes to NumPy: peaks, running sums in librosa's order, onsets, tempo and beats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.component import Outputs
from implementations.features import network, rhythm, tables
from implementations.features.contract import (
    BINS,
    FRAME,
    HOP,
    LIGHTWEIGHT_HOP,
    LIGHTWEIGHT_RATE,
    MELS,
    Measured,
    outputs,
)
from implementations.features.resample import resampled

CHUNK = 256  # frames; a multiple of network.TILE
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Library:
    """What differs between libraries.

    xp: the namespace. asarray, asnumpy: to and from NumPy. spectrum: (frames (n, 2048) float32, window (2048,) float64) -> complex64.
    complex: real and imaginary part to complex64. evaluate: computes what is pending.
    """

    xp: Any
    asarray: Callable[[np.ndarray], Any]
    asnumpy: Callable[[Any], np.ndarray]
    spectrum: Callable[[Any, np.ndarray], Any]
    evaluate: Callable[..., None]


def features(samples: np.ndarray, sample_rate: int, library: Library, *, lightweight: bool = False) -> Outputs:
    """The named outputs of checked samples."""
    rate, hop = (LIGHTWEIGHT_RATE, LIGHTWEIGHT_HOP) if lightweight else (sample_rate, HOP)
    y = resampled(samples, sample_rate, rate) if lightweight else samples
    count = 1 + len(y) // hop
    padded = np.pad(y, (FRAME // 2, FRAME // 2 + hop))
    centroid, rolloff, decibels = np.empty(count), np.empty(count), np.empty((count, MELS), np.float32)
    peaks: list[np.ndarray] = []
    harmonic = np.zeros(len(padded), np.float32)
    mel = library.asarray(np.ascontiguousarray(tables.mel_bank(rate).T))
    hertz = library.asarray(np.arange(BINS, dtype=np.float32))
    spacing = rate / FRAME
    for first in range(0, count, CHUNK):
        last = min(first + CHUNK, count)
        before, after = (0, 0) if lightweight else (min(first, network.REACH), min(count - last, network.REACH))
        spectrum = library.spectrum(_frames(library, padded, first - before, last + after, hop), tables.hann(FRAME))
        everything = library.xp.abs(spectrum)
        magnitude = everything[before : before + last - first]
        power = magnitude * magnitude
        weighted, total = (magnitude * hertz).sum(axis=1), magnitude.sum(axis=1)
        bands = power @ mel
        library.evaluate(weighted, total, bands, everything, power)
        sums = library.asnumpy(total).astype(np.float64)
        centroid[first:last] = spacing * library.asnumpy(weighted) / np.where(sums < TINY, 1.0, sums)
        rolloff[first:last] = spacing * _rolloff(library.asnumpy(magnitude))
        decibels[first:last] = 10 * np.log10(np.maximum(library.asnumpy(bands), np.float32(1e-10)))
        if not lightweight:
            peaks.append(_peaks(library.asnumpy(power), rate))
            mask = _mask(library, everything, first - before, slice(first, last), count)
            parts = library.asnumpy(library.xp.fft.irfft(spectrum[before : before + last - first] * mask))
            _overlap_add(harmonic, parts * tables.hann(FRAME), first * HOP)
    decibels = np.maximum(decibels, decibels.max() - 80)  # librosa keeps 80 dB
    rises = np.maximum(0, np.diff(decibels, axis=0, prepend=decibels[:1]))
    tempo, beats = rhythm.tempo_and_beats(rhythm.envelope_of(np.median(rises, axis=1), hop), rate, hop)
    return outputs(
        Measured(
            samples=len(y),
            sample_rate=rate,
            tempo=tempo,
            beats=beats,
            centroid=float(centroid.mean()),
            rolloff=float(rolloff.mean()),
            crossings=_crossings(y, count, hop),
            rms=_rms(y, count, hop),
            harmonic=None if lightweight else _share(harmonic, y, count),
            chroma=np.zeros(0) if lightweight else _chroma(library, padded, rate, count, tables.tuning_of(np.concatenate(peaks))),
            mfcc=np.zeros(0) if lightweight else tables.cosines() @ decibels.mean(axis=0, dtype=np.float64),
        )
    )


def _frames(library: Library, padded: np.ndarray, first: int, last: int, hop: int) -> Any:
    """(last - first, 2048), a view."""
    part = library.asarray(padded[first * hop : (last - 1) * hop + FRAME])
    return library.xp.as_strided(part, (last - first, FRAME), (hop, 1))


def _mask(library: Library, magnitude: Any, offset: int, frames: slice, count: int) -> Any:
    """A soft mask (frames, 1025) of what is steady in time against what is steady in frequency; magnitude[0] is frame `offset`."""
    xp, first, last = library.xp, frames.start, frames.stop
    rows = -(-(last - first) // network.TILE) * network.TILE
    index = network.reflected(first - network.REACH, rows + 2 * network.REACH, count) - offset
    # rows behind the last frame fill up the last tile
    in_time = _medians(library, magnitude[library.asarray(np.clip(index, 0, len(magnitude) - 1))], last - first)
    core = magnitude[first - offset : last - offset]
    columns = -(-BINS // network.TILE) * network.TILE
    index = network.reflected(-network.REACH, columns + 2 * network.REACH, BINS)
    in_frequency = _medians(library, core.T[library.asarray(index)], BINS).T
    larger = xp.maximum(in_time, in_frequency)
    scale = xp.where(larger < TINY, xp.ones_like(larger), larger)
    harmonic, percussive = (in_time / scale) ** 2, (in_frequency / scale) ** 2
    both = harmonic + percussive
    return xp.where(larger < TINY, xp.full_like(larger, 0.5), harmonic / xp.where(both > 0, both, xp.ones_like(both)))


def _medians(library: Library, padded: Any, rows: int) -> Any:
    found = network.running_medians(padded, library.xp.minimum, library.xp.maximum)
    return library.xp.stack(found, 1).reshape(len(padded) - 2 * network.REACH, -1)[:rows]


def _rolloff(magnitude: np.ndarray) -> np.ndarray:
    """First bin at which the float32 sum reaches 85 %."""
    sums = np.cumsum(magnitude, axis=1)
    return np.asarray((sums < np.float32(0.85) * sums[:, -1:]).sum(axis=1))


def _peaks(power: np.ndarray, rate: int) -> np.ndarray:
    """(n, 2) float32: Hz and height of the peaks between 150 and 4000 Hz, by a parabola through three bins."""
    spacing = rate / FRAME
    first = int(np.ceil(150 / spacing))
    last = min(int(np.ceil(min(4000.0, rate / 2) / spacing)), BINS - 1)
    left, middle, right = power[:, first - 1 : last - 1], power[:, first:last], power[:, first + 1 : last + 1]
    frame, at = np.nonzero((middle > np.float32(0.1) * power.max(axis=1, keepdims=True)) & (middle > left) & (middle >= right))
    left, middle, right = left[frame, at], middle[frame, at], right[frame, at]
    curve, slope = (left + right).astype(np.float64) - 2.0 * middle, (right - left) / 2.0
    shift = np.where(np.abs(slope) >= np.abs(curve), 0, -slope / np.where(curve == 0, 1, curve)).astype(np.float32)
    pitch = (at + first + shift.astype(np.float64)) * rate / FRAME
    return np.stack([pitch.astype(np.float32), middle + np.float32(0.5) * slope.astype(np.float32) * shift], axis=1)


def _overlap_add(to: np.ndarray, parts: np.ndarray, begin: int) -> None:
    """Adds frames (n, 2048), a hop apart, from sample `begin` on."""
    for quarter in range(FRAME // HOP):
        piece = parts[:, quarter * HOP : (quarter + 1) * HOP].reshape(-1)
        to[begin + quarter * HOP :][: len(piece)] += piece


def _share(harmonic: np.ndarray, y: np.ndarray, count: int) -> float:
    """Mean magnitude of the harmonic part over that of the whole."""
    weight = np.zeros(len(harmonic))
    _overlap_add(weight, np.broadcast_to(np.square(tables.hann(FRAME)), (count, FRAME)), 0)
    inside = slice(FRAME // 2, FRAME // 2 + len(y))
    part = np.abs(harmonic[inside]) / np.where(weight[inside] > TINY, weight[inside], 1)
    return float(part.mean() / (np.abs(y).mean(dtype=np.float64) + 1e-10))


def _chroma(library: Library, padded: np.ndarray, rate: int, count: int, tuning: float) -> np.ndarray:
    """(12,): means over frames, each frame scaled to a maximum of 1."""
    bank = library.asarray(np.ascontiguousarray(tables.chroma_bank(rate, tuning).T))
    total = np.zeros(len(tables.chroma_bank(rate, tuning)))
    for first in range(0, count, CHUNK):
        magnitude = library.xp.abs(library.spectrum(_frames(library, padded, first, min(first + CHUNK, count), HOP), tables.hann(FRAME)))
        raw = library.asnumpy((magnitude * magnitude) @ bank)
        highest = raw.max(axis=1, keepdims=True)
        total += (raw / np.where(highest < TINY, 1, highest)).sum(axis=0, dtype=np.float64)
    return total / count


def _crossings(y: np.ndarray, count: int, hop: int) -> float:
    """Mean share of samples in a frame at which the sign changes; the first of a frame does not count."""
    negative = np.pad(y < -1e-10, FRAME // 2, mode="edge")
    sums = np.concatenate([[0], np.cumsum(negative[1:] != negative[:-1])])
    starts = np.arange(count) * hop
    return float(np.mean(sums[starts + FRAME - 1] - sums[starts])) / FRAME


def _rms(y: np.ndarray, count: int, hop: int) -> np.ndarray:
    """(frames,) float32."""
    squares = np.square(np.pad(y, (FRAME // 2, FRAME // 2)))
    pieces = np.add.reduceat(squares, np.arange(0, len(squares), HOP), dtype=np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([pieces, np.zeros(4)]), FRAME // HOP)
    energy = windows[:: hop // HOP][:count].sum(axis=1)
    return np.asarray(np.sqrt(energy / FRAME), np.float32)
