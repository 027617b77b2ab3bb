"""The convolutional decoder a piece at a time: what each layer still needs of the past is kept, and two latents of the future are awaited.

Equal to decoding everything at once but for the order in which sums of other lengths are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from implementations.codec.decoder import LOOK_AHEAD, CausalConv, PostProcessor, ResidualUnit, ScalarModel, Stage, Upsampling


class Stream:
    """One song's decoding under way; the model's weight norm has to be folded."""

    def __init__(self, model: ScalarModel) -> None:
        self._model = model
        self._past: dict[nn.Module, Tensor] = {}

    def push(self, latents: Tensor) -> Tensor:
        """(b, 1, n) samples that these latents (b, c, t) make known: of the last two only the next push tells."""
        return self._samples(self._model.rounded(latents))

    def finish(self, like: Tensor) -> Tensor:
        """The samples of the last two latents; like: any latents pushed before."""
        return self._samples(self._model.rounded(like.new_zeros((*like.shape[:2], LOOK_AHEAD))))

    def _samples(self, x: Tensor) -> Tensor:
        first, *others = self._model.decoder
        x = self._windowed(first, x, 2 * LOOK_AHEAD, begin=LOOK_AHEAD)
        for layer in others if x.shape[-1] else ():
            x = self._through(layer, x)
        return x if x.shape[-1] else x.new_empty((len(x), 1, 0))

    def _through(self, layer: nn.Module, x: Tensor) -> Tensor:
        match layer:
            case Stage():
                x = self._upsampled(layer.up_conv.layer, x)
                for unit in layer.convs:
                    x = self._through(unit, x)
                return x
            case ResidualUnit():
                inner = layer.activation1(self._through(layer.conv1, x))
                out: Tensor = layer.activation2(self._through(layer.conv2, inner)) + x
                return out
            case PostProcessor():
                smoothed: Tensor = layer.activation(self._through(layer.conv, x.repeat_interleave(layer.repeats, dim=-1)))
                return smoothed
            case CausalConv():
                past = (layer.kernel_size[0] - 1) * layer.dilation[0]
                return self._windowed(layer, x, past, begin=past)
        raise TypeError(f"codec stream: expected a layer of the decoder, found {type(layer).__name__}")

    def _windowed(self, layer: Any, x: Tensor, past: int, *, begin: int) -> Tensor:
        """A convolution over what is new and the `past` before it; `begin` zeros stand before the first."""
        seen = torch.cat([self._before(layer, x, begin), x], dim=-1)
        self._past[layer] = seen[..., max(0, seen.shape[-1] - past) :]
        if seen.shape[-1] <= past:
            return x.new_empty((len(x), layer.out_channels, 0))
        return F.conv1d(seen, layer.weight, layer.bias, dilation=layer.dilation)

    def _upsampled(self, layer: Upsampling, x: Tensor) -> Tensor:
        seen = torch.cat([self._before(layer, x, 1), x], dim=-1)
        self._past[layer] = x[..., -1:]
        stride = layer.stride[0]
        return F.conv_transpose1d(seen, layer.weight, layer.bias, stride=stride)[..., stride:-stride]

    def _before(self, layer: nn.Module, x: Tensor, begin: int) -> Tensor:
        found = self._past.get(layer)
        return x.new_zeros((*x.shape[:2], begin)) if found is None else found


def chunks(model: ScalarModel, latents: Tensor, size: int) -> Iterator[Tensor]:
    """Samples (b, 1, n) of latents (b, c, t), pushed `size` at a time."""
    stream = Stream(model)
    for part in torch.split(latents, size, dim=-1):
        if (known := stream.push(part)).shape[-1]:
            yield known
    yield stream.finish(latents)
