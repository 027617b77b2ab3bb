"""The flow estimator: a transformer in two widths that says in which direction a noisy latent has to move (HeartMuLa/heartlib).

Everything is conditioned on the time t in [0, 1] by adaLN-single: one product gives shifts, scales and gates for all blocks of a width,
to which each block adds a table of its own. Attention sees the whole segment; positions are rotary, in interleaved pairs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from implementations.codec.configuration import Configuration

EPSILON = 1e-6
ROTARY_BASE = 10000
TIME_FEATURES, TIME_SCALE, TIME_PERIOD = 512, 1000, 10000
MULTIPLE = 256
"""Hidden units of a SwiGLU are 8/3 of the width, rounded up to a multiple of this."""


class Projection(nn.Module):
    """A convolution over 3 latents, scaled down, then a linear layer: (b, t, inputs) -> (b, t, outputs)."""

    KERNEL = 3

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.ffn_1 = nn.Conv1d(inputs, outputs, self.KERNEL, padding=self.KERNEL // 2)
        self.ffn_2 = nn.Linear(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.ffn_1(x.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.ffn_2(x * self.KERNEL**-0.5)
        return out


def rotations(length: int, head_dim: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines (t, head_dim / 2) of each position, float32."""
    frequencies = 1.0 / ROTARY_BASE ** (torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim)
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """(b, heads, t, head_dim) with neighbouring pairs turned by the angle of their position."""
    cos, sin = rotation
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Attention(nn.Module):
    """Full attention of all latents of a segment."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        # (b, t, width) -> (b, heads, t, head_dim)
        q, k, v = (project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for project in (self.q_proj, self.k_proj, self.v_proj))
        mixed = F.scaled_dot_product_attention(rotate(q, rotation), rotate(k, rotation), v)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return out


class SwiGLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = MULTIPLE * math.ceil(int(8 * width / 3) / MULTIPLE)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    """Attention and SwiGLU, each between a modulated norm and a gate."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.mlp_norm = nn.RMSNorm(width, eps=EPSILON)
        self.mlp = SwiGLU(width)
        self.scale_shift_table = nn.Parameter(torch.empty(6, width))

    def forward(self, x: Tensor, modulation: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """modulation: (6, width): shift, scale and gate of the attention, then of the SwiGLU."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.scale_shift_table + modulation
        x = x + gate * self.attn(self.attn_norm(x) * (1 + scale) + shift, rotation)
        out: Tensor = x + mlp_gate * self.mlp(self.mlp_norm(x) * (1 + mlp_scale) + mlp_shift)
        return out


def time_waves(t: Tensor) -> Tensor:
    """(1, 512) float32: cosines, then sines, of a scalar time."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(-math.log(TIME_PERIOD) * torch.arange(half, device=t.device) / half)
    angles = t * frequencies * TIME_SCALE
    return torch.cat([angles.cos(), angles.sin()])[None]


class TimestepEmbedder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(TIME_FEATURES, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        """(1, width) of a time t, a scalar float32."""
        out: Tensor = self.linear_2(F.silu(self.linear_1(time_waves(t))))
        return out


class Embedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.timestep_embedder = TimestepEmbedder(width)


class AdaLNSingle(nn.Module):
    """t -> the modulation (6, width) that all blocks share, and the embedding (width,) it comes from."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.emb = Embedding(width)
        self.linear = nn.Linear(width, 6 * width)

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        embedded = self.emb.timestep_embedder(t)
        return self.linear(F.silu(embedded))[0].unflatten(0, (6, -1)), embedded[0]


class Estimator(nn.Module):
    """Velocity (b, t, out_channels) of [latents | context | condition] (b, t, in_channels) at a time in [0, 1]."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        width, heads = configuration.width, configuration.num_attention_heads
        self.head_dim = configuration.attention_head_dim
        self.proj_in = Projection(configuration.in_channels, width)
        self.transformer_blocks = nn.ModuleList(Block(width, heads) for _ in range(configuration.num_layers))
        self.connection_proj = Projection(configuration.in_channels + width, 2 * width)
        self.transformer_blocks_2 = nn.ModuleList(Block(2 * width, heads) for _ in range(configuration.num_layers_2))
        self.proj_out = Projection(2 * width, configuration.out_channels)
        self.scale_shift_table = nn.Parameter(torch.empty(2, width))
        self.scale_shift_table_2 = nn.Parameter(torch.empty(2, 2 * width))
        self.adaln_single = AdaLNSingle(width)
        self.adaln_single_2 = AdaLNSingle(2 * width)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        modulation, embedded = self.adaln_single(t)
        rotation = rotations(x.shape[1], self.head_dim, x.device)
        hidden = self.proj_in(x)
        for block in self.transformer_blocks:
            hidden = block(hidden, modulation, rotation)
        hidden = _modulated(hidden, self.scale_shift_table + embedded)

        modulation, embedded = self.adaln_single_2(t)
        rotation = rotations(x.shape[1], 2 * self.head_dim, x.device)
        hidden = self.connection_proj(torch.cat([x, hidden], dim=-1))
        for block in self.transformer_blocks_2:
            hidden = block(hidden, modulation, rotation)
        out: Tensor = self.proj_out(_modulated(hidden, self.scale_shift_table_2 + embedded))
        return out


def _modulated(x: Tensor, table: Tensor) -> Tensor:
    """A layer norm without weights, shifted and scaled; table: (2, width)."""
    shift, scale = table
    out: Tensor = F.layer_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale) + shift
    return out
