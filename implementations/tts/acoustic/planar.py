"""FastSpeech2's decoder and PostNet made ready for a CPU: norms folded, frames as a picture of one row, a precision of their own.

Encoder and predictors, a tenth of the time, stay as they are, so that every duration, pitch and energy is decided as the reference decides,
to the last bit: were sums in another order, a phoneme now and then would fall into another bin and sound otherwise.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from implementations.tts.acoustic.fastspeech2 import FastSpeech2
from implementations.tts.stored import in_float16


class Planar(nn.Module):
    """A Conv1d as a Conv2d: oneDNN's channels-last kernels are for two dimensions only.

    What comes in, (B, channels, T), lies in memory as (B, T, channels), since it was transposed from that: a picture with its channels last
    already, without a copy.
    """

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        kernel = conv.kernel_size[0]
        self.conv = nn.Conv2d(conv.in_channels, conv.out_channels, (1, kernel), padding=(0, kernel // 2))
        self.conv.load_state_dict({"weight": conv.weight[:, :, None], "bias": conv.bias})
        self.conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x[:, :, None])
        return result[:, :, 0]


class Decoded(FastSpeech2):
    """A FastSpeech2 whose decoder and PostNet may be narrower than the rest."""

    def decode(self, expanded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """As FastSpeech2's; float32 comes out."""
        mel, mel_postnet = super().decode(expanded.to(self.mel_linear.weight.dtype), frames)
        return mel.float(), mel_postnet.float()


def planar(model: FastSpeech2, precision: str = "float32") -> FastSpeech2:
    """The same model for inference; precision: of decoder and PostNet, "float32", "bfloat16", or "float16" of weights alone."""
    made = copy.deepcopy(model)
    made.__class__ = Decoded
    for convolution in made.postnet.convolutions:
        fold(convolution)
    for part in (made.decoder, made.mel_linear, made.postnet):
        for parent in list(part.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, nn.Conv1d):
                    setattr(parent, name, Planar(layer))
        if precision == "float16":
            in_float16(part)
        else:
            part.to(getattr(torch, precision))
    return made.eval().requires_grad_(False)


def fold(convolution: Any) -> None:
    """Multiply the batch norm, the second of two modules, into the convolution before it; computed in float64."""
    conv, norm = convolution[0].conv, convolution[1]
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    with torch.no_grad():
        conv.weight.copy_(conv.weight.double() * gain[:, None, None])
        conv.bias.copy_((conv.bias.double() - norm.running_mean.double()) * gain + norm.bias.double())
    convolution[1] = nn.Identity()
