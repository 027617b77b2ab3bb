"""What a difference looks like, small enough to keep in a Record: a map of it, both curves around it, or both lists of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

MOST_CELLS = (64, 40)
"""Of a map: along the first and the last axis."""

AROUND = 64
"""Elements of a curve on either side of the worst."""

MOST_EVENTS = 80


@dataclass(frozen=True)
class Picture:
    """The difference of one output.

    kind: `map`: `candidate` holds the largest |difference| of each of `shape` cells, which cover `extent` elements of two axes from
    `start` on. `curve`: both sides in elements from `start[0]` on. `events`: both sides' times in seconds, around the first that differ.
    """

    kind: Literal["map", "curve", "events"]
    reference: tuple[float, ...]
    candidate: tuple[float, ...]
    shape: tuple[int, ...] = ()
    start: tuple[int, ...] = (0,)
    extent: tuple[int, ...] = ()


def picture(reference: np.ndarray, candidate: np.ndarray, difference: np.ndarray | None, where: tuple[int, ...] | None) -> Picture | None:
    """The picture of an output that differs; None where there is nothing to draw.

    difference: |candidate - reference|, None where the shapes differ. where: the worst element.
    """
    if _are_events(reference) and _are_events(candidate) and len(reference) + len(candidate):
        return _events(_times(reference).astype(np.float64), _times(candidate).astype(np.float64))
    if difference is None or where is None or not difference.size or reference.dtype.kind == "c":
        return None
    long = [axis for axis, size in enumerate(difference.shape) if size > 1]
    if len(long) >= 2:
        return _map(difference, where, long[-2], long[-1])
    if len(long) == 1:
        return _curve(reference.reshape(-1), candidate.reshape(-1), where[long[0]])
    return None


def _are_events(array: np.ndarray) -> bool:
    """Times that ascend, alone or with a label beside each: a list of beats."""
    if array.dtype.kind != "f" or not (array.ndim == 1 or (array.ndim == 2 and 1 <= array.shape[1] <= 3)):
        return False
    times = _times(array)
    return bool(np.isfinite(times).all() and (np.diff(times) > 0).all() and (not len(times) or times[0] >= 0))


def _times(array: np.ndarray) -> np.ndarray:
    return array if array.ndim == 1 else array[:, 0]


def _events(reference: np.ndarray, candidate: np.ndarray) -> Picture:
    both = min(len(reference), len(candidate))
    differs = np.flatnonzero(reference[:both] != candidate[:both])
    first = max(0, int(differs[0] if len(differs) else both) - MOST_EVENTS // 8)
    # As many as fit, over the same stretch of time on both sides.
    since = min((times[first] for times in (reference, candidate) if len(times) > first), default=0.0)
    until = min((times[first + MOST_EVENTS] for times in (reference, candidate) if len(times) > first + MOST_EVENTS), default=np.inf)
    one, other = (tuple(round(float(time), 4) for time in times[(times >= since) & (times <= until)]) for times in (reference, candidate))
    return Picture("events", one, other)


def _curve(reference: np.ndarray, candidate: np.ndarray, worst: int) -> Picture:
    start = max(0, worst - AROUND)
    part = slice(start, worst + AROUND + 1)
    one, other = (tuple(float(f"{value:.6g}") for value in array[part].astype(np.float64)) for array in (reference, candidate))
    return Picture("curve", one, other, start=(start,))


def _map(difference: np.ndarray, where: tuple[int, ...], first: int, last: int) -> Picture:
    place = tuple(slice(None) if axis in (first, last) else index for axis, index in enumerate(where))
    plane = difference[place]
    edges = [np.linspace(0, size, min(size, most), endpoint=False).astype(int) for size, most in zip(plane.shape, MOST_CELLS, strict=True)]
    largest = np.maximum.reduceat(np.maximum.reduceat(plane, edges[0], axis=0), edges[1], axis=1)
    cells = tuple(float(f"{value:.3g}") for value in largest.reshape(-1))
    return Picture("map", (), cells, tuple(largest.shape), (0, 0), tuple(plane.shape))
