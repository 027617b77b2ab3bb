"""The reference: upstream's algorithm in plain PyTorch, float32, weight norm and modulation computed in every call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Requires
from implementations._torch import threads
from implementations.codec.serving import Kernels, Model, implementations

if TYPE_CHECKING:
    import torch

    from harness.settings import Settings
    from implementations.codec.model import HeartCodec


def kernels(model: HeartCodec) -> Kernels:
    """The model as it is, from NumPy arrays to NumPy arrays."""
    import torch

    from implementations.codec.flow import solve

    matching, scalar = model.flow_matching, model.scalar_model

    @torch.inference_mode()
    def flow(codes: np.ndarray, noise: np.ndarray, context: np.ndarray, steps: int, guidance: float) -> np.ndarray:
        begin, known = torch.tensor(noise), torch.tensor(context)
        velocity = matching.velocity(matching.condition(torch.tensor(codes)), known, steps, guidance)
        return solve(velocity, begin, known, steps).numpy()

    @torch.inference_mode()
    def decode(latents: np.ndarray) -> np.ndarray:
        return to_wave(scalar(to_channels(latents)))

    return Kernels(flow, decode)


def to_channels(latents: np.ndarray) -> torch.Tensor:
    """(t, channels) to (2, channels / 2, t): each half is a stereo channel."""
    import torch

    halves = torch.unflatten(torch.tensor(latents), 1, (2, -1))
    return halves.permute(1, 2, 0).contiguous()


def to_wave(samples: torch.Tensor) -> np.ndarray:
    """(2, 1, n) to (n, 2)."""
    wave: np.ndarray = samples[:, 0].T.contiguous().numpy()
    return wave


@contextmanager
def _open(settings: Settings) -> Iterator[Model]:
    from implementations.codec import model

    with threads(settings.threads):
        yield lru_cache(maxsize=None)(lambda name: kernels(model.load(name)))


FLOW, DECODER, SONG = implementations(
    "reference",
    "reference",
    _open,
    requires=Requires(packages=("torch",)),
    description="upstream's algorithm in plain PyTorch, float32",
)
