"""The native decoder: equal to madmom's in every path and every bit of the log-probability (see decoder.hpp).

The exact method, about six times slower, is for ties, which activations as a network gives them hardly ever have: none of 360
decodings of made-up songs (component.py) of 3 and 10 minutes needed it. Rounding makes ties: of 300 decodings of a minute 1 needed
it in float16, 5 in steps of 1/255, 32 in steps of 1/100, and 25 where all below 0.02 had one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Requires, Run
from implementations.dbn.model import BarModel
from implementations.dbn.reference import track

if TYPE_CHECKING:
    from harness.settings import Settings


def decode(
    densities: np.ndarray, models: Sequence[BarModel], *, threads: int = 1, level: str = "auto", method: str = "fixed32"
) -> list[tuple[np.ndarray, float, str]]:
    """For each model the state path (frames,) uint32, its log-probability, and the method that found it.

    densities: (frames, 3) float64, log density of no beat, beat, downbeat. Where no path is possible it is empty, and the
    log-probability infinite. threads: at most one per model is used. level: dispatch level ("avx512", "avx2", ...).
    method: the first one to try of "fixed32", "fixed64", "exact"; all give the same result.
    """
    _native = import_module("implementations.dbn._native")
    densities = np.ascontiguousarray(densities, np.float64)
    found: list[tuple[np.ndarray, float, str]] = _native.decode(
        densities, [_tables(model) for model in models], threads=threads, level=level, method=method
    )
    return found


@lru_cache(maxsize=64)
def _tables(model: BarModel) -> tuple[Any, ...]:
    possible = np.isfinite(model.log_transitions)
    first = possible.argmax(axis=0)
    end = len(possible) - possible[::-1].argmax(axis=0)
    return (
        model.intervals.astype(np.int32),
        model.heads.astype(np.int32),
        np.ascontiguousarray(model.log_transitions),
        np.stack([first, end], axis=1).astype(np.int32),
        model.log_initial,
    )


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    import_module("implementations.dbn._native")
    threads = settings.threads or 1

    def decoder(densities: np.ndarray, models: Sequence[BarModel]) -> list[tuple[np.ndarray, float]]:
        return [(path, log_probability) for path, log_probability, _ in decode(densities, models, threads=threads)]

    yield lambda inputs: track(inputs, decoder)


IMPLEMENTATION = Implementation(
    component="dbn",
    name="native",
    role="optimized",
    load=load,
    requires=Requires(native="implementations.dbn._native"),
    clock="wall",
    settings=("threads",),
    description="explicit-duration Viterbi in SIMD: fixed point with certified decisions, madmom's own sums where that fails",
)
