"""RTNeural's JSON: weights as its own loader reads them, and as its exporters write them.

    {"in_shape": [null, null, inputs],
     "layers": [{"type": "dense", "activation": "tanh", "shape": [null, null, outputs], "weights": [[inputs][outputs], [outputs]]},
                {"type": "lstm", "activation": "tanh", "shape": ..., "weights": [[inputs][4 H], [H][4 H], [4 H]]}]}

LSTM gates are in torch's order, i, f, g, o; its one bias is the sum of torch's two. Keys that are not needed are ignored, as RTNeural does.
Source: RTNeural/model_loader.h and python/model_utils.py of jatinchowdhury18/RTNeural.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from implementations.small_models.models import LSTM, Dense, Layer, Model
from implementations.small_models.weights import BadWeights, Weights, checked


def parse(model: Model, text: bytes | str, where: str) -> dict[str, np.ndarray]:
    """The weights of a model, float32 by the names of `Model.shapes()`; BadWeights says what is not as the model needs it.

    where: the file, or whatever names the source in messages.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadWeights(f"{where}: expected RTNeural JSON, found: {error or type(error).__name__}") from None
    if not isinstance(body, dict):
        raise BadWeights(f"{where}: expected a JSON object with 'in_shape' and 'layers', found {_kind(body)}")
    for key in ("in_shape", "layers"):
        if key not in body:
            found = ", ".join(sorted(map(repr, body))[:8]) or "nothing"
            raise BadWeights(f"{where}: expected 'in_shape' and 'layers', found {found} without {key!r}: RTNeural cannot load that either")
    if _last(body["in_shape"]) != model.inputs:
        raise BadWeights(f"{where}: in_shape: {model.name} takes {model.inputs} inputs, found {_short(body['in_shape'])}")
    layers = _merged(body["layers"], where)
    if len(layers) != len(model.layers):
        kinds = ", ".join(str(layer.get("type")) for layer in layers)
        raise BadWeights(f"{where}: layers: {model.name} has {len(model.layers)}, found {len(layers)} ({kinds})")
    weights: dict[str, np.ndarray] = {}
    for number, (layer, entry) in enumerate(zip(model.layers, layers, strict=True)):
        weights |= {f"{number}.{name}": array for name, array in _layer(layer, entry, f"{where}: layer {number}").items()}
    return checked(model, weights, where)


def dump(model: Model, weights: Weights) -> str:
    """The JSON text; every float32 is written so that reading it gives the same bits. The biases of an LSTM become one."""
    layers = []
    for number, layer in enumerate(model.layers):
        own = {name.partition(".")[2]: array for name, array in weights.items() if name.partition(".")[0] == str(number)}
        match layer:
            case Dense(activation=activation):
                kind, arrays = "dense", [own["weight"].T, own["bias"]]
            case LSTM():
                kind, activation = "lstm", "tanh"
                arrays = [own["weight_ih"].T, own["weight_hh"].T, own["bias_ih"] + own["bias_hh"]]
        texts = ",".join(_numbers(array) for array in arrays)
        shape = json.dumps([None, None, layer.outputs])
        layers.append(f'{{"type":"{kind}","activation":"{activation}","shape":{shape},"weights":[{texts}]}}')
    return f'{{"in_shape":{json.dumps([None, None, model.inputs])},"layers":[{",".join(layers)}]}}'


def _layer(layer: Layer, entry: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """Weights by their names in the layer, in torch's orientation."""
    match layer:
        case Dense(inputs, outputs, activation):
            _equal(where, "type", entry, ("dense", "time-distributed-dense"))
            _equal(where, "activation", entry, (activation,))
            shapes: tuple[tuple[int, ...], ...] = ((inputs, outputs), (outputs,))
        case LSTM(inputs, outputs):
            _equal(where, "type", entry, ("lstm",))
            _equal(where, "activation", entry, ("", "tanh"))  # an LSTM's own; another would be a layer behind it
            shapes = ((inputs, 4 * outputs), (outputs, 4 * outputs), (4 * outputs,))
    if _last(entry.get("shape")) != outputs:
        raise BadWeights(f"{where}: shape: expected {outputs} outputs, found {_short(entry.get('shape'))}")
    parts = entry.get("weights")
    if not isinstance(parts, list) or len(parts) != len(shapes):
        found = f"{len(parts)} parts" if isinstance(parts, list) else _kind(parts)
        raise BadWeights(f"{where}: weights: expected {len(shapes)} parts, found {found}")
    arrays = [_array(part, shape, f"{where}: weights[{i}]") for i, (part, shape) in enumerate(zip(parts, shapes, strict=True))]
    if isinstance(layer, Dense):
        return {"weight": arrays[0].T, "bias": arrays[1]}
    return {"weight_ih": arrays[0].T, "weight_hh": arrays[1].T, "bias_ih": arrays[2], "bias_hh": np.zeros_like(arrays[2])}


def _merged(layers: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """The layers, each activation that stands as a layer of its own merged into the layer before it."""
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise BadWeights(f"{where}: layers: expected a list of objects, found {_kind(layers)}")
    merged: list[dict[str, Any]] = []
    for number, layer in enumerate(layers):
        if layer.get("type") != "activation":
            merged.append(dict(layer))
        elif merged and merged[-1].get("activation", "") == "":
            merged[-1]["activation"] = layer.get("activation", "")
        else:
            raise BadWeights(f"{where}: layer {number}: expected an activation behind a layer without one, found a second one")
    return merged


def _array(part: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Nested lists of numbers as float32; lengths are looked at first, so that ragged lists are told exactly."""
    rows = part if len(shape) == 2 else [part]
    if not isinstance(rows, list) or len(rows) != (shape[0] if len(shape) == 2 else 1):
        raise BadWeights(f"{where}: expected {shape[0]} rows of {shape[1]}, found {len(rows) if isinstance(rows, list) else _kind(rows)}")
    for number, row in enumerate(rows):
        place = f"{where}, row {number}" if len(shape) == 2 else where
        if not isinstance(row, list) or len(row) != shape[-1]:
            raise BadWeights(f"{place}: expected {shape[-1]} numbers, found {len(row) if isinstance(row, list) else _kind(row)}")
        for column, value in enumerate(row):
            if type(value) is not float and type(value) is not int:
                raise BadWeights(f"{place}, column {column}: expected a number, found {_short(value)}")
    try:
        with np.errstate(over="ignore"):  # what overflows is infinite, and told by `checked`
            return np.array(part, np.float64).astype(np.float32)
    except (OverflowError, TypeError) as error:
        raise BadWeights(f"{where}: expected numbers of double precision, found: {error}") from None


def _equal(where: str, key: str, entry: Mapping[str, Any], allowed: Sequence[str]) -> None:
    found = entry.get(key, "" if key == "activation" else None)
    if found not in allowed:
        raise BadWeights(f"{where}: {key}: expected {' or '.join(repr(value) for value in allowed)}, found {_short(found)}")


def _last(shape: Any) -> Any:
    return shape[-1] if isinstance(shape, list) and shape else None


def _numbers(array: np.ndarray) -> str:
    """The shortest decimals that give the same float32."""
    if array.ndim == 2:
        return "[" + ",".join(_numbers(row) for row in array) + "]"
    return "[" + ",".join(array.astype(np.float32).astype(str).tolist()) + "]"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
