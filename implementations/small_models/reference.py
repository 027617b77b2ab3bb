"""The reference: the five models and their chain in float64 NumPy, frame by frame where state is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np

from harness.settings import Settings
from implementations.small_models.checkpoints import Served
from implementations.small_models.models import LSTM, Activation, Dense, Model
from implementations.small_models.serving import Compute, implementations, outputs_of
from implementations.small_models.weights import Weights


def run_model(model: Model, weights: Weights, features: np.ndarray, stateful: bool = False) -> np.ndarray:
    """(frames, outputs) float64 of features (frames, inputs), from weights by the names of `Model.shapes()`.

    stateful: the frames are one sequence, whose LSTM state starts at zero and is kept; else each is one step from zero state.
    """
    values = features.astype(np.float64)
    exact = {name: array.astype(np.float64) for name, array in weights.items()}
    for number, layer in enumerate(model.layers):
        own = {name.partition(".")[2]: array for name, array in exact.items() if name.partition(".")[0] == str(number)}
        match layer:
            case Dense(activation=activation):
                values = ACTIVATIONS[activation](values @ own["weight"].T + own["bias"])
            case LSTM():
                values = _lstm(own, values, stateful)
    return values


def _lstm(own: Weights, values: np.ndarray, stateful: bool) -> np.ndarray:
    """(frames, inputs) to (frames, outputs); gates in the order input, forget, cell, output."""
    outputs = own["weight_hh"].shape[1]
    result = np.empty((len(values), outputs))
    hidden, cell = np.zeros(outputs), np.zeros(outputs)
    for frame, value in enumerate(values):
        if not stateful:
            hidden, cell = np.zeros(outputs), np.zeros(outputs)
        gates = own["weight_ih"] @ value + own["bias_ih"] + own["weight_hh"] @ hidden + own["bias_hh"]
        enter, forget, candidate, leave = gates.reshape(4, outputs)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(candidate)
        hidden = _sigmoid(leave) * np.tanh(cell)
        result[frame] = hidden
    return result


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * values)  # no overflow on either side


def _softmax(values: np.ndarray) -> np.ndarray:
    powers: np.ndarray = np.exp(values - values.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


ACTIVATIONS: Mapping[Activation, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": partial(np.maximum, 0.0),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings) -> Iterator[tuple[Compute, int]]:
    stages = {name: partial(run_model, model, weights) for name, (model, weights) in served.items()}

    def compute(features: np.ndarray, stateful: bool) -> Mapping[str, np.ndarray]:
        return {name: output.astype(np.float32) for name, output in outputs_of(features, stateful, stages).items()}

    yield compute, 8 * sum(model.parameters() for model, _ in served.values())


EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN = implementations(
    "reference", "reference", _open, settings=(), description="NumPy in float64, every weight used, rounded to float32 at the end"
)
