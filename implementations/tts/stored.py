"""Weights as they are stored: how many bytes they take; and kept in float16, widened as a layer computes in float32."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)

T = TypeVar("T", bound=nn.Module)


def weight_bytes(module: nn.Module) -> int:
    """What its parameters and buffers take, and what a layer holds outside of PyTorch and says itself (`packed_bytes`)."""
    packed = sum(int(getattr(part, "packed_bytes", 0)) for part in module.modules())
    return packed + sum(int(tensor.nbytes) for tensor in module.state_dict().values())


class Widened(nn.Module):
    """A layer's weight from what is stored of it."""

    def forward(self, stored: Tensor) -> Tensor:
        return stored.float()


def in_float16(module: T) -> T:
    """The module itself, the weights of its convolutions and products stored in float16; biases and norms stay as they are.

    ValueError names a layer with a weight that float16 cannot hold.
    """
    for name, layer in list(module.named_modules()):
        if isinstance(layer, LAYERS):
            weight = layer.weight.detach()
            narrow = weight.half()
            if not torch.isfinite(narrow).all():
                raise ValueError(f"{name}: expected weights up to 65504, which float16 holds, found {float(weight.abs().max()):g}")
            layer.weight = nn.Parameter(narrow, requires_grad=False)
            parametrize.register_parametrization(layer, "weight", Widened(), unsafe=True)  # another dtype than what is stored
    return module
