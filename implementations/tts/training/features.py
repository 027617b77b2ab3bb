"""What the voice learns from a recording: log-mel spectrogram, pitch, energy, and how long each sound lasts.

The spectrogram is that of `implementations.tts.mel`, in PyTorch: the vocoder's loss needs its gradient.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from implementations.tts.mel import HOP, SAMPLE_RATE, WINDOW, bands

LOWEST_PITCH, HIGHEST_PITCH, VOICED = 60.0, 180.0, 0.5
"""Hz, as far as espeak's American voice goes; the least autocorrelation of a voiced frame, of 1.

The range is narrow because octaves are mistaken in a wider one. Above 120 Hz, where 1 % of the sounds are, half the pitch is in it too.
"""


def spectrum(wave: Tensor, window: int = WINDOW, hop: int = HOP) -> Tensor:
    """(..., samples) to magnitudes (..., 1 + window // 2, samples // hop); differentiable also where there is silence."""
    edge = (window - hop) // 2
    flat = pad(wave.reshape(-1, wave.shape[-1]), (edge, edge), mode="reflect")
    shape = torch.hann_window(window, dtype=wave.dtype, device=wave.device)
    found = torch.stft(flat, window, hop, window=shape, center=False, return_complex=True)
    magnitudes = torch.sqrt(torch.view_as_real(found).square().sum(-1) + 1e-9)
    return magnitudes.reshape(*wave.shape[:-1], *magnitudes.shape[-2:])


def log_mel(magnitudes: Tensor) -> Tensor:
    """(..., 513, frames) to (..., 80, frames)."""
    return torch.log(torch.clamp(torch.from_numpy(bands()).to(magnitudes) @ magnitudes, min=1e-5))


def pitch(wave: Tensor) -> Tensor:
    """(samples,) to Hz (samples // hop,), 0 where nothing is voiced: the lag that a frame resembles itself at most (Boersma, 1993)."""
    edge = (WINDOW - HOP) // 2
    window = torch.hann_window(WINDOW, dtype=wave.dtype)
    frames = pad(wave, (edge, edge)).unfold(0, WINDOW, HOP)
    frames = (frames - frames.mean(1, keepdim=True)) * window
    shortest, longest = int(SAMPLE_RATE / HIGHEST_PITCH), int(SAMPLE_RATE / LOWEST_PITCH)
    lags = torch.arange(shortest, longest + 1)
    # The window makes long lags look weaker than they are: its own autocorrelation says by how much.
    similar = _autocorrelation(frames)[:, lags] / _autocorrelation(window[None])[:, lags]
    best = similar.argmax(1)
    loud = frames.square().mean(1) > 1e-6
    voiced = loud & (similar.gather(1, best[:, None])[:, 0] > VOICED)
    return torch.where(voiced, SAMPLE_RATE / lags[best], 0.0)


def _autocorrelation(frames: Tensor) -> Tensor:
    """(count, lags), 1 at lag 0."""
    power = torch.fft.rfft(frames, 2 * WINDOW).abs().square()
    found: Tensor = torch.fft.irfft(power)
    return found / found[:, :1].clamp(min=1e-12)


def bridged(values: np.ndarray) -> np.ndarray:
    """With what is 0 replaced by a straight line between its neighbours; all 0 stays so."""
    known = np.flatnonzero(values)
    return np.interp(np.arange(len(values)), known, values[known]) if len(known) else values.astype(np.float64)


def durations(starts: tuple[int, ...], frames: int) -> np.ndarray:
    """(sounds,) int64: frames of each, 0 for one between two frames; together `frames`. starts: first samples, ascending."""
    edges = np.minimum(np.round(np.array([*starts, frames * HOP]) / HOP).astype(np.int64), frames)
    edges[0] = 0
    return np.diff(edges)


def per_sound(values: np.ndarray, lasting: np.ndarray) -> np.ndarray:
    """(sounds,): the mean of (frames,) values over each sound; of one without frames, the value at its place."""
    ends = np.cumsum(lasting)
    starts = ends - lasting
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    means = (sums[ends] - sums[starts]) / np.maximum(lasting, 1)
    return np.asarray(np.where(lasting > 0, means, values[np.minimum(starts, len(values) - 1)]))
