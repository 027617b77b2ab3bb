"""Weights as bytes: float32, int8, and a sparse format in which a zero takes one bit.

Sizes are counted on these bytes, not calculated: dense kernels gain no time from scattered zeros, so bytes are all that pruning saves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from implementations.small_models.models import LSTM, Model
from implementations.small_models.quantization import rounded_rows
from implementations.small_models.weights import BadWeights, Weights


def pack_float32(weights: Weights) -> bytes:
    """Array after array, little endian."""
    return b"".join(array.astype("<f4").tobytes() for array in weights.values())


def pack_int8(weights: Weights) -> bytes:
    """Matrices as a float32 scale per row and bytes, biases as float32."""
    found = []
    for array in weights.values():
        if array.ndim == 1:
            found.append(array.astype("<f4").tobytes())
        else:
            elements, scales = rounded_rows(array)
            found += [scales.astype("<f4").tobytes(), elements.tobytes()]
    return b"".join(found)


def pack_sparse(weights: Weights) -> bytes:
    """Matrices as a bit per weight (1: not zero; the first one lowest in its byte), then the float32 values at the ones; biases whole."""
    found = []
    for array in weights.values():
        flat = array.astype("<f4").ravel()
        if array.ndim == 1:
            found.append(flat.tobytes())
        else:
            found += [np.packbits(flat != 0, bitorder="little").tobytes(), flat[flat != 0].tobytes()]
    return b"".join(found)


def unpack_sparse(shapes: Mapping[str, tuple[int, ...]], packed: bytes) -> dict[str, np.ndarray]:
    """The weights that `pack_sparse` packed, in the order of `shapes`, bit for bit (-0.0 becomes 0.0).

    BadWeights where the bytes are too few or too many.
    """
    place = 0

    def take(name: str, size: int) -> bytes:
        nonlocal place
        if place + size > len(packed):
            raise BadWeights(f"packed weights: {name} needs {size} bytes from byte {place} on, found {len(packed) - place}")
        place += size
        return packed[place - size : place]

    found: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        count = math.prod(shape)
        if len(shape) == 1:
            found[name] = np.frombuffer(take(name, 4 * count), "<f4")
            continue
        present = np.unpackbits(np.frombuffer(take(name, (count + 7) // 8), np.uint8), count=count, bitorder="little").astype(bool)
        array = np.zeros(count, np.float32)
        array[present] = np.frombuffer(take(name, 4 * int(present.sum())), "<f4")
        found[name] = array.reshape(shape)
    if place != len(packed):
        raise BadWeights(f"packed weights: expected {place} bytes, found {len(packed)}")
    return found


def live(model: Model, weights: Weights) -> dict[str, np.ndarray]:
    """What a step from the zero state reads: no recurrent weights, no forget gate, the two biases of the other gates as one."""
    found = dict(weights)
    for number, layer in enumerate(model.layers):
        if isinstance(layer, LSTM):
            kept = np.r_[0 : layer.outputs, 2 * layer.outputs : 4 * layer.outputs]
            del found[f"{number}.weight_hh"]
            found[f"{number}.bias_ih"] = (found[f"{number}.bias_ih"] + found.pop(f"{number}.bias_hh"))[kept]
            found[f"{number}.weight_ih"] = found[f"{number}.weight_ih"][kept]
    return found
