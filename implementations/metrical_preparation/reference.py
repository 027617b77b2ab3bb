"""The preparation as the formula reads, in NumPy and in the probabilities' own precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Run

if TYPE_CHECKING:
    from harness.settings import Settings


def prepare(inputs: Inputs) -> Outputs:
    beat, downbeat = inputs["beat"], inputs["downbeat"]
    neither = ((1 - beat) + (1 - downbeat)) / 2
    activations = np.stack([np.maximum(1e-8, beat - downbeat), downbeat, neither], axis=-1)
    return {"activations": (activations / activations.sum(axis=-1, keepdims=True))[:, :2]}


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    yield prepare


IMPLEMENTATION = Implementation(
    component="metrical_preparation",
    name="reference",
    role="reference",
    load=load,
    clock="cpu",
    description="the formula, as the document's project has it",
)
