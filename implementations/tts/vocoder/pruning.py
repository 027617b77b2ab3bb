"""A share of every kernel set to zero, and what such weights take as bytes: zeros cost their bit of the mask, and their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from implementations.tts.vocoder.hifigan import Weights

SHARE = 0.3


def pruned(weights: Weights, share: float = SHARE) -> dict[str, np.ndarray]:
    """The weights with that share of each kernel, the least in magnitude, zero; biases stay whole."""
    found = {}
    for name, array in weights.items():
        kept = np.array(array, np.float32)
        if array.ndim > 1:
            kept.reshape(-1)[np.argsort(np.abs(array), axis=None, kind="stable")[: round(share * array.size)]] = 0
        found[name] = kept
    return found


def packed(weights: Weights) -> dict[str, np.ndarray]:
    """By name a bit per weight (`.mask`, uint8) and the weights that are not zero (`.values`), or the whole array where that is less."""
    found: dict[str, np.ndarray] = {}
    for name, array in weights.items():
        mask = array != 0
        if array.nbytes <= mask.size // 8 + 1 + array[mask].nbytes:
            found[name] = array
        else:
            found[f"{name}.mask"], found[f"{name}.values"] = np.packbits(mask), array[mask]
    return found


def unpacked(packed: Weights, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The weights again, of these shapes by name."""
    found = {}
    for name, shape in shapes.items():
        if name in packed:
            found[name] = packed[name]
        else:
            found[name] = np.zeros(shape, packed[f"{name}.values"].dtype)
            mask = np.unpackbits(packed[f"{name}.mask"], count=found[name].size).astype(bool).reshape(shape)
            found[name][mask] = packed[f"{name}.values"]
    return found
