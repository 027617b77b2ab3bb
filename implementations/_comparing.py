"""Two ways to compute the same, beside each other: how near, and how fast."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np


def snr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Signal to noise in dB; inf where nothing differs, -inf of silence and where there are other samples than expected."""
    if reference.shape != candidate.shape:
        return -math.inf
    wide = reference.astype(np.float64)
    signal, noise = (float(np.square(values).sum()) for values in (wide, candidate - wide))
    with np.errstate(divide="ignore"):  # silence, or endless noise
        return math.inf if noise == 0 else float(10 * np.log10(signal / noise))


def timed(calls: Mapping[str, Callable[[], object]], rounds: int) -> tuple[dict[str, float], list[float]]:
    """Median seconds of each of two calls, and the ratio first / second of every round; the calls take turns."""
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else names[::-1]:
            begin = time.perf_counter()
            calls[name]()
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - begin)
    ratios = [one / two for one, two in zip(*(times[name] for name in names), strict=True)]
    return {name: statistics.median(found) for name, found in times.items()}, ratios
