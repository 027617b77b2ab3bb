"""What int8 does to a network, simulated in torch so that it can be trained under it: the scheme of the native engine.

Weights: symmetric, -127 to 127, a scale per row (output). Inputs of each layer: 0 to 255 between the least and the greatest number of
the frame. Biases, sums and activations stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor


def int8(name: str, value: Tensor) -> Tensor:
    """A weight or an input rounded as the engine rounds it; gradients pass as if it were not (straight-through)."""
    import torch

    with torch.no_grad():
        if name.endswith(".input"):
            lowest, highest = value.aminmax(dim=1, keepdim=True)
            step = (highest - lowest).clamp(min=1e-30) / 255
            rounded = torch.round((value - lowest) / step) * step + lowest
        else:
            scale = value.abs().amax(dim=1, keepdim=True) / 127
            scale = torch.where(scale == 0, 1.0, scale)
            rounded = torch.round(value / scale) * scale
        change = rounded - value
    return value + change


def rounded_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float32 matrix (rows, columns) as int8 and a float32 scale per row."""
    scales = np.abs(matrix).max(axis=1) / np.float32(127)
    scales[scales == 0] = 1
    return np.rint(matrix / scales[:, None]).astype(np.int8), scales


def rounded(networks: Mapping[str, Weights]) -> dict[str, dict[str, np.ndarray]]:
    """float32 weights that int8 holds exactly: rounding them again changes nothing but the last bit of a scale."""
    return {model: {name: _rounded(array) for name, array in weights.items()} for model, weights in networks.items()}


def _rounded(array: np.ndarray) -> np.ndarray:
    if array.ndim == 1:
        return array
    elements, scales = rounded_rows(array)
    return np.asarray(elements * scales[:, None])
