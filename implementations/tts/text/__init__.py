"""The text front end: any text to sentences of phonemes.

`phonemize("Dr. Smith paid $3.50.").sentences[0].phonemes` are ARPABET with stress, and pauses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from implementations.tts.text.espeak import Beyond
from implementations.tts.text.lexicon import Lexicon, best
from implementations.tts.text.normalize import normalize
from implementations.tts.text.pronounce import STEPS, pronounce
from implementations.tts.text.symbols import PAUSE

__all__ = ["Phonemized", "Sentence", "phonemize"]

LONGEST = 250
"""Phonemes of a sentence; longer ones are cut, at a pause where one is near, so that the memory of a sentence is bounded."""


@dataclass(frozen=True)
class Sentence:
    """What is synthesized at once. text: as it is read. phonemes: ARPABET with stress, and pauses between; a pause ends it."""

    text: str
    phonemes: tuple[str, ...]


@dataclass(frozen=True)
class Phonemized:
    """sentences: none where nothing can be read. steps: how many words each step of the ladder found (`pronounce.STEPS`). skipped:
    characters without a reading (other scripts, emoji, control characters)."""

    sentences: tuple[Sentence, ...]
    steps: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0

    @property
    def words(self) -> int:
        """How many words are read."""
        return sum(self.steps.values())

    @property
    def out_of_vocabulary(self) -> float:
        """The share of words that the dictionary does not have; 0 without words."""
        return 1 - self.steps.get("lexicon", 0) / self.words if self.words else 0.0


def phonemize(text: str, lexicon: Lexicon | None = None, beyond: Beyond | None = None) -> Phonemized:
    """Any string: what cannot be read is skipped and counted. lexicon: `lexicon.best()` without one. beyond: who says words that it lacks
    (`text.espeak`), before the letter rules do."""
    lexicon = best() if lexicon is None else lexicon
    normalized = normalize(text)
    steps = dict.fromkeys(STEPS, 0)
    sentences = []
    for words in _sentences(normalized.text):
        phonemes: list[str] = []
        for place, word in enumerate(words):
            if word in ",.!?":
                phonemes.append(PAUSE)
                continue
            near = [words[at] if 0 <= at < len(words) else "" for at in (place - 1, place + 1)]
            spoken = pronounce(word, lexicon, before=near[0], after=near[1], beyond=beyond)
            steps[spoken.step] += 1
            phonemes += spoken.phonemes
        sentences += list(_cut(" ".join(words), phonemes))
    return Phonemized(tuple(sentences), steps, normalized.skipped)


def _sentences(text: str) -> Iterator[Sequence[str]]:
    """Words and pauses of each sentence; one that has no pause at its end is given one."""
    for sentence in re.split(r"(?<=[.!?]) ", text):
        words = re.findall(r"[a-zA-Z']+|[,.!?]", sentence)
        if words:
            yield words if words[-1] in ".!?" else [*words, "."]


def _cut(text: str, phonemes: Sequence[str]) -> Iterator[Sentence]:
    """The sentence, or pieces of it of at most `LONGEST` phonemes, cut behind the last pause of the piece where it has one."""
    start = 0
    while len(phonemes) - start > LONGEST:
        piece = phonemes[start : start + LONGEST]
        end = start + (max((at for at, phoneme in enumerate(piece) if phoneme == PAUSE), default=LONGEST - 1) + 1)
        yield Sentence(text, tuple(phonemes[start:end]))
        start = end
    if start < len(phonemes):
        yield Sentence(text, tuple(phonemes[start:]))
