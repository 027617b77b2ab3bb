"""The reference: the generator as upstream runs it, in float32 with weight norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.component import Requires
from implementations.tts.vocoder.serving import Vocode, implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.vocoder.hifigan import Weights
    from implementations.tts.vocoder.shapes import Shape


def _make(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocode, int]:
    import torch

    from implementations.tts.stored import weight_bytes
    from implementations.tts.vocoder.hifigan import generator

    made = generator(shape, weights, normed=True)

    @torch.inference_mode()
    def vocode(mel: np.ndarray) -> np.ndarray:
        wave: np.ndarray = made(torch.from_numpy(mel.T[None].copy()))[0, 0].numpy()
        return wave

    return vocode, weight_bytes(made)


IMPLEMENTATION = implementation(
    "reference",
    "reference",
    _make,
    requires=Requires(packages=("torch",)),
    description="PyTorch, eager, float32, weight norm kept: jik876/hifi-gan's own way",
)
