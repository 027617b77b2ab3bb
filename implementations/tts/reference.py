"""The reference: both models as upstream runs them, in float32, a sentence at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from implementations.tts.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.chain import Engine
    from implementations.tts.text.lexicon import Lexicon
    from implementations.tts.voices import Voice


def _make(voice: Voice, lexicon: Lexicon, settings: Settings) -> Engine:
    import torch

    from implementations.tts.acoustic.serving import model_of
    from implementations.tts.chain import Engine
    from implementations.tts.stored import weight_bytes
    from implementations.tts.vocoder.hifigan import generator, weights_of

    model = model_of(voice.configuration)
    made = generator(voice.shape, weights_of(voice.vocoder), normed=True)

    @torch.inference_mode()
    def vocode(mels: np.ndarray) -> np.ndarray:
        wave: np.ndarray = made(torch.from_numpy(mels.transpose(0, 2, 1).copy()))[:, 0].numpy()
        return wave

    return Engine(voice.configuration, voice.shape, model, vocode, lexicon, weight_bytes(model) + weight_bytes(made))


IMPLEMENTATION = implementation(
    "reference", "reference", _make, description="PyTorch, eager, float32, weight norm kept: the upstream projects' own way"
)
