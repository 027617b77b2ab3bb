"""The reference: FastSpeech2 as upstream runs it, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.tts.acoustic.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2


def _make(model: FastSpeech2, settings: Settings) -> FastSpeech2:
    return model


IMPLEMENTATION = implementation(
    "reference",
    "reference",
    _make,
    requires=Requires(packages=("torch",)),
    description="PyTorch, eager, float32: ming024/FastSpeech2's own way",
)
