"""The generator on a CPU, optimized: fused projections, caches of the length that is needed with the heads that there are, sliced
attention, and products of a few rows by weights laid out once.

`Engine` is the same for every kind of product; `hold` says what one keeps of a weight and how it multiplies by it: `prepacked` here,
the kernels in `native`. Where products take float32, so does all between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu

from implementations.generator.checkpoints import Weights
from implementations.generator.flavours import CODEBOOKS, Flavour, Stack
from implementations.generator.generation import Prompt
from implementations.generator.heartmula import NORM_EPSILON, rotary
from implementations.generator.speculative import Draft

Product = Callable[[Tensor], Tensor]
"""(..., inputs) -> (..., outputs): a linear layer without bias."""

Hold = Callable[[Tensor], Product]
"""A weight (outputs, inputs) -> its product."""


def prepacked(weight: Tensor) -> Product:
    """oneDNN's product with the weight in its own blocked layout, reordered once: two rows then cost what one costs.

    Without oneDNN in this torch (no x86 or ARM build of it): the plain product.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return lambda x: linear(x, weight)
    ops: Any = torch.ops.mkldnn
    packed = ops._reorder_linear_weight(weight.contiguous(), 2)
    return lambda x: ops._linear_pointwise(x, packed, None, "none", [], "")


@dataclass
class Cache:
    """keys, values: (layers, rows, kv heads, positions, head_dim)."""

    keys: Tensor
    values: Tensor


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many threads in torch until it is left, or its own number."""
    before = torch.get_num_threads()
    if count is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


class Layers:
    """A transformer whose rows are sequences: x (rows, n, dim) at positions start ... -> hidden states."""

    def __init__(self, sizes: Stack, weights: Weights, prefix: str, hold: Hold, dtype: torch.dtype, *, kept: torch.dtype) -> None:
        self.sizes, self.dtype, self.kept = sizes, dtype, kept
        take = weights.pop
        self.layers = []
        for number in range(sizes.layers):
            own = f"{prefix}.layers.{number}."
            qkv = torch.cat([take(f"{own}attn.{part}_proj.weight") for part in "qkv"])
            gate_up = torch.cat([take(f"{own}mlp.{part}.weight") for part in ("w1", "w3")])
            out, down = hold(take(f"{own}attn.output_proj.weight")), hold(take(f"{own}mlp.w2.weight"))
            norms = [take(f"{own}{part}_norm.scale").to(dtype) for part in ("sa", "mlp")]
            self.layers.append((norms[0], hold(qkv), out, norms[1], hold(gate_up), down))
            del qkv, gate_up
        self.norm = take(f"{prefix}.norm.scale").to(dtype)
        self.turns = torch.empty(0)

    def cache(self, rows: int, positions: int) -> Cache:
        """Room for so many positions of each row."""
        shape = (self.sizes.layers, rows, self.sizes.kv_heads, positions, self.sizes.head_dim)
        if len(self.turns) < positions:
            self.turns = torch.view_as_complex(rotary(self.sizes.head_dim, positions)).to(self.norm.device)
        # Zeros, for whoever looks at places that are not written yet under a mask: NaN times nothing is NaN.
        keys, values = (torch.zeros(shape, dtype=self.kept, device=self.norm.device) for _ in range(2))
        return Cache(keys, values)

    def __call__(self, x: Tensor, cache: Cache, start: int) -> Tensor:
        rows, count, dim = x.shape
        stop, heads, narrow, size = start + count, self.sizes.heads, self.sizes.kv_heads, self.sizes.head_dim
        turns = self.turns[start:stop, None]
        # One position sees everything before it. Several see more, one after the other; heads that share keys lie below each other.
        mask = None if count == 1 else torch.ones(count, stop, dtype=torch.bool, device=x.device).tril(start).repeat(heads // narrow, 1)
        for number, (norm, qkv, out, mlp_norm, gate_up, down) in enumerate(self.layers):
            made = qkv(rms_norm(x, (dim,), norm, NORM_EPSILON)).view(rows, count, -1, size)
            turned = torch.view_as_complex(made[:, :, : heads + narrow].float().reshape(rows, count, heads + narrow, -1, 2)) * turns
            qk = torch.view_as_real(turned).flatten(-2).to(self.dtype)
            keys, values = cache.keys[number], cache.values[number]
            keys[:, :, start:stop] = qk[:, :, heads:].transpose(1, 2)
            values[:, :, start:stop] = made[:, :, heads + narrow :].transpose(1, 2)
            q = qk[:, :, :heads].transpose(1, 2).reshape(rows, narrow, -1, size)
            past, said = (kept[:, :, :stop].to(self.dtype) for kept in (keys, values))
            mixed = scaled_dot_product_attention(q, past, said, attn_mask=mask)
            x = x + out(mixed.reshape(rows, heads, count, size).transpose(1, 2).reshape(rows, count, heads * size))
            gate, up = gate_up(rms_norm(x, (dim,), mlp_norm, NORM_EPSILON)).chunk(2, dim=-1)
            x = x + down(silu(gate) * up)
        return rms_norm(x, (dim,), self.norm, NORM_EPSILON)


class Engine:
    """A `generation.Model` that keeps of `weights` what `hold` keeps, and empties it meanwhile: memory peaks at one layer above.

    dtype: of all that is not a weight, float32 or bfloat16. kept: of keys and values from one frame to the next, as dtype by default.
    draft: who proposes frames, where somebody does (`speculative`). threads: of torch while it computes, its own number by default; 1
    where products have threads of their own, beside which torch's would wait in a loop and keep their cores.
    """

    draft: Draft | None = None

    def __init__(
        self,
        flavour: Flavour,
        weights: Weights,
        hold: Hold,
        dtype: torch.dtype = torch.float32,
        threads: int | None = None,
        *,
        kept: torch.dtype | None = None,
    ) -> None:
        self.flavour, self.dtype, self.threads = flavour, dtype, threads
        take = weights.pop
        self.text, self.audio = take("text_embeddings.weight"), take("audio_embeddings.weight")
        self.none = take("unconditional_text_embedding.weight").to(dtype)
        self.muq = (take("muq_linear.weight").to(dtype), take("muq_linear.bias").to(dtype))
        self.projection = hold(take("projection.weight"))
        further = take("audio_head").unbind(0)
        self.heads = [hold(take("codebook0_head.weight")), *(hold(head.T.contiguous()) for head in further)]
        del further
        self.backbone = Layers(flavour.backbone, weights, "backbone", hold, dtype, kept=kept or dtype)
        self.decoder = Layers(flavour.decoder, weights, "decoder", hold, dtype, kept=kept or dtype)
        if weights:
            raise ValueError(f"weights: expected those of {flavour.name}, found {', '.join(list(weights)[:3])} besides")

    def from_host(self, hidden: np.ndarray) -> Tensor:
        return torch.from_numpy(hidden).to(self.none)

    def to_host(self, hidden: Tensor) -> np.ndarray:
        return _host(hidden)

    def start(self, prompt: Prompt, rows: int, frames: int, first: int = 0) -> Tensor:
        """As `Model.start`; rows from the conditional one on, or from `first`."""
        with self._computing():
            embedded = self.text[torch.from_numpy(prompt.text).to(self.text.device)].to(self.dtype)
            embedded[prompt.muq_place] = linear(torch.from_numpy(prompt.muq).to(embedded), *self.muq)
            self.rows, self.prompt_length = rows, len(prompt.text)
            self.history = self.backbone.cache(rows, self.prompt_length + frames)
            self.frame = self.decoder.cache(rows, CODEBOOKS)
            read = torch.stack([embedded, self.none.expand_as(embedded)][first : first + rows])
            return self.backbone(read, self.history, 0)[:, -1:]

    def advance(self, codes: np.ndarray, start: int) -> Tensor:
        with self._computing():
            embedded = self._embed(torch.from_numpy(codes)).sum(dim=1)
            return self.backbone(embedded.expand(self.rows, -1, -1), self.history, self.prompt_length + start)

    def first(self, hidden: Tensor) -> np.ndarray:
        with self._computing():
            return _host(self.heads[0](hidden[:, -1]))

    def depth(self, hidden: Tensor, codes: Sequence[int], start: int) -> np.ndarray:
        with self._computing():
            read = self._embed(torch.tensor(codes[max(start - 1, 0) :]), len(codes[: max(start - 1, 0)]))
            read = read.expand(self.rows, -1, -1)
            if start == 0:
                read = torch.cat([hidden, read], dim=1)
            found = self.decoder(self.projection(read), self.frame, start)
            return _host(self.heads[len(codes)](found[:, -1]))

    def verify(self, hidden: Tensor, codes: np.ndarray) -> np.ndarray:
        """Logits (frames, 8, rows, vocabulary) of each code of frames (frames, 8) int64, given the codes before it.

        hidden: (rows, frames, dim), what foretells each frame. One pass of the depth decoder over eight positions of all of them.
        """
        with self._computing():
            rows, frames, dim = hidden.shape
            read = self._embed(torch.from_numpy(codes[:, :-1])).expand(rows, -1, -1, -1)
            read = torch.cat([hidden[:, :, None], read], dim=2).reshape(rows * frames, CODEBOOKS, dim)
            found = self.decoder(self.projection(read), self.decoder.cache(rows * frames, CODEBOOKS), 0)
            found = found.view(rows, frames, CODEBOOKS, -1)
            logits = [self.heads[0](hidden), *(self.heads[book](found[:, :, book]) for book in range(1, CODEBOOKS))]
            return _host(torch.stack(logits, dim=2).permute(1, 2, 0, 3))

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with torch.inference_mode(), torch_threads(self.threads):
            yield

    def _embed(self, codes: Tensor, first: int = 0) -> Tensor:
        """(..., n, dim) of codes (..., n) of codebooks first, first + 1, ..."""
        offsets = self.flavour.vocabulary * torch.arange(first, first + codes.shape[-1])
        return self.audio[(codes + offsets).to(self.audio.device)].to(self.dtype)


class RowByRow:
    """The same model that computes the rows of guidance one after the other, each with caches of its own."""

    def __init__(self, engine: Engine) -> None:
        self.flavour, self.rows = engine.flavour, (copy(engine), copy(engine))

    def from_host(self, hidden: np.ndarray) -> list[Tensor]:
        return [self.rows[0].from_host(row[None]) for row in hidden]

    def to_host(self, hidden: list[Tensor]) -> np.ndarray:
        return np.concatenate([self.rows[0].to_host(row) for row in hidden])

    def start(self, prompt: Prompt, rows: int, frames: int) -> list[Tensor]:
        self.used = self.rows[:rows]
        return [row.start(prompt, 1, frames, first) for first, row in enumerate(self.used)]

    def advance(self, codes: np.ndarray, start: int) -> list[Tensor]:
        return [row.advance(codes, start) for row in self.used]

    def first(self, hidden: list[Tensor]) -> np.ndarray:
        return np.concatenate([row.first(values) for row, values in zip(self.used, hidden, strict=True)])

    def depth(self, hidden: list[Tensor], codes: Sequence[int], start: int) -> np.ndarray:
        return np.concatenate([row.depth(values, codes, start) for row, values in zip(self.used, hidden, strict=True)])


def _host(logits: Tensor) -> np.ndarray:
    found: np.ndarray = logits.float().cpu().numpy()
    return found
