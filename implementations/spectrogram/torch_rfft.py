"""PyTorch: chunks of frames through a batched real FFT, on the CPU, CUDA or Apple's GPU."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._torch import settle
from implementations.spectrogram.component import FLOAT32
from implementations.spectrogram.reference import (
    FRAME,
    FRAMES_PER_SECOND,
    Block,
    Chunk,
    check_finite,
    check_form,
    check_precision,
    check_signals,
    chunks,
    filter_blocks,
    forget,
    frame_count,
    window,
)

if TYPE_CHECKING:
    import torch

    from harness.settings import Settings

# Frames at a time, over all stems: what a core's cache holds; a GPU wants large batches.
CPU_CHUNK, GPU_CHUNK = 128, 16384


def spectrogram(
    signals: np.ndarray | torch.Tensor,
    sample_rate: int,
    *,
    device: str | torch.device | None = None,
    precision: str = "float64",
    threads: int | None = None,
) -> torch.Tensor:
    """(stems, frames, bands) float32 as a tensor that stays where it was computed.

    signals: (stems, samples[, channels]) int16 or float32; a tensor is taken where it lies unless `device` says otherwise.
    precision: of window and transform; everything after is float32, as in madmom. "float64" differs by less than 1e-6 from
    the reference, "float32" by up to 2e-5. Apple's GPU has no float64.
    threads: on the CPU, as many as PyTorch would use by default.
    """
    import torch

    settle()
    samples = _tensor(signals, device)
    rate = check_form(str(samples.dtype).removeprefix("torch."), tuple(samples.shape), sample_rate)
    stems, length = samples.shape[:2]
    on_cpu = samples.device.type == "cpu"
    taper, blocks = _constants(rate, samples.dtype == torch.int16, precision, str(samples.device))
    result = torch.empty((stems, frame_count(length, rate), blocks[-1][0].bands.stop), dtype=torch.float32, device=samples.device)

    def compute(chunk: Chunk) -> torch.Tensor:
        mono = _mono(samples[:, chunk.first : chunk.last])
        windows = torch.nn.functional.pad(mono, (chunk.left, chunk.right)).unfold(1, FRAME, 1)
        if rate % FRAMES_PER_SECOND == 0:
            frames = windows[:, :: rate // FRAMES_PER_SECOND]  # a view; other rates have hops of unequal length
        else:
            frames = windows[:, torch.from_numpy(chunk.starts).to(samples.device)]
        spectrum = torch.fft.rfft(frames * taper)[..., : blocks[-1][0].last].to(torch.complex64)
        # abs() guards against overflow of squares from 1e19 on, and takes three times as long.
        magnitudes = torch.addcmul(spectrum.real * spectrum.real, spectrum.imag, spectrum.imag).sqrt_()
        part = result[:, chunk.frames]
        for block, weights in blocks:
            part[..., block.bands] = magnitudes[..., block.first : block.last] @ weights
        return part.add_(1).log10_().sum()

    work = chunks(length, rate, max(1, (CPU_CHUNK if on_cpu else GPU_CHUNK) // stems))
    sums = _in_threads(compute, work, threads or torch.get_num_threads()) if on_cpu else map(compute, work)
    total = float(sum(sums))
    if not math.isfinite(total):
        check_finite(samples.cpu().numpy(), total)
    return result


def _in_threads(compute: Callable[[Chunk], torch.Tensor], work: Iterable[Chunk], threads: int) -> list[torch.Tensor]:
    """Whole chunks side by side: PyTorch's own threads would meet at a barrier after every small operation."""
    import torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(compute, work))
    finally:
        torch.set_num_threads(before)  # also what threads to come will start from


@contextmanager
def load(settings: Settings, *, name: str, device: str) -> Iterator[Run]:
    """Gives `run` on `device`; cache=False makes window and filters anew in every call."""
    import torch

    check_precision(name, settings, *(("float32",) if device == "mps" else ("float32", "float64")))
    precision = settings.precision or "float64"

    def run(inputs: Inputs) -> Outputs:
        signals, rate = check_signals(inputs)
        if settings.cache is False:
            _constants.cache_clear()
            forget()
        result = spectrogram(signals, rate, device=device, precision=precision, threads=settings.threads)
        return {"spectrogram": result.cpu().numpy()}

    try:
        yield run
    finally:
        if device != "cpu":
            _constants.cache_clear()
        if device == "cuda":
            torch.cuda.empty_cache()


def _tensor(signals: Any, device: Any) -> torch.Tensor:
    import torch

    if not isinstance(signals, torch.Tensor):
        with warnings.catch_warnings():  # a read-only array is only read here
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            signals = torch.from_numpy(np.ascontiguousarray(signals))
    tensor: torch.Tensor = signals if device is None else signals.to(device)
    return tensor.detach()  # no gradients: results are written in place


def _mono(samples: torch.Tensor) -> torch.Tensor:
    """(stems, n[, channels]) to (stems, n); the mean of int16 is truncated toward zero, as in the reference."""
    import torch

    if samples.ndim == 2:
        return samples
    if samples.dtype == torch.int16:
        return torch.div(samples.sum(dim=2, dtype=torch.int32), samples.shape[2], rounding_mode="trunc")
    return samples.mean(dim=2)


@lru_cache(maxsize=16)
def _constants(rate: int, integer: bool, precision: str, device: str) -> tuple[torch.Tensor, list[tuple[Block, torch.Tensor]]]:
    """Window and filters of one rate on one device, made once."""
    import torch

    taper = window() / np.iinfo(np.int16).max if integer else window()
    blocks = filter_blocks(rate, 4)
    return (
        torch.tensor(taper.astype(precision), device=device),
        [(block, torch.tensor(block.weights, device=device)) for block in blocks],
    )


def _implementation(name: str, device: str, description: str, **options: Any) -> Implementation:
    return Implementation(
        component="spectrogram",
        name=name,
        role="optimized",
        load=partial(load, name=name, device=device),
        variants=(FLOAT32,),
        description=description,
        **options,
    )


IMPLEMENTATION = _implementation(
    "torch_rfft",
    "cpu",
    "PyTorch on the CPU, batched real FFT in chunks that stay in the cache",
    requires=Requires(packages=("torch",)),
    settings=("threads", "precision", "cache"),
)
CUDA = _implementation(
    "torch_cuda",
    "cuda",
    "the same on an NVIDIA GPU",
    requires=Requires(packages=("torch",), device="cuda"),
    settings=("precision", "cache"),
    clock="cuda",
)
MPS = _implementation(
    "torch_mps",
    "mps",
    "the same on Apple's GPU, which has no float64",
    requires=Requires(packages=("torch",), device="mps"),
    settings=("precision", "cache"),
    plain=False,
)
