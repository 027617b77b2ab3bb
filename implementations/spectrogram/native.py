"""The native kernel: a vector lane is a frame, float64 up to the magnitudes, as in madmom (kernel.cpp says how)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._cpus import usable_cpus
from implementations.spectrogram.component import FLOAT32
from implementations.spectrogram.reference import (
    FRAMES_PER_SECOND,
    check_finite,
    check_precision,
    check_signals,
    filterbank,
    frame_count,
    to_mono,
    window,
)

if TYPE_CHECKING:
    from harness.settings import Settings


def spectrogram(
    signals: np.ndarray, sample_rate: int, *, threads: int | None = None, precision: str = "float64", level: str = "auto"
) -> np.ndarray:
    """(stems, frames, bands) float32.

    signals: (stems, samples[, channels]) int16 or float32. threads: as many as there are CPUs by default; the result does not depend on
    them. precision: of window and transform; "float64" differs from the reference by less than 1e-6, "float32" by up to 2e-5.
    level: dispatch level ("avx512", "avx2", "neon", "baseline"), the fastest one by default.

    TypeError, ValueError: wrong dtype, shape, rate or level; samples that are not finite, or above 1e15.
    """
    signals, rate = check_signals({"signals": signals, "sample_rate": sample_rate})
    if precision not in ("float32", "float64"):
        raise ValueError(f"spectrogram.native: precision: expected float32 or float64, found {precision!r}")
    _native = import_module("implementations.spectrogram._native")
    plan = _plan(rate, signals.dtype == np.int16, level)
    mono = np.ascontiguousarray(to_mono(signals))
    result = np.empty((len(mono), frame_count(mono.shape[1], rate), plan.bands), np.float32)
    if not _native.spectrogram(plan, mono, result, threads=threads or usable_cpus(), single=precision == "float32"):
        check_finite(signals, float("nan"))
    return result


@lru_cache(maxsize=16)
def _plan(rate: int, integer: bool, level: str) -> Any:
    taper = window() / np.iinfo(np.int16).max if integer else window()
    return import_module("implementations.spectrogram._native").plan(taper, filterbank(rate), rate / FRAMES_PER_SECOND, level)


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`."""
    check_precision("native", settings, "float32", "float64")
    import_module("implementations.spectrogram._native")
    precision = settings.precision or "float64"

    def run(inputs: Inputs) -> Outputs:
        return {"spectrogram": spectrogram(inputs["signals"], inputs["sample_rate"], threads=settings.threads, precision=precision)}

    yield run


IMPLEMENTATION = Implementation(
    component="spectrogram",
    name="native",
    role="optimized",
    load=load,
    requires=Requires(native="implementations.spectrogram._native"),
    settings=("threads", "precision"),
    variants=(FLOAT32,),
    description="C++ with frames as vector lanes, run-time dispatch, float64 transform",
)
