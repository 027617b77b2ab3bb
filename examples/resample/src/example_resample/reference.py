"""resample.reference: SciPy's polyphase filter in float64, which is the definition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from example_resample.component import mono, ratio
from harness.component import Implementation, Inputs, Outputs, Requires, Run

if TYPE_CHECKING:
    from harness.settings import Settings


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives run."""
    from scipy.signal import resample_poly

    def run(inputs: Inputs) -> Outputs:
        samples, (up, down) = mono(inputs), ratio(inputs["rate_in"], inputs["rate_out"])
        if not samples.size:
            return {"resampled": np.empty(0, np.float32)}
        return {"resampled": resample_poly(samples.astype(np.float64), up, down).astype(np.float32)}

    yield run


IMPLEMENTATION = Implementation("resample", "reference", "reference", load, requires=Requires(packages=("scipy",)), clock="cpu")
