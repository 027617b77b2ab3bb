"""Half of every matrix set to zero: the weights of least magnitude, matrix by matrix.

By matrix, since over a whole network the recurrent weights, which no stateless step reads, would take zeros that cost nothing.
"""

from __future__ import annotations

import numpy as np

from implementations.small_models.weights import Weights

SHARE = 0.5


def masks(weights: Weights, share: float = SHARE) -> dict[str, np.ndarray]:
    """For each matrix, by name: False at the `share` of least magnitude (the first of equals). Biases stay whole."""
    found = {}
    for name, array in weights.items():
        if array.ndim == 2:
            mask = np.ones(array.size, bool)
            mask[np.argsort(np.abs(array), axis=None, kind="stable")[: round(share * array.size)]] = False
            found[name] = mask.reshape(array.shape)
    return found


def pruned(weights: Weights, share: float = SHARE) -> dict[str, np.ndarray]:
    """The weights with that share of each matrix zero."""
    keep = masks(weights, share)
    return {name: np.where(keep[name], array, np.float32(0)) if name in keep else array for name, array in weights.items()}
