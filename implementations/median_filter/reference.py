"""scipy's two-dimensional median filter, which librosa calls: the core of its separation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations.median_filter.component import check

if TYPE_CHECKING:
    from harness.settings import Settings


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`."""
    from scipy.ndimage import median_filter

    def run(inputs: Inputs) -> Outputs:
        values = check(inputs)
        return {
            "harmonic": np.asarray(median_filter(values, size=(31, 1), mode="reflect")),
            "percussive": np.asarray(median_filter(values, size=(1, 31), mode="reflect")),
        }

    yield run


IMPLEMENTATION = Implementation(
    component="median_filter",
    name="reference",
    role="reference",
    load=load,
    requires=Requires(packages=("scipy",)),
    description="scipy.ndimage.median_filter with windows of (31, 1) and (1, 31)",
)
