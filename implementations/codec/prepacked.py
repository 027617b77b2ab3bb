"""The flow estimator for processors: weights in oneDNN's own order, and nothing computed twice along the Euler steps.

Exact in float32 but for rounding. PyTorch's own float32 products (MKL) reach half of what the processor can do; the constant part of the
input convolutions is computed once per call, the modulation once per number of steps, the present latents once for both rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from implementations.codec.estimator import EPSILON, Block, Estimator, Projection, rotations
from implementations.codec.flow import FlowMatching, Velocity, guide, schedule

ROWS = 512
"""For which oneDNN chooses the order of the weights; others are computed as well."""


@dataclass(frozen=True)
class Product:
    """x -> x @ weight.T + bias, in the precision of the weight."""

    weight: Tensor
    bias: Tensor | None
    precision: torch.dtype

    def __call__(self, x: Tensor, then: str = "none") -> Tensor:
        """then: what is done with the result while it is in registers, "none" or "swish"."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(self.precision), self.weight, self.bias, then, [], "")
        return out

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x.to(self.precision), other, self.weight, self.bias, "mul")
        return out


def pack(weight: Tensor, bias: Tensor | None, precision: torch.dtype) -> Product:
    """weight: (outputs, inputs)."""
    ordered = torch.ops.mkldnn._reorder_linear_weight(weight.to(precision).contiguous(), ROWS)
    return Product(ordered, None if bias is None else bias.to(precision), precision)


def neighbours(x: Tensor) -> Tensor:
    """(b, t, c) to (b, t, 3 c): each latent between the one before and the one after it, zeros beyond the ends."""
    padded = F.pad(x, (0, 0, 1, 1))
    return torch.cat([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], dim=-1)


@dataclass(frozen=True)
class Modulation:
    """Of a block at one step: shift, scale (the norm's weight in it) and gate of the attention, then of the SwiGLU, (width,) each."""

    shift: Tensor
    scale: Tensor
    gate: Tensor
    mlp_shift: Tensor
    mlp_scale: Tensor
    mlp_gate: Tensor


@dataclass(frozen=True)
class PackedBlock:
    heads: int
    qkv: Product
    out: Product
    gate: Product
    up: Product
    down: Product

    def __call__(self, x: Tensor, by: Modulation, rotation: Tensor) -> Tensor:
        """rotation: (t, 1, head_dim / 2), complex."""
        width = x.shape[-1:]
        qkv = torch.unflatten(self.qkv(F.rms_norm(x, width, by.scale, EPSILON) + by.shift), -1, (3 * self.heads, -1))
        pairs = torch.view_as_complex(torch.unflatten(qkv[:, :, : 2 * self.heads].float(), -1, (-1, 2)))
        turned = torch.view_as_real(pairs * rotation).flatten(-2).to(qkv.dtype)
        q, k, v = (part.transpose(1, 2) for part in (*turned.chunk(2, dim=2), qkv[:, :, 2 * self.heads :]))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = torch.addcmul(x, by.gate, self.out(mixed).float())
        inner = (F.rms_norm(x, width, by.mlp_scale, EPSILON) + by.mlp_shift).to(self.gate.precision)
        return torch.addcmul(x, by.mlp_gate, self.down(self.up.times(inner, self.gate(inner, "swish"))).float())


def _block(block: Block, precision: torch.dtype) -> PackedBlock:
    attention, mlp = block.attn, block.mlp
    together = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
    rest = (layer.weight for layer in (attention.o_proj, mlp.gate, mlp.up, mlp.down))
    return PackedBlock(attention.heads, *(pack(weight, None, precision) for weight in (together, *rest)))


def _blocks(blocks: Any, precision: torch.dtype) -> list[PackedBlock]:
    return [_block(block, precision) for block in blocks]


@dataclass(frozen=True)
class Convolution:
    """Of a projection: its convolution over some of the channels, scaled as the projection scales it."""

    product: Product

    def __call__(self, x: Tensor) -> Tensor:
        return self.product(neighbours(x)).float()


def _convolution(layer: Projection, channels: slice, precision: torch.dtype, *, bias: bool = False) -> Convolution:
    scale = layer.KERNEL**-0.5
    weight = layer.ffn_1.weight[:, channels].transpose(1, 2).flatten(1) * scale
    offset = layer.ffn_1.bias * scale if bias and layer.ffn_1.bias is not None else None
    return Convolution(pack(weight, offset, precision))


def velocity_of(matching: FlowMatching, precision: torch.dtype = torch.float32) -> Callable[[Tensor, Tensor, int, float], Velocity]:
    """What `FlowMatching.velocity` gives, from packed weights; of the modules only what makes modulations is kept."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        raise RuntimeError("codec.prepacked: expected a PyTorch with oneDNN, found one without; use the reference")
    estimator = matching.estimator
    latents = estimator.proj_out.ffn_2.out_features
    now, constant, hidden = (
        slice(0, latents),
        slice(latents, estimator.proj_in.ffn_1.in_channels),
        slice(estimator.proj_in.ffn_1.in_channels, None),
    )
    first_now, first_constant = (_convolution(estimator.proj_in, part, precision, bias=part is constant) for part in (now, constant))
    second_now, second_hidden = (_convolution(estimator.connection_proj, part, precision) for part in (now, hidden))
    second_constant = _convolution(estimator.connection_proj, constant, precision, bias=True)
    last = _convolution(estimator.proj_out, slice(None), precision, bias=True)
    first_linear, second_linear, last_linear = (
        pack(layer.ffn_2.weight, layer.ffn_2.bias, precision)
        for layer in (estimator.proj_in, estimator.connection_proj, estimator.proj_out)
    )
    blocks, blocks_2 = _blocks(estimator.transformer_blocks, precision), _blocks(estimator.transformer_blocks_2, precision)
    modulations, head_dim = _modulations(estimator), estimator.head_dim
    rotation = lru_cache(maxsize=8)(_rotation)

    def velocity(condition: Tensor, context: Tensor, steps: int, guidance: float) -> Velocity:
        context = F.pad(context, (0, 0, 0, condition.shape[1] - context.shape[1]))
        rows = [torch.zeros_like(condition), condition] if guidance > 1 else [condition]
        same = torch.cat([torch.cat([context, row], dim=-1) for row in rows])
        in_first, in_second = first_constant(same), second_constant(same)
        by_step, length = modulations(steps), condition.shape[1]

        def velocity_at(x: Tensor, step: int) -> Tensor:
            first, end, second, end_2 = by_step[step]
            out = first_linear(in_first + first_now(x).repeat(len(rows), 1, 1)).float()
            for block, by in zip(blocks, first, strict=True):
                out = block(out, by, rotation(length, head_dim))
            out = second_hidden(_ended(out, end)) + in_second + second_now(x).repeat(len(rows), 1, 1)
            out = second_linear(out).float()
            for block, by in zip(blocks_2, second, strict=True):
                out = block(out, by, rotation(length, 2 * head_dim))
            return guide(last_linear(last(_ended(out, end_2))).float(), guidance)

        return velocity_at

    return velocity


_Step = tuple[list[Modulation], Tensor, list[Modulation], Tensor]
"""Modulations of the first blocks, (2, width) of the norm after them, and the same of the second ones."""


def _modulations(estimator: Estimator) -> Callable[[int], list[_Step]]:
    """By number of steps: everything that depends on the time alone."""
    adaln, adaln_2 = estimator.adaln_single, estimator.adaln_single_2
    ends = (estimator.scale_shift_table, estimator.scale_shift_table_2)
    blocks, blocks_2 = _tables(estimator.transformer_blocks), _tables(estimator.transformer_blocks_2)

    @lru_cache(maxsize=8)
    def by_step(steps: int) -> list[_Step]:
        found: list[_Step] = []
        for t, _ in schedule(steps):
            (shared, embedded), (shared_2, embedded_2) = adaln(t), adaln_2(t)
            first, second = ([_modulation(*of, by) for of in part] for part, by in ((blocks, shared), (blocks_2, shared_2)))
            found.append((first, ends[0] + embedded, second, ends[1] + embedded_2))
        return found

    return by_step


def _tables(blocks: Any) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Of each block its table and the weights of its norms."""
    return [(block.scale_shift_table, block.attn_norm.weight, block.mlp_norm.weight) for block in blocks]


def _modulation(table: Tensor, norm: Tensor, mlp_norm: Tensor, shared: Tensor) -> Modulation:
    shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = table + shared
    return Modulation(shift, norm * (1 + scale), gate, mlp_shift, mlp_norm * (1 + mlp_scale), mlp_gate)


def _rotation(length: int, head_dim: int) -> Tensor:
    return torch.complex(*rotations(length, head_dim))[:, None]


def _ended(x: Tensor, table: Tensor) -> Tensor:
    shift, scale = table
    return F.layer_norm(x, x.shape[-1:], 1 + scale, shift, EPSILON)
