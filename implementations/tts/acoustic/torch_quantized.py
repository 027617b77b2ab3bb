"""PyTorch with int8 convolutions behind the decisions: for processors whose integers are faster than their bfloat16 (VNNI without AMX)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.tts.acoustic.component import INT8
from implementations.tts.acoustic.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2


def _make(model: FastSpeech2, settings: Settings) -> FastSpeech2:
    from implementations.tts.acoustic.quantized import quantized

    return quantized(model)


IMPLEMENTATION = implementation(
    "torch_quantized",
    "optimized",
    _make,
    precisions=("int8",),
    requires=Requires(packages=("torch",), cpu_flags=("avx512_vnni",)),
    variants=(INT8,),
    plain=False,
    description="PyTorch, oneDNN's int8 convolutions",
)
