"""Weights of a model: NumPy arrays by name, checked against its structure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from implementations.small_models.models import Model

Weights = Mapping[str, np.ndarray]
"""float32 arrays by the names of `Model.shapes()`."""


class BadWeights(ValueError):
    """Weights, or a file of them, that are not what a model needs: says where, what was expected and what was found."""


def checked(model: Model, weights: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """The weights as contiguous float32, if names and shapes are the model's and every value is finite; else BadWeights.

    where: the file, or whatever names the source in messages.
    """
    expected = model.shapes()
    if missing := sorted(set(expected) - set(weights)):
        raise BadWeights(f"{where}: {model.name} needs {', '.join(missing)}, not found; found {', '.join(sorted(weights)) or 'nothing'}")
    if extra := sorted(set(weights) - set(expected)):
        raise BadWeights(f"{where}: {model.name} has no {', '.join(extra)}")
    found = {}
    for name, shape in expected.items():
        array = np.asarray(weights[name])
        if array.shape != shape:
            raise BadWeights(f"{where}: {model.name} {name}: expected shape {shape}, found {array.shape}")
        if array.dtype.kind != "f":
            raise BadWeights(f"{where}: {model.name} {name}: expected floating point numbers, found {array.dtype}")
        if not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise BadWeights(f"{where}: {model.name} {name}: found {array[place]} at {place}, expected finite numbers")
        found[name] = np.ascontiguousarray(array, np.float32)
    return found


def random_weights(model: Model, seed: int) -> dict[str, np.ndarray]:
    """Reproducible weights, uniform within 1 / sqrt(inputs), as torch initialises dense layers and LSTMs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    fan_in = {name: shape[1] for name, shape in model.shapes().items() if len(shape) == 2}
    found = {}
    for name, shape in model.shapes().items():
        prefix = name.split(".")[0]
        inputs = fan_in.get(f"{prefix}.weight") or fan_in[f"{prefix}.weight_hh"]
        bound = 1.0 / np.sqrt(inputs)
        found[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return found
