"""PyTorch, norms folded and convolutions channels-last in both models; bfloat16, or float16 of weights, behind the acoustic decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from implementations.tts.component import BFLOAT16, FLOAT16
from implementations.tts.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2
    from implementations.tts.chain import Engine
    from implementations.tts.text.lexicon import Lexicon
    from implementations.tts.vocoder.hifigan import Generator
    from implementations.tts.voices import Voice


def engine(model: FastSpeech2, vocoder: Generator, lexicon: Lexicon, *, precision: str = "float32") -> Engine:
    """The two models made ready to run; precision: "float32", "bfloat16", or "float16" of weights alone."""
    import torch

    from implementations.tts.acoustic.planar import planar as planar_acoustic
    from implementations.tts.chain import Engine
    from implementations.tts.stored import weight_bytes
    from implementations.tts.vocoder.torch_planar import ready

    speak = planar_acoustic(model, precision)
    made, dtype = ready(vocoder, precision)

    @torch.inference_mode()
    def vocode(mels: np.ndarray) -> np.ndarray:
        pictures = torch.from_numpy(mels)[:, None].to(dtype).permute(0, 3, 1, 2)  # in memory (sentences, frames, mels): channels last
        wave: np.ndarray = made(pictures)[:, 0, 0].float().numpy()
        return wave

    return Engine(model.configuration, vocoder.shape, speak, vocode, lexicon, weight_bytes(speak) + weight_bytes(made))


def make(voice: Voice, lexicon: Lexicon, settings: Settings) -> Engine:
    from implementations.tts.acoustic.serving import model_of
    from implementations.tts.vocoder.hifigan import generator, weights_of

    vocoder = generator(voice.shape, weights_of(voice.vocoder))
    return engine(model_of(voice.configuration), vocoder, lexicon, precision=settings.precision or "float32")


IMPLEMENTATION = implementation(
    "torch_planar",
    "optimized",
    make,
    precisions=("float32", "bfloat16", "float16"),
    variants=(BFLOAT16, FLOAT16),
    description="PyTorch, norms folded, channels last",
)
STREAMING = implementation(
    "torch_streaming",
    "optimized",
    make,
    precisions=("float32", "bfloat16", "float16"),
    streamed=True,
    variants=(BFLOAT16, FLOAT16),
    description="the same in growing chunks, the first after 8 mel frames",
)
