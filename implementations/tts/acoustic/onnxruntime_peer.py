"""The peer: onnxruntime, on graphs that PyTorch exports from the reference's modules, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.tts.acoustic.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2


def _make(model: FastSpeech2, settings: Settings) -> FastSpeech2:
    from implementations.tts.acoustic.onnx_sessions import in_sessions

    return in_sessions(model, settings.threads)


IMPLEMENTATION = implementation(
    "onnxruntime",
    "peer",
    _make,
    library="onnxruntime",
    requires=Requires(packages=("onnxruntime", "torch")),
    description="onnxruntime on the CPU, float32",
)
