"""The packed file of the native engine: structures, wiring and weights in one checked piece of bytes (engine/packed.hpp describes it)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from implementations.small_models.models import LSTM, Dense, Model
from implementations.small_models.weights import Weights, checked

PRECISIONS = {"float32": 0, "bfloat16": 1, "float16": 2, "int8": 3, "int24": 4}
ACTIVATIONS = {"tanh": 0, "relu": 1, "sigmoid": 2, "softmax": 3}
MAGIC, VERSION, FEATURES = b"SMALLMDL", 2, "features"

_LEAST_ODD = 0x2000
"""2^-63 in bfloat16: what stands for a zero that has other bits below it. As they are these would be a denormal, which costs a trap."""

Pieces = tuple[tuple[str, int, int], ...]
"""(source, first, count) each: `count` numbers from `first` on of the features, or of an earlier model's output."""

CHAIN: dict[str, Pieces] = {
    "emotion_recognizer": ((FEATURES, 0, 128),),
    "melody_transformer": (("emotion_recognizer", 0, 64),),
    "harmony_predictor": (("emotion_recognizer", 0, 64), (FEATURES, 0, 64)),
    "dynamics_engine": (("emotion_recognizer", 0, 32),),
    "groove_predictor": (("emotion_recognizer", 0, 64),),
}
"""How `models.chain` wires the five models."""


@dataclass(frozen=True)
class Rows:
    """A matrix as the file holds it: elements (rows, columns) in the file's type, and a scale per row for int8."""

    elements: np.ndarray
    scales: np.ndarray | None = None


def pack(
    models: Mapping[str, Model],
    weights: Mapping[str, Weights],
    *,
    precision: str = "float32",
    stateful: bool = False,
    wiring: Mapping[str, Pieces] | None = None,
) -> bytes:
    """The packed file. stateful: with recurrent weights; without, it is smaller and runs stateless only.

    wiring: by default that of the chain for its five names, and the features for one model alone. int8: a scale per row.
    ValueError: an unknown precision, a wiring that does not fit, a weight beyond the precision's range.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, found {precision!r}")
    wiring = wiring or _wiring(models)
    features = max([first + count for pieces in wiring.values() for source, first, count in pieces if source == FEATURES], default=0)
    parts, earlier = [], dict[str, Model]()
    for name, model in models.items():
        parts.append(_described(name, model, wiring.get(name, ()), earlier))
        earlier[name] = model
    for name, model in models.items():
        for block in _blocks(model, checked(model, weights[name], name), precision, stateful):
            parts.append(block.tobytes() + b"\0" * (-block.nbytes % 4))
    body = b"".join(parts)
    head = MAGIC + struct.pack("<5I", VERSION, PRECISIONS[precision], stateful, features, len(models))
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def _wiring(models: Mapping[str, Model]) -> dict[str, Pieces]:
    if set(models) == set(CHAIN):
        return CHAIN
    if len(models) == 1:
        return {name: ((FEATURES, 0, model.inputs),) for name, model in models.items()}
    raise ValueError(f"wiring: expected one for {', '.join(models)}: only the chain of five and a model alone have one of their own")


def _described(name: str, model: Model, pieces: Pieces, earlier: Mapping[str, Model]) -> bytes:
    """Name, pieces and layers of one model."""
    width = sum(count for _, _, count in pieces)
    if width != model.inputs:
        raise ValueError(f"wiring: {name} takes {model.inputs} numbers, found pieces of {width}")
    order = list(earlier)
    text = name.encode()
    found = struct.pack("<I", len(text)) + text + b"\0" * (-len(text) % 4) + struct.pack("<I", len(pieces))
    for source, first, count in pieces:
        if source != FEATURES and source not in earlier:
            raise ValueError(f"wiring: {name} reads {source!r}, expected the features or an earlier model: {', '.join(order) or 'none'}")
        if first < 0 or count < 1 or (source != FEATURES and first + count > earlier[source].outputs):
            raise ValueError(f"wiring: {name} reads {count} numbers from {first} on of {source}, which has not as many")
        found += struct.pack("<iII", -1 if source == FEATURES else order.index(source), first, count)
    found += struct.pack("<I", len(model.layers))
    for layer in model.layers:
        activation = ACTIVATIONS[layer.activation] if isinstance(layer, Dense) else 0
        found += struct.pack("<4I", isinstance(layer, LSTM), activation, layer.inputs, layer.outputs)
    return found


def _blocks(model: Model, weights: Weights, precision: str, stateful: bool) -> Iterator[np.ndarray]:
    """Biases, scales and elements, layer by layer."""
    for number, layer in enumerate(model.layers):
        if isinstance(layer, Dense):
            biases, matrices = weights[f"{number}.bias"], [weights[f"{number}.weight"]]
        else:
            keep = np.ones(4 * layer.outputs, bool)
            keep[layer.outputs : 2 * layer.outputs] = stateful  # the forget gate has nothing to forget in the zero state
            biases = (weights[f"{number}.bias_ih"].astype(np.float64) + weights[f"{number}.bias_hh"])[keep].astype(np.float32)
            matrices = [weights[f"{number}.weight_ih"][keep]] + [weights[f"{number}.weight_hh"]] * stateful
        yield biases
        for matrix in matrices:
            rows = rounded(matrix, precision)
            if rows.scales is not None:
                yield rows.scales
            yield rows.elements


def rounded(matrix: np.ndarray, precision: str) -> Rows:
    """A float32 matrix (rows, columns) to nearest in `precision`; int8: symmetric, -127 to 127, one scale per row.

    int24: float32, of which the engine makes 24 bits when it fills its arena. bfloat16: the bits of an even column lie below those of the
    odd one behind it, and count as its own: it is rounded so that with them it is the nearest, no further off than without them.
    """
    if precision in ("float32", "int24"):
        return Rows(np.ascontiguousarray(matrix, "<f4"))
    if precision == "float16":
        with np.errstate(over="ignore"):
            halves = matrix.astype("<f2")
        if not np.isfinite(halves).all():
            raise ValueError(f"float16 holds numbers up to 65504, found {np.abs(matrix).max()}; use bfloat16")
        return Rows(halves)
    if precision == "bfloat16":
        bits = np.ascontiguousarray(matrix, "<f4").view("<u4").astype(np.int64)
        halves = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # half to even
        odd, below = bits[:, 1::2], halves[:, 0 : matrix.shape[1] // 2 * 2 : 2]
        nearest = ((odd & 0x7FFFFFFF) - below + 0x8000) >> 16
        halves[:, 1::2] = np.where(below > 0, np.maximum(nearest, _LEAST_ODD), nearest) | (odd >> 16 & 0x8000)
        return Rows(halves.astype("<u2"))
    scales = np.abs(matrix).max(axis=1) / 127
    scales[scales == 0] = 1
    return Rows(np.rint(matrix / scales[:, None]).astype(np.int8), scales.astype("<f4"))


def restored(rows: Rows, precision: str) -> np.ndarray:
    """The float32 matrix that `rounded` rows stand for."""
    if rows.scales is not None:
        return np.asarray(rows.elements.astype(np.float32) * rows.scales[:, None])
    if precision == "bfloat16":
        bits = rows.elements.astype("<u4") << 16
        bits[:, 1::2] |= rows.elements[:, 0 : bits.shape[1] // 2 * 2 : 2]
        return np.asarray(bits.view("<f4"))
    return np.asarray(rows.elements.astype(np.float32))
