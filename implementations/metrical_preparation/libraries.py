"""The preparation on NumPy, torch and MLX arrays."""

from __future__ import annotations

from collections.abc import Mapping

from harness.component import Inputs
from implementations.dbn.arrays import Array, stage
from implementations.dbn.preparation import combine_activations


def _compute(inputs: Inputs) -> Mapping[str, Array]:
    return {"activations": combine_activations(inputs["beat"], inputs["downbeat"])}


NUMPY = stage("metrical_preparation", "numpy_columns", "numpy", _compute)
TORCH = stage("metrical_preparation", "torch_columns", "torch", _compute)
MLX = stage("metrical_preparation", "mlx_columns", "mlx", _compute)
