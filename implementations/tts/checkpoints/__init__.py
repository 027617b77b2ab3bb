"""The voice that ships: a small FastSpeech2 and a small HiFi-GAN, trained on espeak-ng's speech by `implementations.tts.training`.

Beside the weights lie recordings of sentences that were not trained on, spoken by espeak-ng: what the voice is judged on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.tts.mel import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2
    from implementations.tts.vocoder.hifigan import Generator

FOLDER = Path(__file__).parent
ACOUSTIC, VOCODER, RECORD = "acoustic.safetensors", "vocoder.safetensors", "voice.json"
HELD_OUT_SPEECH, HELD_OUT_TEXT = "held_out.flac", "held_out.json"


@dataclass(frozen=True, eq=False)
class Recording:
    """A sentence spoken by espeak-ng. durations: (phonemes,) int64 mel frames. wave: (frames * 256,) float32 at 22050 Hz."""

    text: str
    phonemes: tuple[str, ...]
    durations: np.ndarray
    wave: np.ndarray


@lru_cache(maxsize=1)
def acoustic_model(folder: Path = FOLDER) -> FastSpeech2:
    """Phonemes to a log-mel spectrogram, in eval mode."""
    from implementations.tts.acoustic.weights import load_model

    return load_model(folder / ACOUSTIC)


@lru_cache(maxsize=1)
def vocoder(folder: Path = FOLDER) -> Generator:
    """Log-mel spectrogram to a wave, in eval mode."""
    from implementations.tts.vocoder.hifigan import generator, load
    from implementations.tts.vocoder.shapes import SHAPES

    return generator(SHAPES["shipped"], load(folder / VOCODER, SHAPES["shipped"]))


def record(folder: Path = FOLDER) -> dict[str, Any]:
    """How the voice came about: command, seed, data, versions, and validation losses of each part."""
    found: dict[str, Any] = json.loads((folder / RECORD).read_text())
    return found


def held_out(folder: Path = FOLDER) -> tuple[Recording, ...]:
    """Sentences that were not trained on, as espeak-ng speaks them."""
    import soundfile

    samples, rate = soundfile.read(folder / HELD_OUT_SPEECH, dtype="float32")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise ValueError(f"{folder / HELD_OUT_SPEECH}: expected one channel at {SAMPLE_RATE} Hz, found shape {samples.shape} at {rate} Hz")
    found, start = [], 0
    for told in json.loads((folder / HELD_OUT_TEXT).read_text()):
        durations = np.array(told["durations"], np.int64)
        stop = start + HOP * int(durations.sum())
        found.append(Recording(told["text"], tuple(told["phonemes"].split()), durations, samples[start:stop]))
        start = stop
    return tuple(found)
