"""Where a song's sections begin, from a network's section activations (mir-aidj/all-in-one), on the array's own device.

The stages: probabilities from logits, local maxima, peak picking, and the times of the sections. All but the first give the
same bits on NumPy, torch and MLX.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

from implementations.dbn.arrays import Array, check_finite, namespace, padded, sliding

BEAT_FRAMES = 24
"""The shortest beat at 100 frames a second; the local maxima are those within two such beats on either side."""

WINDOW_SECONDS = 12
"""What a section boundary is compared with, before and after."""


def functional_probabilities(section_logits: Array, function_logits: Array) -> tuple[Array, Array]:
    """Logits (frames,) and (functions, frames) -> probability of a boundary (frames,), and of each function (functions, frames)."""
    xp = namespace(section_logits)
    peak = reduce(xp.maximum, [function_logits[i] for i in range(function_logits.shape[0])])
    exponential = xp.exp(function_logits - peak)
    return 1.0 / (1.0 + xp.exp(-section_logits)), exponential / exponential.sum(0)


def local_maxima(values: Array, width: int = 4 * BEAT_FRAMES + 1) -> Array:
    """The values (frames,) that are the largest within `width` (odd) frames around them, equals included; 0 elsewhere."""
    check_finite("values", values, 1)
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width: expected an odd number of frames, found {width}")
    return _local_maxima(values, width) if values.shape[0] else values


def _local_maxima(values: Array, width: int) -> Array:
    xp = namespace(values)
    largest = sliding(xp.maximum, padded(values, width // 2, width // 2, -np.inf), width)
    return xp.where(values == largest, values, xp.zeros_like(values))


def peak_picking(values: Array, past: int, future: int) -> Array:
    """How far each peak stands out: (frames,), 0 where there is none.

    A peak is above 0 and the largest from `past` frames before to `future` frames after it, equals included. Its strength, which
    can be negative, is its height above the middle of the means before and after; outside there are zeros.
    """
    check_finite("values", values, 1)
    if past < 1 or future < 1:
        raise ValueError(f"past, future: expected at least 1 frame each, found {past} and {future}")
    return _peaks(values, past, future) if values.shape[0] else values


def _peaks(values: Array, past: int, future: int) -> Array:
    xp, frames = namespace(values), values.shape[0]
    with_zeros = padded(values, past, future, 0.0)
    largest = sliding(xp.maximum, with_zeros, past + future + 1)
    before = sliding(_add, with_zeros, past)[:frames] / past
    after = sliding(_add, with_zeros, future)[past + 1 :] / future
    strength = values - (before + after) / 2.0
    return xp.where((values == largest) & (values > 0), strength, xp.zeros_like(values))


def boundary_strength(probabilities: Array, fps: float = 100) -> Array:
    """Strength of the section boundary in each frame (frames,): local maxima, then peaks within 12 s on either side."""
    check_finite("probabilities", probabilities, 1)
    if not fps > 0:
        raise ValueError(f"fps: expected frames per second above 0, found {fps}")
    if not probabilities.shape[0]:
        return probabilities
    window = max(1, round(WINDOW_SECONDS * fps))
    width = 4 * max(1, round(BEAT_FRAMES * fps / 100)) + 1
    return _peaks(_local_maxima(probabilities, width), window, window)


def section_times(strength: np.ndarray, fps: float = 100) -> np.ndarray:
    """(sections, 2) float64: start and end in seconds; a section begins at 0 and at each strength above 0, the last ends with the song."""
    starts = np.flatnonzero(np.asarray(strength) > 0) / fps
    edges = np.unique(np.concatenate([[0.0], starts, [len(strength) / fps]]))
    return np.column_stack([edges[:-1], edges[1:]])


def _add(left: Array, right: Array) -> Array:
    return left + right
