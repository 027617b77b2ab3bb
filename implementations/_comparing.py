"""Two ways to compute the same, beside each other: how near, and how fast."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np

K = TypeVar("K", bound=Hashable)


def snr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Signal to noise in dB; inf where nothing differs, -inf of silence and where there are other samples than expected."""
    if reference.shape != candidate.shape:
        return -math.inf
    wide = reference.astype(np.float64)
    signal, noise = (float(np.square(values).sum()) for values in (wide, candidate - wide))
    with np.errstate(divide="ignore"):  # silence, or endless noise
        return math.inf if noise == 0 else float(10 * np.log10(signal / noise))


def in_turns(calls: Mapping[K, Callable[[], object]], rounds: int) -> dict[K, list[float]]:
    """Seconds of each call in every round; the order turns from round to round."""
    times: dict[K, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name in calls if turn % 2 else reversed(list(calls)):
            begin = time.perf_counter()
            calls[name]()
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - begin)
    return times


def timed(calls: Mapping[str, Callable[[], object]], rounds: int) -> tuple[dict[str, float], list[float]]:
    """Median seconds of each of two calls, and the ratio first / second of every round; the calls take turns."""
    times = in_turns(calls, rounds)
    ratios = [one / two for one, two in zip(*times.values(), strict=True)]
    return {name: statistics.median(found) for name, found in times.items()}, ratios
