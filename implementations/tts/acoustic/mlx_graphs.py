"""FastSpeech2 whose arithmetic is in MLX: encoder, predictors, and all behind the decisions, each a lazy graph of its own.

MLX's convolutions take (B, T, channels), so nothing is transposed on the way. The PostNet's norms are folded.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import torch
from torch import Tensor, nn

from implementations.tts.acoustic.fastspeech2 import FastSpeech2, mask_of, sinusoids
from implementations.tts.acoustic.planar import fold

Layer = Callable[[mx.array], mx.array]
Stage = Callable[[mx.array, mx.array | None], Any]
"""Of (B, T, ...) and, where something is padded, (B, T) True where something is."""


def in_graphs(model: FastSpeech2) -> FastSpeech2:
    """The same model, its arithmetic in MLX; what has no parameters (bins, durations) stays in PyTorch."""
    made = copy.deepcopy(model).requires_grad_(False)
    for convolution in made.postnet.convolutions:
        fold(convolution)
    parts: dict[str, nn.Module] = {"encoder": Graph(transformer(made.encoder)), "decoder": Graph(decoding(made))}
    predictors: dict[str, nn.Module] = {}
    for name in ("duration_predictor", "pitch_predictor", "energy_predictor"):
        predictors[name] = Graph(predictor(getattr(made.variance_adaptor, name)))
    for name, part in {**parts, "mel_linear": nn.Identity(), "postnet": nn.Identity()}.items():
        made.add_module(name, part)
    for name, part in predictors.items():
        made.variance_adaptor.add_module(name, part)
    made.__class__ = _InGraphs
    return made.eval()


class _InGraphs(FastSpeech2):
    def decode(self, expanded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        if not expanded.shape[1]:
            nothing = expanded.new_zeros((*expanded.shape[:2], self.configuration.mels))
            return nothing, nothing
        found: tuple[Tensor, Tensor] = self.decoder(expanded, mask_of(frames, expanded.shape[1]))
        return found


class Graph(nn.Module):
    """A stage between PyTorch's tensors."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        found = self.stage(mx.array(x.numpy()), None if mask is None else mx.array(mask.numpy()))
        mx.eval(found)
        return tuple(map(_tensor, found)) if isinstance(found, tuple) else _tensor(found)


def _tensor(array: mx.array) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(array))


def transformer(module: Any) -> Stage:
    """A `Transformer`."""
    symbols = _array(module.src_word_emb.weight) if hasattr(module, "src_word_emb") else None
    width = module.position_encoding.shape[1]
    blocks = [(_attention(block.slf_attn), _convolutions(block.pos_ffn)) for block in module.layer_stack]

    def compute(x: mx.array, mask: mx.array | None) -> mx.array:
        x = x if symbols is None else symbols[x]
        x = x + mx.array(sinusoids(x.shape[1], width).numpy())
        for attention, convolutions in blocks:
            x = _silent(attention(x, mask), mask)
            x = _silent(convolutions(x), mask)
        return x

    return compute


def _silent(x: mx.array, mask: mx.array | None) -> mx.array:
    return x if mask is None else mx.where(mask[..., None] if x.ndim > mask.ndim else mask, x, 0.0)


def _attention(module: Any) -> Stage:
    query, key, value, out = (_linear(layer) for layer in (module.w_qs, module.w_ks, module.w_vs, module.fc))
    norm, heads = _norm(module.layer_norm), module.heads

    def compute(x: mx.array, mask: mx.array | None) -> mx.array:
        q, k, v = (layer(x).reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3) for layer in (query, key, value))
        seen = mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[3] ** -0.5, mask=None if mask is None else mask[:, None, None])
        return norm(out(seen.transpose(0, 2, 1, 3).reshape(x.shape)) + x)

    return compute


def _convolutions(module: Any) -> Layer:
    first, second, norm = _conv(module.w_1), _conv(module.w_2), _norm(module.layer_norm)
    return lambda x: norm(second(mx.maximum(first(x), 0)) + x)


def predictor(module: Any) -> Stage:
    """A `Predictor`."""
    layers = [(_conv(module.conv_layer[f"conv1d_{n}"].conv), _norm(module.conv_layer[f"layer_norm_{n}"])) for n in "12"]
    head = _linear(module.linear_layer)

    def compute(x: mx.array, mask: mx.array | None) -> mx.array:
        if not x.shape[1]:
            return mx.zeros(x.shape[:2])
        for conv, norm in layers:
            x = norm(mx.maximum(conv(x), 0))
        return _silent(head(x)[..., 0], mask)

    return compute


def decoding(model: FastSpeech2) -> Stage:
    """All that follows the decisions."""
    decoder, head = transformer(model.decoder), _linear(model.mel_linear)
    *inner, last = [_conv(convolution[0].conv) for convolution in model.postnet.convolutions]  # type: ignore[index, union-attr]

    def compute(x: mx.array, mask: mx.array | None) -> tuple[mx.array, mx.array]:
        mel = head(decoder(x, mask))
        x = mel
        for conv in inner:
            x = mx.tanh(conv(x))
        return mel, mel + last(x)

    return compute


def _array(weight: Tensor) -> mx.array:
    return mx.array(weight.detach().numpy())


def _linear(layer: Any) -> Layer:
    weight, bias = _array(layer.weight).T, _array(layer.bias)
    return lambda x: mx.addmm(bias, x, weight)


def _norm(layer: Any) -> Layer:
    weight, bias = _array(layer.weight), _array(layer.bias)
    return lambda x: mx.fast.layer_norm(x, weight, bias, layer.eps)


def _conv(layer: Any) -> Layer:
    weight, bias, padding = _array(layer.weight.permute(0, 2, 1).contiguous()), _array(layer.bias), layer.padding[0]
    return lambda x: mx.conv1d(x, weight, padding=padding) + bias
