"""MLX: the same codec as one lazy graph per Euler step, on Apple's GPU or, with `mlx[cpu]`, on any processor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations.codec.configuration import LATENTS_PER_FRAME, Configuration
from implementations.codec.serving import Kernels, Model, implementations

if TYPE_CHECKING:
    import mlx.core as mx

    from harness.settings import Settings
    from implementations.codec.model import HeartCodec

Weights = Mapping[str, Any]
"""MLX arrays by upstream's names; convolutions as MLX has them, (outputs, taps, inputs)."""

EPSILON, ROTARY_BASE, SIGMA, LEVELS = 1e-6, 10000.0, 1e-6, 9
TIME_FEATURES, TIME_SCALE, TIME_PERIOD = 512, 1000.0, 10000.0
DILATIONS = (1, 3, 5, 7, 9)


def weights_of(model: HeartCodec, precision: str) -> Weights:
    """All weights of a model, its weight norm folded, in "float32" or "float16"."""
    import mlx.core as mx

    from implementations.codec.decoder import Upsampling, fold

    fold(model.scalar_model)
    upsampling = {name for name, module in model.named_modules() if isinstance(module, Upsampling)}
    found = {}
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        if array.ndim == 3 and name.endswith(".weight"):
            # (outputs, inputs, taps), of a transposed convolution (inputs, outputs, taps)
            array = array.transpose(1, 2, 0) if name.removesuffix(".weight") in upsampling else array.transpose(0, 2, 1)
        found[name] = mx.array(np.ascontiguousarray(array)).astype(getattr(mx, precision))
    mx.eval(*found.values())
    return found


class _Part:
    """The weights under a name, and functions of them."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._weights, self._name = weights, name

    def __getitem__(self, name: str) -> Any:
        return self._weights[f"{self._name}.{name}"]

    def part(self, name: str) -> _Part:
        return _Part(self._weights, f"{self._name}.{name}")

    def linear(self, name: str, x: mx.array) -> mx.array:
        product: mx.array = x @ self[f"{name}.weight"].T
        bias = self._weights.get(f"{self._name}.{name}.bias")
        return product if bias is None else product + bias


def _silu(x: mx.array) -> mx.array:
    import mlx.core as mx

    return x * mx.sigmoid(x)


def _project(at: _Part, x: mx.array) -> mx.array:
    import mlx.core as mx

    x = mx.conv1d(x, at["ffn_1.weight"], padding=1) + at["ffn_1.bias"]
    return at.linear("ffn_2", x * 3**-0.5)


def _time(at: _Part, t: float) -> tuple[mx.array, mx.array]:
    """(6, width) and (width,) of a time."""
    import mlx.core as mx

    half = TIME_FEATURES // 2
    angles = t * mx.exp(-math.log(TIME_PERIOD) * mx.arange(half) / half) * TIME_SCALE
    waves = mx.concatenate([mx.cos(angles), mx.sin(angles)])[None].astype(at["linear.weight"].dtype)
    embedded = at.linear("emb.timestep_embedder.linear_2", _silu(at.linear("emb.timestep_embedder.linear_1", waves)))
    return at.linear("linear", _silu(embedded)).reshape(6, -1), embedded[0]


def _block(at: _Part, x: mx.array, modulation: mx.array, heads: int) -> mx.array:
    import mlx.core as mx

    shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = at["scale_shift_table"] + modulation
    normed = mx.fast.rms_norm(x, at["attn_norm.weight"], EPSILON) * (1 + scale) + shift
    q, k, v = (at.linear(f"attn.{name}_proj", normed).reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3) for name in "qkv")
    size = q.shape[-1]
    q, k = (mx.fast.rope(one, size, traditional=True, base=ROTARY_BASE, scale=1.0, offset=0) for one in (q, k))
    mixed = mx.fast.scaled_dot_product_attention(q, k, v, scale=size**-0.5).transpose(0, 2, 1, 3).reshape(*x.shape)
    x = x + gate * at.linear("attn.o_proj", mixed)
    normed = mx.fast.rms_norm(x, at["mlp_norm.weight"], EPSILON) * (1 + mlp_scale) + mlp_shift
    out: mx.array = x + mlp_gate * at.linear("mlp.down", _silu(at.linear("mlp.gate", normed)) * at.linear("mlp.up", normed))
    return out


def _ended(x: mx.array, table: mx.array) -> mx.array:
    import mlx.core as mx

    shift, scale = table
    out: mx.array = mx.fast.layer_norm(x, None, None, EPSILON) * (1 + scale) + shift
    return out


def estimate(at: _Part, configuration: Configuration, x: mx.array, t: float) -> mx.array:
    """Velocity (b, t, channels) of [latents | context | condition] at a time."""
    import mlx.core as mx

    heads = configuration.num_attention_heads
    modulation, embedded = _time(at.part("adaln_single"), t)
    hidden = _project(at.part("proj_in"), x)
    for number in range(configuration.num_layers):
        hidden = _block(at.part(f"transformer_blocks.{number}"), hidden, modulation, heads)
    hidden = _ended(hidden, at["scale_shift_table"] + embedded)
    modulation, embedded = _time(at.part("adaln_single_2"), t)
    hidden = _project(at.part("connection_proj"), mx.concatenate([x, hidden], axis=-1))
    for number in range(configuration.num_layers_2):
        hidden = _block(at.part(f"transformer_blocks_2.{number}"), hidden, modulation, heads)
    return _project(at.part("proj_out"), _ended(hidden, at["scale_shift_table_2"] + embedded))


def _condition(at: _Part, configuration: Configuration, codes: np.ndarray) -> mx.array:
    import mlx.core as mx

    indices = mx.array(codes)
    vectors = sum(
        at[f"vq_embed.layers.{number}._codebook.embed"][0][indices[..., number]] for number in range(configuration.num_quantizers)
    )
    return mx.repeat(at.linear("cond_feature_emb", at.linear("vq_embed.project_out", vectors)), LATENTS_PER_FRAME, axis=1)


def _prelu(at: _Part, name: str, x: mx.array) -> mx.array:
    import mlx.core as mx

    out: mx.array = mx.maximum(x, 0) + at[f"{name}.weight"] * mx.minimum(x, 0)
    return out


def _causal(at: _Part, name: str, x: mx.array, dilation: int = 1) -> mx.array:
    import mlx.core as mx

    kernel = at[f"{name}.weight"]
    padded = mx.pad(x, [(0, 0), ((kernel.shape[1] - 1) * dilation, 0), (0, 0)])
    out: mx.array = mx.conv1d(padded, kernel, dilation=dilation) + at[f"{name}.bias"]
    return out


def decode(at: _Part, configuration: Configuration, latents: mx.array) -> mx.array:
    """Samples (b, n, 1) of latents (b, t, channels / 2)."""
    import mlx.core as mx

    rounded = mx.round(LEVELS * latents) / LEVELS
    x = mx.conv1d(rounded.astype(at["0.weight"].dtype), at["0.weight"], padding=2) + at["0.bias"]
    for number, stride in enumerate(configuration.upsample_factors, 1):
        up = at.part(f"{number}.up_conv.layer")
        x = mx.conv_transpose1d(x, up["weight"], stride=stride)[:, :-stride] + up["bias"]
        for unit, dilation in enumerate(DILATIONS):
            own = at.part(f"{number}.convs.{unit}")
            inner = _prelu(own, "activation1", _causal(own, "conv1", x, dilation))
            x = _prelu(own, "activation2", _causal(own, "conv2", inner)) + x
    last = len(configuration.upsample_factors) + 1
    if configuration.num_samples > 1:
        x = _prelu(at.part(str(last)), "activation", _causal(at, f"{last}.conv", mx.repeat(x, configuration.num_samples, axis=1)))
        last += 1
    return _causal(at, str(last), x)


def kernels(model: HeartCodec, precision: str = "float32") -> Kernels:
    """The model's weights, taken over, and what to do with them; latents stay float32 between steps."""
    import mlx.core as mx

    from implementations.codec.flow import schedule

    configuration, weights = model.configuration, weights_of(model, precision)
    kind = getattr(mx, precision)
    matching, estimator, decoder = (_Part(weights, name) for name in ("flow_matching", "flow_matching.estimator", "scalar_model.decoder"))

    def flow(codes: np.ndarray, noise: np.ndarray, context: np.ndarray, steps: int, guidance: float) -> np.ndarray:
        condition, known, begin = _condition(matching, configuration, codes), mx.array(context), mx.array(noise)
        count = context.shape[1]
        padded = mx.pad(known, [(0, 0), (0, condition.shape[1] - count), (0, 0)])
        rows = [mx.zeros_like(condition), condition] if guidance > 1 else [condition]
        constant = mx.concatenate([mx.concatenate([padded, row], axis=-1) for row in rows])
        x = begin
        for t, dt in ((float(t), float(dt)) for t, dt in schedule(steps)):
            x = mx.concatenate([(1 - (1 - SIGMA) * t) * begin[:, :count] + t * known, x[:, count:]], axis=1)
            seen = mx.concatenate([mx.concatenate([x] * len(rows)), constant], axis=-1)
            found = estimate(estimator, configuration, seen.astype(kind), t).astype(mx.float32)
            if guidance > 1:
                unconditional, conditional = mx.split(found, 2)
                found = unconditional + guidance * (conditional - unconditional)
            x = x + dt * found
            mx.eval(x)  # else ten steps' intermediate results would wait in memory
        return np.array(mx.concatenate([known, x[:, count:]], axis=1))

    def samples(latents: np.ndarray) -> np.ndarray:
        halves = mx.array(latents.reshape(len(latents), 2, -1).transpose(1, 0, 2))
        return np.ascontiguousarray(np.array(decode(decoder, configuration, halves).astype(mx.float32))[..., 0].T)

    return Kernels(flow, samples)


@contextmanager
def _open(settings: Settings) -> Iterator[Model]:
    import mlx.core as mx

    from implementations.codec import model

    try:
        yield lru_cache(maxsize=None)(lambda name: kernels(model.load(name), settings.precision or "float32"))
    finally:
        mx.clear_cache()


FLOW, DECODER = implementations(
    "mlx_lazy",
    "optimized",
    _open,
    precisions=("float16",),
    settings=(),
    only=("codec_flow", "codec_decoder"),
    solver=False,
    requires=Requires(packages=("mlx", "torch")),
    clock="mlx",
    description="MLX, a lazy graph for each Euler step and for the decoder (PyTorch reads the weights)",
)
