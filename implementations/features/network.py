"""Running medians of 31 values on arrays of any library, by minima and maxima of whole arrays.

Sixteen neighbouring windows share 16 values, which are sorted once; halves of them share 8 more, and so on down to one window. Only values
that can still be the median are kept on the way: 36 operations per median (implementations/features/median.hpp is the same in C++).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TILE, REACH = 16, 15

Operation = Callable[[Any, Any], Any]


def reflected(first: int, count: int, length: int) -> np.ndarray:
    """Indices first .. first + count - 1 into a sequence that is reflected at both ends: ... 1 0 | 0 1 ... n - 1 | n - 1 ..."""
    index = np.arange(first, first + count) % (2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)


def running_medians(padded: Any, least: Operation, most: Operation) -> list[Any]:
    """Medians along axis 0: item o of the result holds windows o, o + 16, o + 32, ...

    padded: (16 k + 30, m), with 15 rows before the first window's centre and 15 behind the last one's.
    """
    last = len(padded) - (TILE - 1 + 2 * REACH)
    rows = [padded[i : i + last : TILE] for i in range(TILE + 2 * REACH)]
    found: dict[int, Any] = {}

    def order(values: list[Any], i: int, j: int) -> None:
        values[i], values[j] = least(values[i], values[j]), most(values[i], values[j])

    def sort_bitonic(values: list[Any]) -> list[Any]:
        half = len(values) // 2
        if not half:
            return values
        for i in range(half):
            order(values, i, i + half)
        return sort_bitonic(values[:half]) + sort_bitonic(values[half:])

    def sort(values: Sequence[Any]) -> list[Any]:
        half = len(values) // 2
        return sort_bitonic(sort(values[:half]) + sort(values[half:])[::-1]) if half else list(values)

    def descend(candidates: list[Any], first: int) -> None:
        half = len(candidates) // 2
        if not half:
            found[first] = candidates[0]
            return
        for window, new in ((first, first + half - 1), (first + half, first + 2 * REACH + 1)):
            more = sort(rows[new : new + half])
            kept = sort_bitonic([most(a, b) for a, b in zip(candidates[:half], more[::-1], strict=True)])
            kept = sort_bitonic([least(a, b) for a, b in zip(kept, candidates[: half - 1 : -1], strict=True)])
            descend(kept, window)

    descend(sort(rows[TILE - 1 : 2 * REACH + 1]), 0)
    return [found[o] for o in range(TILE)]
