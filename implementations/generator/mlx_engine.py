"""The generator in MLX, on Apple's GPU or, with `mlx[cpu]`, on any processor: a lazy graph per pass, shared heads without copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Requires
from implementations.generator.flavours import CODEBOOKS, Flavour, Stack
from implementations.generator.generation import Model, Prompt
from implementations.generator.serving import implementations

if TYPE_CHECKING:
    import mlx.core as mx

    from harness.settings import Settings

EPSILON = 1e-5
STEP = 64
"""Positions by which a cache grows."""


class Layers:
    """A transformer: x (rows, n, dim) at positions start ... -> hidden states."""

    def __init__(self, sizes: Stack, weights: dict[str, mx.array], prefix: str) -> None:
        import mlx.core as mx

        from implementations.generator.heartmula import frequencies

        self.sizes = sizes
        self.layers = []
        for number in range(sizes.layers):
            own = f"{prefix}.layers.{number}."
            qkv = mx.concatenate([weights.pop(f"{own}attn.{part}_proj.weight") for part in "qkv"]).T
            gate_up = mx.concatenate([weights.pop(f"{own}mlp.{part}.weight") for part in ("w1", "w3")]).T
            out, down = (weights.pop(f"{own}{part}.weight").T for part in ("attn.output_proj", "mlp.w2"))
            norm, mlp_norm = (weights.pop(f"{own}{part}_norm.scale") for part in ("sa", "mlp"))
            self.layers.append((norm, qkv, out, mlp_norm, gate_up, down))
        self.norm = weights.pop(f"{prefix}.norm.scale")
        self.wavelengths = 1 / mx.array(frequencies(sizes.head_dim).numpy())
        self.caches: list[tuple[mx.array, mx.array]] = []

    def reset(self, rows: int, positions: int) -> None:
        """Empty caches with room for so many positions."""
        import mlx.core as mx

        shape = (rows, self.sizes.kv_heads, positions, self.sizes.head_dim)
        self.caches = [(mx.zeros(shape), mx.zeros(shape)) for _ in self.layers]

    def __call__(self, x: mx.array, start: int) -> mx.array:
        import mlx.core as mx

        rows, count, _ = x.shape
        stop, heads, narrow, size = start + count, self.sizes.heads, self.sizes.kv_heads, self.sizes.head_dim
        mask = None if count == 1 else mx.arange(stop)[None] <= start + mx.arange(count)[:, None]
        for number, (norm, qkv, out, mlp_norm, gate_up, down) in enumerate(self.layers):
            made = (mx.fast.rms_norm(x, norm, EPSILON) @ qkv).reshape(rows, count, -1, size).transpose(0, 2, 1, 3)
            turned = mx.fast.rope(
                made[:, : heads + narrow], size, traditional=True, base=None, scale=1.0, offset=start, freqs=self.wavelengths
            )
            keys, values = self.caches[number]
            keys[:, :, start:stop] = turned[:, heads:]
            values[:, :, start:stop] = made[:, heads + narrow :]
            self.caches[number] = keys, values
            mixed = mx.fast.scaled_dot_product_attention(
                turned[:, :heads], keys[:, :, :stop], values[:, :, :stop], scale=size**-0.5, mask=mask
            )
            x = x + mixed.transpose(0, 2, 1, 3).reshape(rows, count, heads * size) @ out
            gate, up = mx.split(mx.fast.rms_norm(x, mlp_norm, EPSILON) @ gate_up, 2, axis=-1)
            x = x + (gate * mx.sigmoid(gate) * up) @ down
        return mx.fast.rms_norm(x, self.norm, EPSILON)


class Engine:
    """A `generation.Model`."""

    def __init__(self, flavour: Flavour, weights: dict[str, mx.array]) -> None:
        self.flavour = flavour
        self.text, self.audio = weights.pop("text_embeddings.weight"), weights.pop("audio_embeddings.weight")
        self.none = weights.pop("unconditional_text_embedding.weight")
        self.muq = (weights.pop("muq_linear.weight").T, weights.pop("muq_linear.bias"))
        self.projection = weights.pop("projection.weight").T
        further = weights.pop("audio_head")
        self.heads = [weights.pop("codebook0_head.weight").T, *(further[book] for book in range(CODEBOOKS - 1))]
        self.backbone, self.decoder = (Layers(sizes, weights, name) for name, sizes in
                                       (("backbone", flavour.backbone), ("decoder", flavour.decoder)))  # fmt: skip

    def from_host(self, hidden: np.ndarray) -> mx.array:
        import mlx.core as mx

        return mx.array(hidden)

    def to_host(self, hidden: mx.array) -> np.ndarray:
        return np.array(hidden)

    def start(self, prompt: Prompt, rows: int, frames: int) -> mx.array:
        import mlx.core as mx

        embedded = self.text[mx.array(prompt.text)]
        embedded[prompt.muq_place] = mx.array(prompt.muq) @ self.muq[0] + self.muq[1]
        read = mx.stack([embedded, mx.broadcast_to(self.none, embedded.shape)][:rows])
        self.rows, self.prompt_length = rows, len(prompt.text)
        self.backbone.reset(rows, -(-(self.prompt_length + frames) // STEP) * STEP)
        self.decoder.reset(rows, CODEBOOKS)
        return self.backbone(read, 0)[:, -1:]

    def advance(self, codes: np.ndarray, start: int) -> mx.array:
        import mlx.core as mx

        embedded = self._embed(codes, 0).sum(axis=1)
        return self.backbone(mx.broadcast_to(embedded, (self.rows, *embedded.shape)), self.prompt_length + start)

    def first(self, hidden: mx.array) -> np.ndarray:
        return np.array(hidden[:, -1] @ self.heads[0])

    def depth(self, hidden: mx.array, codes: Sequence[int], start: int) -> np.ndarray:
        import mlx.core as mx

        cached = max(start - 1, 0)
        embedded = self._embed(np.array(codes[cached:]), cached)
        read = mx.broadcast_to(embedded, (self.rows, *embedded.shape))
        if start == 0:
            read = mx.concatenate([hidden, read], axis=1)
        found = self.decoder(read @ self.projection, start)
        return np.array(found[:, -1] @ self.heads[len(codes)])

    def _embed(self, codes: np.ndarray, first: int) -> mx.array:
        import mlx.core as mx

        offsets = self.flavour.vocabulary * np.arange(first, first + codes.shape[-1])
        return self.audio[mx.array(codes + offsets)]


def open_model(flavour: Flavour, settings: Settings) -> Model:
    """float32 weights, by way of torch, which reads them."""
    import mlx.core as mx

    from implementations.generator.checkpoints import weights_of

    return Engine(flavour, {name: mx.array(tensor.numpy()) for name, tensor in weights_of(flavour).items()})


GENERATOR, BACKBONE, DEPTH = implementations(
    "mlx_lazy",
    "optimized",
    open_model,
    settings=(),
    modules=("mlx.core", "torch"),
    requires=Requires(packages=("mlx", "torch")),
    clock="mlx",
    description="MLX with fused norms, rotations and grouped attention",
)
