"""From a text to samples: phonemes, a spectrogram for each sentence, a wave for each spectrogram; whole, or as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from implementations.tts.acoustic.component import spread
from implementations.tts.acoustic.configurations import Configuration
from implementations.tts.acoustic.serving import Speak
from implementations.tts.text import phonemize
from implementations.tts.text.espeak import Beyond
from implementations.tts.text.lexicon import Lexicon
from implementations.tts.vocoder.shapes import Shape
from implementations.tts.vocoder.streaming import FIRST, chunks

Vocode = Callable[[np.ndarray], np.ndarray]
"""Spectrograms (sentences, frames, mels) to waves (sentences, samples), both float32."""


@dataclass(frozen=True, eq=False)
class Engine:
    """Two models ready to run, the dictionary that the texts are read with, and who says what that lacks (`text.espeak`).

    weight_bytes: of both models, in the form in which they compute.
    """

    configuration: Configuration
    shape: Shape
    speak: Speak
    vocode: Vocode
    lexicon: Lexicon
    weight_bytes: int
    beyond: Beyond | None = None


def spectrograms(engine: Engine, text: str, frames: int = 0) -> Iterator[np.ndarray]:
    """(frames, mels) float32 of each sentence, as it is ready. frames: to last in all, spread evenly over phonemes; 0: as predicted."""
    read = phonemize(text, engine.lexicon, engine.beyond)
    sentences = [engine.configuration.symbol_set.encode(sentence.phonemes) for sentence in read.sentences]
    count = sum(map(len, sentences))
    given, done = spread(frames, count, count) if frames else None, 0
    for numbers in sentences:
        durations = None if given is None else torch.from_numpy(given[None, done : done + len(numbers)])
        done += len(numbers)
        with torch.inference_mode():
            spoken = engine.speak(torch.tensor([numbers]), torch.tensor([len(numbers)]), durations=durations)
            yield spoken.mel_postnet[0].numpy()


def stream(engine: Engine, text: str, frames: int = 0, *, first: int = FIRST) -> Iterator[np.ndarray]:
    """Samples (n,) float32 as they are ready: a short chunk first, of so many mel frames, then longer ones; joined, the whole wave."""
    for mel in spectrograms(engine, text, frames):
        for chunk in chunks(len(mel), engine.shape, first=first):
            yield engine.vocode(mel[None, chunk.mel])[0, chunk.wave]


def waves(engine: Engine, texts: Sequence[str], frames: int = 0, *, batch: int = 1) -> list[np.ndarray]:
    """Samples (n,) float32 of each text. batch: at most so many sentences are vocoded together, where their spectrograms are equally
    long: padding would reach into what is not padded, as far as the vocoder sees.
    """
    sentences = [(number, mel) for number, text in enumerate(texts) for mel in spectrograms(engine, text, frames)]
    spoken = [np.empty(0, np.float32)] * len(sentences)
    waiting: dict[int, list[int]] = {}

    def vocode(places: list[int]) -> None:
        for place, wave in zip(places, engine.vocode(np.stack([sentences[place][1] for place in places])), strict=True):
            spoken[place] = wave
        places.clear()

    for place, (_, mel) in enumerate(sentences):
        if not len(mel):
            continue
        alike = waiting.setdefault(len(mel), [])
        alike.append(place)
        if len(alike) == batch:
            vocode(alike)
    for alike in waiting.values():
        if alike:
            vocode(alike)
    owners = [number for number, _ in sentences]
    return [_joined([wave for wave, owner in zip(spoken, owners, strict=True) if owner == number]) for number in range(len(texts))]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def in_parallel(engines: Sequence[Engine], texts: Sequence[str], frames: int = 0, *, batch: int = 1) -> list[np.ndarray]:
    """As `waves`, by several engines of one voice at once, each with its share of the texts and of PyTorch's threads."""
    workers = len(engines)
    if workers == 1 or len(texts) < 2:
        return waves(engines[0], texts, frames, batch=batch)
    before, size = torch.get_num_threads(), -(-len(texts) // workers)
    shares = [texts[start : start + size] for start in range(0, len(texts), size)]
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(max(1, before // workers),)) as pool:
            found = list(pool.map(lambda engine, share: waves(engine, share, frames, batch=batch), engines, shares))
    finally:
        torch.set_num_threads(before)  # also what threads to come will start from
    return [wave for share in found for wave in share]


def rounded(wave: np.ndarray, bits: int | None) -> np.ndarray:
    """The wave as a file of so many bits holds it, still float32; as it is without, and with 32."""
    if bits is None or bits == 32:
        return wave
    steps = np.float32(2 ** (bits - 1) - 1)
    return np.rint(wave * steps) / steps
