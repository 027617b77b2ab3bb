"""MLX: all stems in one batched real FFT, on Apple's GPU or, with `mlx[cpu]`, on any processor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations.spectrogram.component import FLOAT32
from implementations.spectrogram.reference import (
    FRAME,
    FRAMES_PER_SECOND,
    Block,
    check_finite,
    check_form,
    check_precision,
    check_signals,
    chunks,
    filter_blocks,
    forget,
    window,
)

if TYPE_CHECKING:
    import mlx.core as mx

    from harness.settings import Settings

# Frames at a time, over all stems: what a processor's cache holds; a GPU wants large batches.
CPU_CHUNK, GPU_CHUNK = 128, 8192


def spectrogram(signals: np.ndarray | mx.array, sample_rate: int) -> mx.array:
    """(stems, frames, bands) float32 as an MLX array, so that the next stage needs no copy through NumPy.

    signals: (stems, samples[, channels]) int16 or float32. MLX transforms in float32 only: differs by up to 2e-5 from the reference.
    """
    import mlx.core as mx

    samples = signals if isinstance(signals, mx.array) else mx.array(np.ascontiguousarray(signals))
    rate = check_form(str(samples.dtype).removeprefix("mlx.core."), samples.shape, sample_rate)
    stems, length = samples.shape[:2]
    taper, blocks = constants(rate, samples.dtype == mx.int16)
    on_gpu = mx.default_device() == mx.Device(mx.gpu)
    parts = []
    for chunk in chunks(length, rate, max(1, (GPU_CHUNK if on_gpu else CPU_CHUNK) // stems)):
        mono = _mono(samples[:, chunk.first : chunk.last])
        padded = mx.pad(mono, [(0, 0), (chunk.left, chunk.right)])
        if rate % FRAMES_PER_SECOND == 0:
            shape, strides = (stems, len(chunk.starts), FRAME), (padded.shape[1], rate // FRAMES_PER_SECOND, 1)
            frames = mx.as_strided(padded, shape, strides)
        else:
            frames = padded[:, mx.array(chunk.starts[:, None] + np.arange(FRAME))]
        magnitudes = mx.abs(mx.fft.rfft(frames * taper)[..., : blocks[-1][0].last])
        bands = [magnitudes[..., block.first : block.last] @ weights for block, weights in blocks]
        parts.append(mx.log10(mx.concatenate(bands, axis=-1) + 1))
        mx.eval(parts[-1])  # else every chunk's intermediate results would wait in memory
    result = mx.concatenate(parts, axis=1) if parts else mx.zeros((stems, 0, blocks[-1][0].bands.stop))
    total = float(result.sum())
    if not math.isfinite(total):
        check_finite(np.array(samples), total)
    return result


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`, on MLX's default device; cache=False makes window and filters anew in every call."""
    import mlx.core as mx

    check_precision("mlx_batched", settings, "float32")

    def run(inputs: Inputs) -> Outputs:
        signals, rate = check_signals(inputs)
        if settings.cache is False:
            constants.cache_clear()
            forget()
        return {"spectrogram": np.array(spectrogram(signals, rate))}

    try:
        yield run
    finally:
        constants.cache_clear()
        mx.clear_cache()


def _mono(samples: mx.array) -> mx.array:
    """(stems, n[, channels]) to (stems, n) float32; the mean of int16 is truncated toward zero, as in the reference."""
    import mlx.core as mx

    if samples.ndim == 2:
        return samples.astype(mx.float32)
    if samples.dtype != mx.int16:
        return samples.mean(axis=2)
    total = samples.astype(mx.int32).sum(axis=2)
    return (mx.sign(total) * (mx.abs(total) // samples.shape[2])).astype(mx.float32)


@lru_cache(maxsize=16)
def constants(rate: int, integer: bool) -> tuple[mx.array, list[tuple[Block, mx.array]]]:
    """Window and filters of one rate, made once."""
    import mlx.core as mx

    taper: Any = window() / np.iinfo(np.int16).max if integer else window()
    return mx.array(taper.astype(np.float32)), [(block, mx.array(block.weights)) for block in filter_blocks(rate, 16)]


IMPLEMENTATION = Implementation(
    component="spectrogram",
    name="mlx_batched",
    role="optimized",
    load=load,
    requires=Requires(packages=("mlx",)),
    clock="mlx",
    settings=("precision", "cache"),
    variants=(FLOAT32,),
    plain=False,
    description="MLX, all stems in one batch; the result can stay on the device",
)
