"""PyTorch on processors: the estimator from prepacked weights, the decoder folded, in one go or streamed; float32 or bfloat16."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Requires
from implementations._torch import threads
from implementations.codec.configuration import LATENTS_PER_SECOND
from implementations.codec.reference import to_channels, to_wave
from implementations.codec.serving import Kernels, Model, implementations

if TYPE_CHECKING:
    import torch

    from harness.settings import Settings
    from implementations.codec.model import HeartCodec


def kernels(model: HeartCodec, precision: str = "float32", chunk: int | None = None) -> Kernels:
    """The model, taken over: its blocks are repacked and given up, its weight norm is folded.

    precision: "float32" or "bfloat16", of products and convolutions; what passes along the blocks stays float32. chunk: latents that
    are decoded at a time; all at once by default.
    """
    import torch

    from implementations.codec.decoder import fold
    from implementations.codec.flow import solve
    from implementations.codec.prepacked import velocity_of
    from implementations.codec.streaming import chunks

    kind: torch.dtype = getattr(torch, precision)
    matching, scalar = model.flow_matching, model.scalar_model
    velocity = velocity_of(matching, kind)
    del matching.estimator
    fold(scalar)
    scalar = scalar.to(kind)

    @torch.inference_mode()
    def flow(codes: np.ndarray, noise: np.ndarray, context: np.ndarray, steps: int, guidance: float) -> np.ndarray:
        begin, known = torch.tensor(noise), torch.tensor(context)
        at = velocity(matching.condition(torch.tensor(codes)), known, steps, guidance)
        return solve(at, begin, known, steps).numpy()

    @torch.inference_mode()
    def decode(latents: np.ndarray) -> np.ndarray:
        return to_wave(scalar(to_channels(latents)).float())

    @torch.inference_mode()
    def stream(latents: np.ndarray) -> Iterator[np.ndarray]:
        for samples in chunks(scalar, to_channels(latents), chunk or LATENTS_PER_SECOND):
            yield to_wave(samples.float())

    return Kernels(flow, decode if chunk is None else stream)


def why_not() -> str | None:
    """Why there can be no oneDNN here, without importing PyTorch."""
    return "torch: no oneDNN on macOS" if sys.platform == "darwin" else None


@contextmanager
def _open(settings: Settings, *, streams: bool) -> Iterator[Model]:
    from implementations.codec import model

    def ready(name: str) -> Kernels:
        made = model.load(name)
        chunk = None
        if streams:
            chunk = max(1, (settings.audio_buffer or made.configuration.sample_rate) // made.configuration.samples_per_latent)
        return kernels(made, settings.precision or "float32", chunk)

    with threads(settings.threads):
        yield lru_cache(maxsize=None)(ready)


FLOW, DECODER, SONG = implementations(
    "torch_packed",
    "optimized",
    partial(_open, streams=False),
    precisions=("bfloat16",),
    requires=Requires(packages=("torch",), why_not=why_not),
    description="PyTorch on the CPU: oneDNN products from prepacked weights, modulation once per schedule, weight norm folded",
)
(STREAM,) = implementations(
    "torch_streamed",
    "optimized",
    partial(_open, streams=True),
    precisions=("bfloat16",),
    settings=("threads", "audio_buffer"),
    only=("codec_decoder",),
    requires=Requires(packages=("torch",), why_not=why_not),
    description="the decoder in pieces of audio_buffer samples (a second by default), two latents behind its input",
)
