"""One layer of the backbone in the frameworks that are recommended for it: `python -m implementations.generator.block_peers`.

A layer of the published 3B backbone that decodes one position of both rows of the guidance after 300 others, weights and arithmetic in
float32; whatever is installed takes turns with upstream's arithmetic and with the own rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from implementations import _frameworks
from implementations._frameworks import Call
from implementations.generator import native
from implementations.generator.checkpoints import Weights
from implementations.generator.engine import Hold, Layers, prepacked, torch_threads
from implementations.generator.flavours import BACKBONES
from implementations.generator.heartmula import Layer, Norm, rotary, rotate

POSITIONS = 300
SIZES = replace(BACKBONES["llama-3B"], layers=1)


class Decoding(nn.Module):
    """A layer and the last norm at one position: x (rows, 1, dim), keys and values (rows, kv heads, positions, head_dim) -> as x."""

    turns: Tensor

    def __init__(self, layer: Layer, position: int) -> None:
        super().__init__()
        self.layer, self.norm, self.sizes = layer, Norm(layer.attn.sizes.dim), layer.attn.sizes
        self.register_buffer("turns", rotary(self.sizes.head_dim, position + 1)[position:])

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        attention, sizes, normed = self.layer.attn, self.sizes, self.layer.sa_norm(x)
        q = rotate(attention.q_proj(normed).view(*x.shape[:2], sizes.heads, sizes.head_dim), self.turns)
        k = rotate(attention.k_proj(normed).view(*x.shape[:2], sizes.kv_heads, sizes.head_dim), self.turns)
        v = attention.v_proj(normed).view(*x.shape[:2], sizes.kv_heads, sizes.head_dim)
        shared = sizes.heads // sizes.kv_heads
        keys = torch.cat([keys, k.transpose(1, 2)], dim=2).repeat_interleave(shared, dim=1)
        values = torch.cat([values, v.transpose(1, 2)], dim=2).repeat_interleave(shared, dim=1)
        heads = scaled_dot_product_attention(q.transpose(1, 2), keys, values)
        x = x + attention.output_proj(heads.transpose(1, 2).flatten(-2))
        mlp, normed = self.layer.mlp, self.layer.mlp_norm(x)
        out: Tensor = self.norm(x + mlp.w2(silu(mlp.w1(normed)) * mlp.w3(normed)))
        return out


def own(layer: Layer, inputs: tuple[Tensor, ...], hold: Hold, width: torch.dtype, *, threads: int) -> Call:
    """The layer of `Engine`, with weights of this width. threads: of torch."""
    x, keys, values = inputs
    weights: Weights = {f"backbone.layers.0.{name}": tensor.detach().to(width) for name, tensor in layer.state_dict().items()}
    layers = Layers(SIZES, {**weights, "backbone.norm.scale": torch.ones(SIZES.dim)}, "backbone", hold, torch.float32, kept=torch.float32)
    cache = layers.cache(len(x), POSITIONS + 1)
    cache.keys[0, :, :, :POSITIONS], cache.values[0, :, :, :POSITIONS] = keys, values

    def call() -> np.ndarray:
        with torch.inference_mode(), torch_threads(threads):
            found: np.ndarray = layers(x, cache, POSITIONS).numpy()
            return found

    return call


def block() -> _frameworks.Block:
    """A layer with random weights, which bfloat16 holds exactly."""
    random = torch.Generator().manual_seed(0)
    layer = Layer(SIZES).requires_grad_(False)
    for parameter in layer.parameters():
        values = torch.randn(parameter.shape, generator=random)
        parameter.copy_((values / parameter.shape[-1] ** 0.5 if parameter.ndim == 2 else 1 + 0.1 * values).bfloat16())
    shape = (2, SIZES.kv_heads, POSITIONS, SIZES.head_dim)
    inputs = torch.randn(2, 1, SIZES.dim, generator=random), *(torch.randn(shape, generator=random) for _ in range(2))

    def by_kernel(width: torch.dtype, threads: int) -> Call:
        return own(layer, inputs, partial(native.hold, threads=threads), width, threads=1)

    rows: dict[str, Callable[[int], Call]] = {
        "torch_prepacked": lambda threads: own(layer, inputs, prepacked, torch.float32, threads=threads),
        "native, float32 weights": partial(by_kernel, torch.float32),
        "native": partial(by_kernel, torch.bfloat16),
    }
    return _frameworks.Block(Decoding(layer, POSITIONS), inputs, rows)


OWN = ("torch_prepacked", "native, float32 weights", "native")

if __name__ == "__main__":
    sys.exit(_frameworks.main("implementations.generator.block_peers", __doc__, OWN, block, {"MNN": "speedup_framework"}))
