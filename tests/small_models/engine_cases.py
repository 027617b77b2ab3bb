"""Models, weights and float64 answers for the tests of the native engine."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from implementations.small_models.models import LSTM, MODELS, Dense, Model, chain
from implementations.small_models.packed import restored, rounded
from implementations.small_models.reference import run_model
from implementations.small_models.weights import random_weights

WEIGHTS = {name: random_weights(model, seed) for seed, (name, model) in enumerate(MODELS.items())}
FEATURES = np.random.default_rng(7).normal(size=(24, 128)).astype(np.float32)

SNR_DB = {"bfloat16": 48.0, "float16": 65.0, "int8": 40.0}

ODD = {
    "one": Model("one", (Dense(1, 1, "tanh"),)),
    "narrow": Model("narrow", (Dense(3, 5, "relu"), LSTM(5, 3), Dense(3, 7, "softmax"))),
    "wide": Model("wide", (Dense(67, 130, "sigmoid"), LSTM(130, 33), LSTM(33, 17), Dense(17, 100, "tanh"), Dense(100, 9, "softmax"))),
    "deep": Model("deep", (LSTM(19, 40), *(Dense(40, 40, "tanh") for _ in range(6)))),
}
"""Widths that fill no vector, no pair and no group of four."""


@lru_cache(maxsize=2)
def answers(stateful: bool) -> dict[str, np.ndarray]:
    """Of the chain on FEATURES."""
    steps = {name: lambda x, name=name: run_model(MODELS[name], WEIGHTS[name], x, stateful=stateful) for name in MODELS}
    return dict(chain(FEATURES, steps))


def snr_db(expected: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.square(expected).sum() / max(np.square(expected - found).sum(), 1e-300)))


def as_stored(weights: dict[str, np.ndarray], precision: str) -> dict[str, np.ndarray]:
    """The weights that an engine of that precision computes with; biases stay float32."""
    return {name: restored(rounded(array, precision), precision) if array.ndim == 2 else array for name, array in weights.items()}
