"""PyTorch with the PostNet's norms folded and convolutions channels-last; bfloat16, or weights in float16, behind the decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.tts.acoustic.component import BFLOAT16, FLOAT16
from implementations.tts.acoustic.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2


def _make(model: FastSpeech2, settings: Settings) -> FastSpeech2:
    from implementations.tts.acoustic.planar import planar

    return planar(model, settings.precision or "float32")


IMPLEMENTATION = implementation(
    "torch_planar",
    "optimized",
    _make,
    precisions=("float32", "bfloat16", "float16"),
    requires=Requires(packages=("torch",)),
    variants=(BFLOAT16, FLOAT16),
    description="PyTorch, norms folded, channels last",
)
