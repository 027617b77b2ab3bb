"""All frames at once; and a sloppy one that rounds, which the harness must catch."""

from contextlib import contextmanager

import numpy as np

from harness.component import Approximate, Implementation, Metric, Variant

from .component import FRAME


def level(samples, dtype):
    frames = samples[: len(samples) // FRAME * FRAME].astype(dtype).reshape(-1, FRAME)
    return (10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)).astype(np.float64)


@contextmanager
def load(settings):
    dtype = np.dtype(settings.precision or "float64")
    yield lambda inputs: {"level": level(inputs["samples"], dtype)}


@contextmanager
def load_sloppy(settings):
    yield lambda inputs: {"level": np.round(level(inputs["samples"], np.float64), 2)}


IMPLEMENTATION = Implementation(
    "acme_loudness",
    "vectorised",
    "optimized",
    load,
    clock="cpu",
    settings=("precision",),
    variants=(
        Variant(
            {"precision": "float32"},
            {"level": Approximate(Metric("max_abs_difference", at_most=1e-2), "float32 sums of squares")},
        ),
    ),
)
SLOPPY = Implementation("acme_loudness", "sloppy", "optimized", load_sloppy, clock="cpu")
