"""Another sample rate, for the lightweight mode."""

from __future__ import annotations

import math

import numpy as np


def resampled(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """ceil(n * target / rate) samples, float32, by a polyphase filter (scipy's; Kaiser window, beta 5)."""
    if rate == target:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, target)
    return np.ascontiguousarray(resample_poly(samples, target // common, rate // common), dtype=np.float32)
