"""NumPy in float32: weights transposed once, whole batches at a time; from zero state only the gates that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from implementations.small_models.checkpoints import Served
from implementations.small_models.models import LSTM, Dense, Model
from implementations.small_models.serving import Compute, Stage, implementations, outputs_of
from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    from harness.settings import Settings

_HALF = np.float32(0.5)


def stack(model: Model, weights: Weights) -> tuple[Stage, int]:
    """(features (frames, inputs) float32, stateful) -> (frames, outputs) float32, of a model with these weights; the bytes they take."""
    stages: list[Stage] = []
    size = 0
    for number, layer in enumerate(model.layers):
        own = {name.partition(".")[2]: array for name, array in weights.items() if name.partition(".")[0] == str(number)}
        packed = _dense_weights(own) if isinstance(layer, Dense) else _lstm_weights(layer, own)
        stages.append(_dense(layer, *packed) if isinstance(layer, Dense) else _lstm(layer, *packed))
        size += sum(array.nbytes for array in packed)

    def compute(features: np.ndarray, stateful: bool) -> np.ndarray:
        for stage in stages:
            features = stage(features, stateful)
        return features

    return compute, size


def _dense_weights(own: Weights) -> tuple[np.ndarray, ...]:
    return np.ascontiguousarray(own["weight"].T), own["bias"]


def _dense(layer: Dense, kernel: np.ndarray, bias: np.ndarray) -> Stage:
    activate = _IN_PLACE[layer.activation]

    def stage(values: np.ndarray, stateful: bool) -> np.ndarray:
        values = values @ kernel
        values += bias
        activate(values)
        return values

    return stage


def _lstm_weights(layer: LSTM, own: Weights) -> tuple[np.ndarray, ...]:
    """Gates in the order forget, input, cell, output: those that matter from zero state lie together."""
    size = layer.outputs
    order = np.r_[size : 2 * size, 0:size, 2 * size : 4 * size]
    bias = own["bias_ih"] + own["bias_hh"]
    return np.ascontiguousarray(own["weight_ih"][order].T), np.ascontiguousarray(own["weight_hh"][order].T), bias[order]


def _lstm(layer: LSTM, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> Stage:
    """From zero state c = sigmoid(i) tanh(g) and h = sigmoid(o) tanh(c): neither W_hh nor the forget gate matter."""
    size = layer.outputs
    fresh_kernel, fresh_bias = kernel[:, size:], bias[size:]

    def fresh(values: np.ndarray) -> np.ndarray:
        gates = values @ fresh_kernel
        gates += fresh_bias
        enter, candidate, leave = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
        _sigmoid(enter)
        _sigmoid(leave)
        np.tanh(candidate, out=candidate)
        enter *= candidate
        np.tanh(enter, out=enter)
        return np.asarray(leave * enter)

    def stage(values: np.ndarray, stateful: bool) -> np.ndarray:
        if not stateful or len(values) == 1:
            return fresh(values)
        gates = values @ kernel
        gates += bias
        result = np.empty((len(values), size), np.float32)
        hidden, cell = np.zeros(size, np.float32), np.zeros(size, np.float32)
        for frame in range(len(values)):
            gate = gates[frame]
            gate += hidden @ recurrent
            candidate = np.tanh(gate[2 * size : 3 * size])
            _sigmoid(gate)
            cell = gate[:size] * cell + gate[size : 2 * size] * candidate
            hidden = np.multiply(gate[3 * size :], np.tanh(cell), out=result[frame])
        return result

    return stage


def _sigmoid(values: np.ndarray) -> None:
    values *= _HALF
    np.tanh(values, out=values)
    values *= _HALF
    values += _HALF


def _relu(values: np.ndarray) -> None:
    np.maximum(values, np.float32(0), out=values)


def _softmax(values: np.ndarray) -> None:
    values -= values.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)


def _tanh(values: np.ndarray) -> None:
    np.tanh(values, out=values)


_IN_PLACE: dict[str, Callable[[np.ndarray], None]] = {"tanh": _tanh, "relu": _relu, "sigmoid": _sigmoid, "softmax": _softmax}


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings) -> Iterator[tuple[Compute, int]]:
    made = {name: stack(model, weights) for name, (model, weights) in served.items()}

    stages = {name: stage for name, (stage, _) in made.items()}

    def compute(features: np.ndarray, stateful: bool) -> Mapping[str, np.ndarray]:
        return outputs_of(features, stateful, stages)

    yield compute, sum(size for _, size in made.values())


EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN = implementations(
    "numpy_packed", "optimized", _open, sizes=("medium", "small"), description="NumPy in float32, weights transposed once, live gates only"
)
