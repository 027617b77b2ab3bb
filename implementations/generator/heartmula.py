"""The music generator in plain torch, as upstream computes it: a backbone over frames and a depth decoder over the codes of a frame.

One frame has nine columns, eight audio codes and a text token; what a position reads is the sum of its columns' embeddings. The
backbone's hidden state h gives the logits of code 0. The depth decoder then starts afresh at each frame: it reads h, then the embedding
of each code that was chosen, and gives the next code's logits: seven passes. For guidance there is a second row which sees one learned
vector in place of every text.

Upstream's algorithm: caches for as many positions as there can be, a copy of the keys and values for each head that shares them, and a
mask over all of it. Names of weights are upstream's. Source: HeartMuLa/heartlib, torchtune 0.4 (Llama 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention, silu

from implementations.generator.flavours import CODEBOOKS, Flavour, Stack
from implementations.generator.generation import Prompt

NORM_EPSILON = 1e-5
ROTARY_BASE, ROTARY_FACTOR, LOW, HIGH, OLD_CONTEXT = 500_000.0, 32.0, 1.0, 4.0, 8192


def frequencies(head_dim: int) -> Tensor:
    """(head_dim / 2,) float32, radians per position: Llama 3's, with slow ones slowed down further."""
    stretched = []
    for value in (1.0 / ROTARY_BASE ** (torch.arange(0, head_dim, 2, device="cpu").float() / head_dim)).tolist():
        wavelength = 2 * math.pi / value
        smooth = (OLD_CONTEXT / wavelength - LOW) / (HIGH - LOW)
        smooth = min(max(smooth, 0.0), 1.0)  # 0: a wavelength beyond the old context; 1: far within it
        stretched.append((1 - smooth) * value / ROTARY_FACTOR + smooth * value)
    return torch.tensor(stretched, device="cpu")


def rotary(head_dim: int, positions: int) -> Tensor:
    """Cosines and sines (positions, head_dim / 2, 2) float32."""
    angles = torch.outer(torch.arange(positions, device="cpu").float(), frequencies(head_dim))
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """x (rows, n, heads, head_dim) turned in float32, neighbouring values as pairs. turns: (n, head_dim / 2, 2)."""
    pairs = x.float().view(*x.shape[:-1], -1, 2)
    cos, sin = turns[:, None, :, 0], turns[:, None, :, 1]
    even, odd = pairs[..., 0], pairs[..., 1]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2).to(x.dtype)


class Norm(nn.Module):
    """Root mean square norm, in float32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + NORM_EPSILON)).type_as(x) * self.scale


class Attention(nn.Module):
    """Grouped-query attention. Its cache holds (rows, heads, positions, head_dim): every head has a copy of what it shares."""

    def __init__(self, sizes: Stack) -> None:
        super().__init__()
        self.sizes = sizes
        width, narrow = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
        self.q_proj = nn.Linear(sizes.dim, width, bias=False)
        self.k_proj = nn.Linear(sizes.dim, narrow, bias=False)
        self.v_proj = nn.Linear(sizes.dim, narrow, bias=False)
        self.output_proj = nn.Linear(width, sizes.dim, bias=False)
        self.keys = self.values = torch.empty(0)

    def forward(self, x: Tensor, start: int, turns: Tensor, mask: Tensor) -> Tensor:
        sizes, count = self.sizes, x.shape[1]
        q = rotate(self.q_proj(x).view(*x.shape[:2], sizes.heads, -1), turns)
        k = rotate(self.k_proj(x).view(*x.shape[:2], sizes.kv_heads, -1), turns)
        v = self.v_proj(x).view(*x.shape[:2], sizes.kv_heads, -1)
        shared = sizes.heads // sizes.kv_heads
        self.keys[:, :, start : start + count] = k.repeat_interleave(shared, dim=2).transpose(1, 2)
        self.values[:, :, start : start + count] = v.repeat_interleave(shared, dim=2).transpose(1, 2)
        heads = scaled_dot_product_attention(q.transpose(1, 2).to(self.keys.dtype), self.keys, self.values, attn_mask=mask)
        out: Tensor = self.output_proj(heads.transpose(1, 2).flatten(-2))
        return out


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, sizes: Stack) -> None:
        super().__init__()
        self.w1 = nn.Linear(sizes.dim, sizes.hidden, bias=False)
        self.w2 = nn.Linear(sizes.hidden, sizes.dim, bias=False)
        self.w3 = nn.Linear(sizes.dim, sizes.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.w2(silu(self.w1(x)) * self.w3(x))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, each on a normed copy."""

    def __init__(self, sizes: Stack) -> None:
        super().__init__()
        self.attn, self.mlp = Attention(sizes), FeedForward(sizes)
        self.sa_norm, self.mlp_norm = Norm(sizes.dim), Norm(sizes.dim)

    def forward(self, x: Tensor, start: int, turns: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attn(self.sa_norm(x), start, turns, mask)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Transformer(nn.Module):
    """Layers and a last norm, over a cache of `positions` for each of so many rows."""

    def __init__(self, sizes: Stack) -> None:
        super().__init__()
        self.sizes = sizes
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))
        self.norm = Norm(sizes.dim)
        self.turns = self.mask = torch.empty(0)

    def allocate(self, rows: int, positions: int) -> None:
        """Zeroed caches, rotary angles and the mask."""
        weight = self.norm.scale
        shape = (rows, self.sizes.heads, positions, self.sizes.head_dim)
        for layer in self.layers:
            assert isinstance(layer, Layer)
            layer.attn.keys = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
            layer.attn.values = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        self.turns = rotary(self.sizes.head_dim, positions).to(weight.device)
        self.mask = torch.ones(positions, positions, dtype=torch.bool, device=weight.device).tril()

    def forward(self, x: Tensor, start: int) -> Tensor:
        """x (rows, n, dim) at positions start ... start + n - 1 -> hidden states of the same shape."""
        stop = start + x.shape[1]
        for layer in self.layers:
            x = layer(x, start, self.turns[start:stop], self.mask[start:stop])
        out: Tensor = self.norm(x)
        return out


class HeartMuLa(nn.Module):
    """The generator; a `generation.Model`.

    Its weights are uninitialised: `checkpoints` fills them. Everything is float32, or with bfloat16 weights as upstream runs them:
    under autocast, caches in bfloat16 too.
    """

    def __init__(self, flavour: Flavour) -> None:
        super().__init__()
        self.flavour = flavour
        dim, narrow = flavour.backbone.dim, flavour.decoder.dim
        self.backbone, self.decoder = Transformer(flavour.backbone), Transformer(flavour.decoder)
        self.text_embeddings = nn.Embedding(flavour.text_vocabulary, dim)
        self.audio_embeddings = nn.Embedding(CODEBOOKS * flavour.vocabulary, dim)
        self.unconditional_text_embedding = nn.Embedding(1, dim)
        self.projection = nn.Linear(dim, narrow, bias=False)
        self.codebook0_head = nn.Linear(dim, flavour.vocabulary, bias=False)
        self.audio_head = nn.Parameter(torch.empty(CODEBOOKS - 1, narrow, flavour.vocabulary))
        self.muq_linear = nn.Linear(flavour.muq, dim)

    def from_host(self, hidden: np.ndarray) -> Tensor:
        return torch.from_numpy(hidden).to(self.audio_head)

    def to_host(self, hidden: Tensor) -> np.ndarray:
        return host(hidden)

    def start(self, prompt: Prompt, rows: int, frames: int) -> Tensor:
        with self._computing():
            self.backbone.allocate(rows, self.flavour.backbone.positions)
            self.decoder.allocate(rows, CODEBOOKS)
            hidden: Tensor = self.backbone(embed_prompt(self, prompt, rows), 0)
            self.rows, self.prompt_length = rows, len(prompt.text)
            return hidden[:, -1:]

    def advance(self, codes: np.ndarray, start: int) -> Tensor:
        with self._computing():
            embedded = self.embed_codes(torch.from_numpy(codes), 0).sum(dim=1).to(self.audio_head.dtype)
            hidden: Tensor = self.backbone(embedded.expand(self.rows, -1, -1), self.prompt_length + start)
            return hidden

    def first(self, hidden: Tensor) -> np.ndarray:
        with self._computing():
            return host(self.codebook0_head(hidden[:, -1]))

    def depth(self, hidden: Tensor, codes: Sequence[int], start: int) -> np.ndarray:
        with self._computing():
            # A copy of its own: by a view of several rows torch multiplies in batches, with a copy of the weight for each of them.
            read = depth_inputs(self, hidden, codes)[:, start:].contiguous()
            found = self.decoder(self.projection(read), start)
            return host(found[:, -1] @ self.audio_head[len(codes) - 1])

    def embed_codes(self, codes: Tensor, first: int) -> Tensor:
        """Embeddings (..., n, dim) of codes (..., n) of codebooks `first`, `first` + 1, ..."""
        offsets = self.flavour.vocabulary * torch.arange(first, first + codes.shape[-1], device=codes.device)
        out: Tensor = self.audio_embeddings((codes + offsets).to(self.audio_head.device))
        return out

    @contextmanager
    def _computing(self) -> Iterator[None]:
        dtype, device = self.audio_head.dtype, self.audio_head.device.type
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16):
            yield


def embed_prompt(model: HeartMuLa, prompt: Prompt, rows: int) -> Tensor:
    """(rows, n, dim): each token's embedding, the style in one place; of a second row all are the vector for no text."""
    device = model.audio_head.device
    none = model.unconditional_text_embedding.weight
    embedded = model.text_embeddings(torch.from_numpy(prompt.text).to(device))
    style = linear(torch.from_numpy(prompt.muq).to(device, none.dtype), model.muq_linear.weight, model.muq_linear.bias)
    embedded[prompt.muq_place] = style.to(none.dtype)
    return torch.stack([embedded, none.expand_as(embedded)][:rows])


def depth_inputs(model: HeartMuLa, hidden: Tensor, codes: Sequence[int]) -> Tensor:
    """(rows, 1 + codes, dim): what the depth decoder reads of a frame of which these codes are known."""
    embedded = model.embed_codes(torch.tensor(codes), 0).to(model.audio_head.dtype)
    return torch.cat([hidden.to(embedded.dtype), embedded.expand(len(hidden), -1, -1)], dim=1)


def host(logits: Tensor) -> np.ndarray:
    """As float32 in the host's memory."""
    found: np.ndarray = logits.float().cpu().numpy()
    return found
