"""The log-mel spectrogram that both models speak of, as github.com/jik876/hifi-gan computes it.

22050 Hz, windows of 1024 samples every 256, reflected edges, magnitudes with 1e-9 under the root, 80 Slaney bands to 8 kHz, natural
logarithm from 1e-5 up.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE_RATE, WINDOW, HOP, BANDS, HIGHEST = 22_050, 1024, 256, 80, 8_000.0


def log_mel(wave: np.ndarray) -> np.ndarray:
    """(samples,) to (samples // 256, 80) float32; samples in [-1, 1] at 22050 Hz, at least 385 of them."""
    edge = (WINDOW - HOP) // 2
    padded = np.pad(wave.astype(np.float64), edge, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    magnitudes = np.sqrt(np.square(np.abs(np.fft.rfft(frames * window))) + 1e-9)
    return np.asarray(np.log(np.maximum(magnitudes @ bands().T, 1e-5)), np.float32)


@lru_cache(maxsize=1)
def bands() -> np.ndarray:
    """(80, 513) float32: triangles of equal area, linear to 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998)."""
    linear, step = 200 / 3, np.log(6.4) / 27
    mels = np.linspace(0, 15 + np.log(HIGHEST / 1000) / step, BANDS + 2)
    edges = np.where(mels < 15, mels * linear, 1000 * np.exp(step * (mels - 15)))
    frequency = np.arange(1 + WINDOW // 2) * SAMPLE_RATE / WINDOW
    rising = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(triangles, np.float32)
