"""The native engine: one pass over blocks of 16 frames with vector lanes as frames (kernel.cpp says how).

The recording's tuning, its loudest band and its tempo are known only at the end, so three short passes follow the long one: onsets from
the mel bands that were kept, a tempogram from the onsets, and chroma from a second transform, which is cheaper than keeping the spectrum.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._cpus import usable_cpus
from implementations._modes import is_lightweight
from implementations.features.component import LIGHTWEIGHT
from implementations.features.contract import (
    FRAME,
    HOP,
    LIGHTWEIGHT_HOP,
    LIGHTWEIGHT_RATE,
    MELS,
    Measured,
    check,
    outputs,
)
from implementations.features.resample import low_pass, ratio
from implementations.features.rhythm import TIGHTNESS, correlation_from, envelope_of, mean_autocorrelation, tempo_and_beats
from implementations.features.tables import chroma_bank, cosines, hann, mel_bank, tuning_of

if TYPE_CHECKING:
    from harness.settings import Settings


def features(
    samples: np.ndarray, sample_rate: int, *, lightweight: bool = False, threads: int | None = None, level: str = "auto"
) -> Outputs:
    """The named outputs.

    samples: (n,) float32. threads: as many as there are CPUs by default; the result does not depend on them. level: dispatch level
    ("avx512", "avx2", "neon", "baseline"), the fastest one by default. TypeError, ValueError: as `contract.check`.
    """
    samples, rate = check({"samples": samples, "sample_rate": sample_rate})
    threads = threads or usable_cpus()
    if lightweight:
        samples, rate = resampled(samples, rate, LIGHTWEIGHT_RATE, threads=threads, level=level), LIGHTWEIGHT_RATE
    hop = LIGHTWEIGHT_HOP if lightweight else HOP
    native = import_module("implementations.features._native")
    plan = _plan(rate, hop, level)
    count, held = 1 + len(samples) // hop, -(-len(samples) // HOP)
    frames, mel = np.empty((2, count)), np.empty((MELS, _row(count)), np.float32)
    segments, counts = np.empty((3, held)), np.empty((2, held), np.int32)
    peaks = native.analyze(plan, samples, frames, mel, segments, counts, full=not lightweight, threads=threads)

    floor = float(mel[:, 1 : count + 1].max()) - 80.0  # librosa keeps 80 dB
    strength = np.empty(count, np.float32)
    levels = native.onsets(plan, mel, floor, strength, threads=threads)

    def autocorrelate(padded: np.ndarray, window: np.ndarray, frames: int) -> np.ndarray:
        if 2 * len(window) - 1 > FRAME:
            return mean_autocorrelation(padded, window, frames)
        envelope = np.concatenate([padded, np.zeros(FRAME + 64, np.float32)])
        return correlation_from(native.tempogram(plan, envelope, window, frames, threads=threads) / frames, len(window))

    def track(scores: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
        cumulative, before = np.empty_like(scores), np.empty(len(scores), np.int32)
        native.track(scores, period, TIGHTNESS, cumulative, before)
        return cumulative, before

    tempo, beats = tempo_and_beats(envelope_of(strength, hop), rate, hop, autocorrelate=autocorrelate, track=track)
    harmonic, chroma, mfcc = None, np.zeros(0), np.zeros(0)
    if not lightweight:
        _, whole, part = segments.sum(axis=1) / len(samples)
        harmonic = float(part / (whole + 1e-10))
        weights = np.ascontiguousarray(chroma_bank(rate, tuning_of(peaks)).T)
        chroma = native.chroma(plan, samples, weights, threads=threads) / count
        mfcc = cosines() @ (levels / count)
    energy, crossings = _per_frame(segments[0], count, hop // HOP), _per_frame(counts[0], count, hop // HOP)
    firsts = np.concatenate([np.zeros(2), counts[1], np.zeros(2)])[: count * (hop // HOP) : hop // HOP]
    return outputs(
        Measured(
            samples=len(samples),
            sample_rate=rate,
            tempo=tempo,
            beats=beats,
            centroid=float(np.mean(frames[0])),
            rolloff=float(np.mean(frames[1])),
            crossings=float(np.mean(crossings - firsts)) / FRAME,
            rms=np.sqrt(energy / FRAME).astype(np.float32),
            harmonic=harmonic,
            chroma=chroma,
            mfcc=mfcc,
        )
    )


def median(values: np.ndarray, axis: int, *, threads: int = 1, level: str = "auto") -> np.ndarray:
    """Running medians of 31 values along `axis`, reflected at the ends, as scipy.ndimage.median_filter has them to the bit.

    values: (rows, columns) float32 without NaN.
    """
    if values.dtype != np.float32 or values.ndim != 2:
        raise TypeError(f"median: values: expected float32 of shape (rows, columns), found {values.dtype} of shape {values.shape}")
    width = values.shape[1]
    if axis == 0 and width < 16:
        values = np.pad(values, ((0, 0), (0, 16 - width)))  # whole registers of columns; they do not meet
    result = np.empty(values.shape, np.float32)
    native = import_module("implementations.features._native")
    native.median(np.ascontiguousarray(values), result, axis=axis, level=level, threads=threads)
    return np.ascontiguousarray(result[:, :width])


def resampled(samples: np.ndarray, rate: int, target: int, *, threads: int = 1, level: str = "auto") -> np.ndarray:
    """ceil(n * target / rate) samples at another rate, float32: `resample.resampled` in C++.

    samples: (n,) float32, n >= 1. rate, target: Hz.
    """
    if rate == target:
        return samples
    up, down = ratio(rate, target)
    result = np.empty(-(-len(samples) * up // down), np.float32)
    native = import_module("implementations.features._native")
    native.resample(_resampler(up, down), np.ascontiguousarray(samples), result, level=level, threads=threads)
    return result


def _per_frame(segments: np.ndarray, frames: int, step: int) -> np.ndarray:
    """Sums over four segments of 512 samples, `step` apart, the first frame centred on sample 0."""
    padded = np.concatenate([np.zeros(2), segments, np.zeros(4)])
    total = padded[: len(padded) - 3] + padded[1 : len(padded) - 2] + padded[2 : len(padded) - 1] + padded[3:]
    return np.asarray(total[: (frames - 1) * step + 1 : step])


def _row(frames: int) -> int:
    """Room for a frame before the first and a block after the last, in rows that do not share cache sets."""
    return (frames + 48) // 16 * 16 + 16 * (1 - (frames + 48) // 16 % 2)


@lru_cache(maxsize=16)
def _plan(rate: int, hop: int, level: str) -> Any:
    return import_module("implementations.features._native").plan(rate, hop, hann(FRAME), mel_bank(rate), level)


@lru_cache(maxsize=8)
def _resampler(up: int, down: int) -> Any:
    return import_module("implementations.features._native").resampler(up, down, low_pass(up, down))


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`."""
    lightweight = is_lightweight("features.native", settings)
    import_module("implementations.features._native")

    def run(inputs: Inputs) -> Outputs:
        samples, rate = check(inputs, settings.longest_audio)
        return features(samples, rate, lightweight=lightweight, threads=settings.threads)

    yield run


IMPLEMENTATION = Implementation(
    component="features",
    name="native",
    role="optimized",
    load=load,
    requires=Requires(native="implementations.features._native"),
    settings=("threads", "mode", "longest_audio"),
    variants=(LIGHTWEIGHT,),
    description="C++ in one pass over blocks with frames as vector lanes, medians by shared selection networks",
)
