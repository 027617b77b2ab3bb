"""The generator on an NVIDIA GPU: one CUDA graph per frame, which reads a frame, writes the next one and samples all of it on the device.

A frame is some 800 small kernels, and launching them one by one takes longer than they run. A graph replays them at once, which asks for
shapes that do not change: attention looks at the whole cache, which is of the length of the song, under a mask that a counter moves, and
the races of sampling run over the whole codebook. Before the graph can be caught, and where there is no GPU, the same step runs eagerly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu

from implementations.generator.engine import Cache, Engine, Layers, Product
from implementations.generator.flavours import CODEBOOKS
from implementations.generator.generation import Frame, Model, Request
from implementations.generator.heartmula import NORM_EPSILON
from implementations.generator.sampling import MASK, philox


def plain(weight: Tensor) -> Product:
    """cuBLAS as it is."""
    return partial(linear, weight=weight)


def step(layers: Layers, x: Tensor, cache: Cache, place: Tensor) -> Tensor:
    """`Layers` for one position x (rows, 1, dim) at `place` (1,) int64, with no shape or index that depends on it."""
    rows, _, dim = x.shape
    heads, narrow, size = layers.sizes.heads, layers.sizes.kv_heads, layers.sizes.head_dim
    turns = layers.turns.index_select(0, place)[:, None]
    mask = torch.arange(cache.keys.shape[3], device=x.device)[None] <= place[:, None]
    for number, (norm, qkv, out, mlp_norm, gate_up, down) in enumerate(layers.layers):
        made = qkv(rms_norm(x, (dim,), norm, NORM_EPSILON)).view(rows, 1, -1, size)
        turned = torch.view_as_complex(made[:, :, : heads + narrow].float().reshape(rows, 1, heads + narrow, -1, 2)) * turns
        qk = torch.view_as_real(turned).flatten(-2).to(layers.dtype)
        keys, values = cache.keys[number], cache.values[number]
        keys.index_copy_(2, place, qk[:, :, heads:].transpose(1, 2))
        values.index_copy_(2, place, made[:, :, heads + narrow :].transpose(1, 2))
        q = qk[:, :, :heads].transpose(1, 2).reshape(rows, narrow, -1, size)
        mixed = scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        x = x + out(mixed.reshape(rows, 1, heads * size))
        gate, up = gate_up(rms_norm(x, (dim,), mlp_norm, NORM_EPSILON)).chunk(2, dim=-1)
        x = x + down(silu(gate) * up)
    return rms_norm(x, (dim,), layers.norm, NORM_EPSILON)


class Writer:
    """One song's tensors that the graph reads and writes: the frame before, how many there were, what is chosen, its logits."""

    def __init__(self, engine: Engine, request: Request) -> None:
        self.engine, self.request = engine, request
        self.hidden = engine.start(request.prompt, request.rows, request.frames)
        device = self.hidden.device
        self.codes, self.past, self.known = (torch.zeros(CODEBOOKS, dtype=torch.int64, device=device) for _ in range(3))
        self.number = torch.zeros(1, dtype=torch.int64, device=device)
        self.logits = torch.zeros(CODEBOOKS, engine.flavour.vocabulary, device=device)
        self.all = torch.arange(engine.flavour.vocabulary, device=device)
        self.places = [torch.tensor([place], device=device) for place in range(CODEBOOKS)]
        self.offsets = engine.flavour.vocabulary * torch.arange(CODEBOOKS, device=device)

    def advance(self) -> None:
        """Read the frame `past` and write the next one."""
        self.number += 1
        embedded = self.engine.audio[self.past + self.offsets].to(self.engine.dtype).sum(dim=0)
        place = self.number + (self.engine.prompt_length - 1)
        self.write(step(self.engine.backbone, self._rows(embedded), self.engine.history, place))

    def write(self, hidden: Tensor) -> None:
        """The codes of one frame from what foretells it. Under `forced` the depth decoder reads `known`."""
        engine = self.engine
        self._choose(engine.heads[0](hidden[:, -1]), 0)
        read = self.codes if self.request.forced is None else self.known
        step(engine.decoder, engine.projection(hidden), engine.frame, self.places[0])
        for book in range(1, CODEBOOKS):
            embedded = engine.audio[read[book - 1] + self.offsets[book - 1]].to(engine.dtype)
            found = step(engine.decoder, engine.projection(self._rows(embedded)), engine.frame, self.places[book])
            self._choose(engine.heads[book](found[:, -1]), book)

    def _rows(self, embedded: Tensor) -> Tensor:
        return embedded.expand(self.request.rows, 1, -1)

    def _choose(self, logits: Tensor, book: int) -> None:
        """`sampling.choose`, on the device."""
        request, rows = self.request, logits.float()
        guided = rows[0] if len(rows) == 1 else rows[1] + (rows[0] - rows[1]) * request.guidance
        self.logits[book] = guided
        if request.top_k > 1:
            least = guided.topk(request.top_k).values[-1]
            counter = (self.all, torch.full_like(self.all, book), self.number.expand_as(self.all), torch.zeros_like(self.all))
            bits = philox(counter, (request.seed & MASK, request.seed >> 32))[0]
            noise = -torch.log((2 * bits + 1) * 2.0**-33)
            guided = torch.where(guided >= least, guided.double() / request.temperature - noise.log(), -math.inf)
        self.codes[book] = guided.argmax()


def generate(model: Model, request: Request) -> Iterator[Frame]:
    """`generation.generate` by an `Engine`, its frames written on the device."""
    assert isinstance(model, Engine)
    with torch.inference_mode():
        writer = Writer(model, request)
        advance: Any = writer.advance
        for number in range(request.frames):
            if request.forced is not None:
                writer.known.copy_(torch.from_numpy(request.forced[number]))
            if number == 0:
                writer.write(writer.hidden)
            else:
                advance()
            writer.past.copy_(writer.codes if request.forced is None else writer.known)
            frame = Frame(writer.codes.cpu().numpy().astype(np.int32), writer.logits.cpu().numpy().copy())
            if number and int(frame.codes.max()) >= request.end:
                return
            yield frame
            if number == 1 and writer.codes.is_cuda:  # all that runs once, such as choosing a product's kernel, has run
                advance = _caught(writer)


def _caught(writer: Writer) -> Any:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        writer.advance()
    return graph.replay
