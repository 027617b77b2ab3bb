"""From latents to samples: a causal convolutional decoder; only its first layer sees ahead, by two latents (HeartMuLa/heartlib)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from implementations.codec.configuration import Configuration

LEVELS = 9
"""Latents are rounded to multiples of 1/9."""

KERNEL = 7
DILATIONS = (1, 3, 5, 7, 9)
LOOK_AHEAD = 2


def levels(latents: Tensor) -> Tensor:
    """The whole number of ninths nearest to each latent, ties to even."""
    return torch.round(LEVELS * latents)


class CausalConv(nn.Conv1d):
    """(b, c, t) of the present and the past: zeros stand before the first."""

    def forward(self, x: Tensor) -> Tensor:
        past = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(F.pad(x, (past, 0)))


class Upsampling(nn.ConvTranspose1d):
    """Each input becomes `stride` outputs, which the input before it shares: (b, c, t) -> (b, c', stride t)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 2 * stride, stride)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : -self.stride[0]]


class ResidualUnit(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = weight_norm(CausalConv(channels, channels, KERNEL, dilation=dilation))
        self.conv2 = weight_norm(CausalConv(channels, channels, 1))
        self.activation1, self.activation2 = nn.PReLU(), nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation2(self.conv2(self.activation1(self.conv1(x)))) + x
        return out


class UpsampleLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layer = weight_norm(Upsampling(inputs, outputs, stride))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class Stage(nn.Module):
    """Upsampling, then residual units that look further and further back."""

    def __init__(self, inputs: int, stride: int) -> None:
        super().__init__()
        self.up_conv = UpsampleLayer(inputs, inputs // 2, stride)
        self.convs = nn.ModuleList(ResidualUnit(inputs // 2, dilation) for dilation in DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up_conv(x)
        for unit in self.convs:
            x = unit(x)
        return x


class PostProcessor(nn.Module):
    """Each sample repeated, then smoothed by a convolution."""

    def __init__(self, channels: int, repeats: int) -> None:
        super().__init__()
        self.repeats = repeats
        self.conv = CausalConv(channels, channels, KERNEL)
        self.activation = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.conv(x.repeat_interleave(self.repeats, dim=-1)))
        return out


class ScalarModel(nn.Module):
    """Samples (b, 1, t x samples_per_latent) of latents (b, latent_hidden_dim, t); each stereo channel is a batch item."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        channels, factors = configuration.init_channel, configuration.upsample_factors
        first = channels << len(factors)
        layers: list[nn.Module] = [
            weight_norm(nn.Conv1d(configuration.latent_hidden_dim, first, 2 * LOOK_AHEAD + 1, padding=LOOK_AHEAD)),
            *(Stage(first >> number, factor) for number, factor in enumerate(factors)),
        ]
        if configuration.num_samples > 1:
            layers.append(PostProcessor(channels, configuration.num_samples))
        layers.append(weight_norm(CausalConv(channels, 1, KERNEL)))
        self.decoder = nn.ModuleList(layers)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.rounded(latents)
        for layer in self.decoder:
            x = layer(x)
        return x

    def rounded(self, latents: Tensor) -> Tensor:
        """What the layers see of latents, in the precision of their weights: rounding itself is done in the latents' own."""
        bias = self.decoder[0].bias
        return (levels(latents) / LEVELS).to(bias.dtype if isinstance(bias, Tensor) else latents.dtype)


def fold(model: nn.Module) -> None:
    """Replace each weight norm by the weight that it means: upstream computes it anew in every call."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
