"""The same medians by selection networks that neighbouring windows share: in C++ and in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations.features.native import median
from implementations.features.network import REACH, TILE, reflected, running_medians
from implementations.median_filter.component import check

if TYPE_CHECKING:
    from harness.settings import Settings


@contextmanager
def load_native(settings: Settings) -> Iterator[Run]:
    """Gives `run`; one thread unless more are asked for."""
    import_module("implementations.features._native")
    threads = settings.threads or 1

    def run(inputs: Inputs) -> Outputs:
        values = check(inputs)
        return {"harmonic": median(values, 0, threads=threads), "percussive": median(values, 1, threads=threads)}

    yield run


@contextmanager
def load_numpy(settings: Settings) -> Iterator[Run]:
    """Gives `run`."""

    def run(inputs: Inputs) -> Outputs:
        values = check(inputs)
        return {"harmonic": _down(values), "percussive": np.ascontiguousarray(_down(np.ascontiguousarray(values.T)).T)}

    yield run


def _down(values: np.ndarray) -> np.ndarray:
    """Medians along axis 0."""
    rows = -(-len(values) // TILE) * TILE
    padded = values[reflected(-REACH, rows + 2 * REACH, len(values))]
    found = np.stack(running_medians(padded, np.minimum, np.maximum), axis=1)
    return np.ascontiguousarray(found.reshape(rows, -1)[: len(values)])


NATIVE = Implementation(
    component="median_filter",
    name="native",
    role="optimized",
    load=load_native,
    requires=Requires(native="implementations.features._native"),
    settings=("threads",),
    description="C++, 16 windows at a time share their sorted values; lanes are columns or rows",
)
NUMPY = Implementation(
    component="median_filter",
    name="numpy_network",
    role="optimized",
    load=load_numpy,
    description="the same network on whole NumPy arrays",
)
