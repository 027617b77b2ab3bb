"""MLX: the model's arithmetic as lazy graphs, on Apple's GPU or, with `mlx[cpu]`, on any processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.tts.acoustic.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2


def _make(model: FastSpeech2, settings: Settings) -> FastSpeech2:
    from implementations.tts.acoustic.mlx_graphs import in_graphs

    return in_graphs(model)


IMPLEMENTATION = implementation(
    "mlx_lazy",
    "optimized",
    _make,
    library="mlx.core",
    requires=Requires(packages=("mlx", "torch")),
    clock="mlx",
    description="MLX, norms folded",
)
