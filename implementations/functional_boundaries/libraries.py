"""The boundaries on NumPy, torch and MLX arrays, with windows built from windows of half the width."""

from __future__ import annotations

from collections.abc import Mapping

from harness.component import Inputs
from implementations.dbn.arrays import Array, stage
from implementations.dbn.boundaries import boundary_strength


def _compute(inputs: Inputs) -> Mapping[str, Array]:
    return {"strength": boundary_strength(inputs["probabilities"], inputs["fps"])}


NUMPY = stage("functional_boundaries", "numpy_doubling", "numpy", _compute)
TORCH = stage("functional_boundaries", "torch_doubling", "torch", _compute)
MLX = stage("functional_boundaries", "mlx_doubling", "mlx", _compute)
