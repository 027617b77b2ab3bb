"""FastSpeech2's decoder and PostNet in products of 8-bit integers, by oneDNN; everything else, every decision too, in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from implementations.tts.acoustic.fastspeech2 import FastSpeech2
from implementations.tts.acoustic.planar import Planar, planar


class Quantized(nn.Module):
    """A `Planar` convolution: int8 weights with a scale for each output channel, activations as uint8 with a scale for each call."""

    def __init__(self, planar: Planar) -> None:
        super().__init__()
        weight, kernel = planar.conv.weight.detach(), planar.conv.kernel_size[1]
        self.scales = weight.abs().amax(dim=(1, 2, 3)).clamp(min=1e-12) / 127
        self.zeros = torch.zeros(len(weight), dtype=torch.int64)
        self.bias, self.padding = planar.conv.bias, [0, kernel // 2]
        rounded = torch.round(weight / self.scales[:, None, None, None]).to(torch.int8)
        self.packed_bytes = rounded.nbytes + self.scales.nbytes
        self.weight = torch.ops.onednn.qconv_prepack(rounded, self.scales, 1.0, 0, [1, 1], self.padding, [1, 1], 1, None)

    def forward(self, x: Tensor) -> Tensor:
        low, high = (float(end) for end in torch.aminmax(x.transpose(1, 2)))  # as it lies in memory, else it is copied
        low, high = min(low, 0.0), max(high, 0.0)  # what is padded is 0, which must have a number
        scale = (high - low) / 255 or 1.0
        zero = round(-low / scale)
        numbers = (x[:, :, None] / scale).add_(zero).round_().clamp_(0, 255).to(torch.uint8)  # in place: a new array takes new pages
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            numbers, scale, zero, self.weight, self.scales, self.zeros, self.bias, [1, 1], self.padding, [1, 1], 1, 1.0, 0,
            torch.float32, "none", [], "",
        )  # fmt: skip
        return result[:, :, 0]


def quantized(model: FastSpeech2) -> FastSpeech2:
    """The same model for inference, its decoder's and PostNet's convolutions in int8."""
    made = planar(model)
    for part in (made.decoder, made.postnet):
        for parent in list(part.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, Planar):
                    setattr(parent, name, Quantized(layer))
    return made
