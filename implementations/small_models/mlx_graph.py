"""MLX: each call is one lazy graph, on Apple's GPU or, with `mlx[cpu]`, on any processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations.small_models.checkpoints import Served
from implementations.small_models.models import LSTM, Dense, Model
from implementations.small_models.serving import Compute, implementations, outputs_of
from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    import mlx.core as mx

    from harness.settings import Settings

GROUP = 32
"""Weights that share a scale in int8: every layer has a multiple of 32 inputs."""

_Product = Callable[["mx.array"], "mx.array"]
_Stage = Callable[["mx.array", bool], "mx.array"]
_Hold = Callable[[np.ndarray, np.ndarray], _Product]


def stack(model: Model, weights: Weights, precision: str) -> tuple[_Stage, int]:
    """(features (frames, inputs), stateful) -> (frames, outputs), lazily, and the bytes of its weights.

    precision: "float32", or "int8" for the weights alone.
    """
    import mlx.core as mx

    held: list[mx.array] = []
    hold = partial(_product, held, precision)
    stages: list[_Stage] = []
    for number, layer in enumerate(model.layers):
        own = {name.partition(".")[2]: array for name, array in weights.items() if name.partition(".")[0] == str(number)}
        if isinstance(layer, Dense):
            stages.append(partial(_dense, layer, hold(own["weight"], own["bias"])))
        else:
            stages.append(_lstm(layer, own, hold))

    def compute(values: mx.array, stateful: bool) -> mx.array:
        for stage in stages:
            values = stage(values, stateful)
        return values

    mx.eval(*held)
    return compute, sum(array.nbytes for array in held)


def _product(held: list[mx.array], precision: str, weight: np.ndarray, bias: np.ndarray) -> _Product:
    """values -> values @ weight.T + bias; what it holds is added to `held`."""
    import mlx.core as mx

    offset = mx.array(bias)
    held.append(offset)
    if precision == "int8":
        packed, scales, zeros = mx.quantize(mx.array(weight), group_size=GROUP, bits=8)
        held += [packed, scales, zeros]
        return lambda values: mx.quantized_matmul(values, packed, scales, zeros, group_size=GROUP, bits=8) + offset
    kernel = mx.array(np.ascontiguousarray(weight.T))
    held.append(kernel)
    return lambda values: mx.addmm(offset, values, kernel)


def _dense(layer: Dense, product: _Product, values: mx.array, stateful: bool) -> mx.array:
    import mlx.core as mx

    values = product(values)
    match layer.activation:
        case "softmax":
            return mx.softmax(values, axis=1)
        case "relu":
            return mx.maximum(values, 0.0)
        case activation:
            result: mx.array = getattr(mx, activation)(values)
            return result


def _lstm(layer: LSTM, own: Weights, hold: _Hold) -> _Stage:
    """From zero state neither W_hh nor the forget gate matter, which is a product of its own: quantized weights cannot be sliced."""
    import mlx.core as mx

    size, bias = layer.outputs, own["bias_ih"] + own["bias_hh"]
    live = np.r_[0:size, 2 * size : 4 * size]
    fresh = hold(own["weight_ih"][live], bias[live])
    forgetting = hold(own["weight_ih"][size : 2 * size], bias[size : 2 * size])
    again = hold(own["weight_hh"][np.r_[size : 2 * size, live]], np.zeros_like(bias))

    def stage(values: mx.array, stateful: bool) -> mx.array:
        if not stateful or len(values) == 1:
            enter, candidate, leave = mx.split(fresh(values), 3, axis=1)
            return mx.sigmoid(leave) * mx.tanh(mx.sigmoid(enter) * mx.tanh(candidate))
        hidden, cell, found = mx.zeros((1, size)), mx.zeros((1, size)), []
        for gates in mx.split(mx.concatenate([forgetting(values), fresh(values)], axis=1), len(values), axis=0):
            forget, enter, candidate, leave = mx.split(gates + again(hidden), 4, axis=1)
            cell = mx.sigmoid(forget) * cell + mx.sigmoid(enter) * mx.tanh(candidate)
            hidden = mx.sigmoid(leave) * mx.tanh(cell)
            found.append(hidden)
        return mx.concatenate(found, axis=0)

    return stage


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings) -> Iterator[tuple[Compute, int]]:
    import mlx.core as mx

    made = {name: stack(model, weights, settings.precision or "float32") for name, (model, weights) in served.items()}

    stages = {name: stage for name, (stage, _) in made.items()}

    def join(left: Any, right: Any) -> Any:
        return mx.concatenate([left, right], axis=1)

    def compute(features: np.ndarray, stateful: bool) -> Mapping[str, np.ndarray]:
        if not len(features):
            return {name: np.empty((0, model.outputs), np.float32) for name, (model, _) in served.items()}
        found = outputs_of(mx.array(features), stateful, stages, join)
        mx.eval(*found.values())
        return {name: np.array(output) for name, output in found.items()}

    try:
        yield compute, sum(size for _, size in made.values())
    finally:
        mx.clear_cache()


EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN = implementations(
    "mlx_graph",
    "optimized",
    _open,
    precisions=("int8",),
    requires=Requires(packages=("mlx",)),
    clock="mlx",
    description="MLX, one lazy graph per call; int8 in groups of 32 weights",
)
