"""The boundaries from their definition: every window looked at whole, means in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harness.component import Implementation, Inputs, Outputs, Run
from implementations.dbn.boundaries import BEAT_FRAMES, WINDOW_SECONDS

if TYPE_CHECKING:
    from harness.settings import Settings


def strength(inputs: Inputs) -> Outputs:
    values, fps = inputs["probabilities"], inputs["fps"]
    if not len(values):
        return {"strength": values}
    near, window = 2 * max(1, round(BEAT_FRAMES * fps / 100)), max(1, round(WINDOW_SECONDS * fps))

    around = sliding_window_view(np.pad(values, near, constant_values=-np.inf), 2 * near + 1)
    values = np.where(values == around.max(axis=-1), values, 0)

    around = sliding_window_view(np.pad(values.astype(np.float64), window), 2 * window + 1)
    before, after = around[:, :window].mean(axis=-1), around[:, window + 1 :].mean(axis=-1)
    peak = (values > 0) & (values == around.max(axis=-1))
    return {"strength": np.where(peak, values - (before + after) / 2, 0).astype(inputs["probabilities"].dtype)}


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    yield strength


IMPLEMENTATION = Implementation(
    component="functional_boundaries",
    name="reference",
    role="reference",
    load=load,
    clock="cpu",
    description="every window looked at whole, means in float64",
)
