"""The training data: each sentence spoken by espeak-ng, with what FastSpeech2 and the vocoder learn from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from implementations.tts.mel import HOP
from implementations.tts.training import arpabet, espeak, features
from implementations.tts.training.sentences import sentences

VOICELESS = frozenset(("CH", "F", "HH", "K", "P", "S", "SH", "T", "TH", arpabet.PAUSE))
"""Sounds without a pitch of their own, whatever their noise resembles."""

QUIET = 8 * HOP
"""Samples of silence behind each sentence: espeak stops with the last sound."""


@dataclass(frozen=True, eq=False)
class Utterance:
    """A spoken sentence. phonemes: L of ARPAbet. durations: (L,) int64 frames, which sum to T. pitch, energy: (L,) float32, in Hz and
    as the mean norm of a spectrum. mel: (T, 80) float32. wave: (T * 256,) int16.
    """

    text: str
    phonemes: tuple[str, ...]
    durations: np.ndarray
    pitch: np.ndarray
    energy: np.ndarray
    mel: np.ndarray
    wave: np.ndarray


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of pitch (Hz) and energy over the sounds of the training split: what they are normalised with."""

    pitch: tuple[float, float]
    energy: tuple[float, float]


def utterance(text: str, random: np.random.PCG64 | None = None) -> Utterance:
    """A sentence as espeak-ng speaks it. random: draws which small words keep a mark of stress (`marked`); without, none is added."""
    spoken = espeak.speak(text)
    symbols, starts, words = arpabet.phonemes(spoken)
    if random is not None:
        symbols = marked(symbols, words, random)
    frames = (len(spoken.samples) + QUIET) // HOP
    wave = np.concatenate([spoken.samples, np.zeros(QUIET, np.float32)])[: frames * HOP]
    tensor = torch.from_numpy(wave)
    magnitudes = features.spectrum(tensor)
    lasting = features.durations(starts, frames)
    silent = np.repeat([symbol in VOICELESS for symbol in symbols], lasting)
    pitch = features.bridged(np.where(silent, 0, features.pitch(tensor).numpy()))
    energy = magnitudes.square().sum(0).sqrt().numpy()
    return Utterance(
        text,
        symbols,
        lasting,
        features.per_sound(pitch, lasting).astype(np.float32),
        features.per_sound(energy, lasting).astype(np.float32),
        features.log_mel(magnitudes).T.contiguous().numpy(),
        np.round(wave * 32768).astype(np.int16),
    )


def marked(symbols: tuple[str, ...], words: tuple[int, ...], random: np.random.PCG64) -> tuple[str, ...]:
    """With stress on half of the words of one syllable that have a full vowel and none: "he", "that", "you".

    CMUdict marks them all, while espeak speaks most without stress; so the voice learns to read both.
    """
    vowels: dict[int, list[int]] = {}
    for place, (symbol, word) in enumerate(zip(symbols, words, strict=True)):
        if symbol[-1].isdigit():
            vowels.setdefault(word, []).append(place)
    found = list(symbols)
    for places in vowels.values():
        symbol = symbols[places[0]]
        if len(places) == 1 and symbol[-1] == "0" and symbol != "AH0" and random.random_raw() & 1:
            found[places[0]] = f"{symbol[:-1]}1"
    return tuple(found)


def utterances(texts: Iterable[str], seed: int = 0) -> list[Utterance]:
    """Each text as spoken, in order."""
    random = np.random.PCG64([seed, 7])
    return [utterance(text, random) for text in texts]


def scale(spoken: Iterable[Utterance]) -> Scale:
    """Over all sounds of all utterances."""
    pitch, energy = (np.concatenate(columns) for columns in zip(*((one.pitch, one.energy) for one in spoken), strict=True))
    return Scale((float(pitch.mean()), float(pitch.std())), (float(energy.mean()), float(energy.std())))


def corpus(train: int | None = None, held: int | None = None, seed: int = 0) -> tuple[list[Utterance], list[Utterance]]:
    """The training and the validation split; train, held: sentences of each, all of `sentences.SPLITS` by default."""
    return utterances(sentences("train", train, seed), seed), utterances(sentences("validation", held, seed), seed)
