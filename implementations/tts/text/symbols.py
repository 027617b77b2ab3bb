"""The symbols that an acoustic model reads, and their numbers: 0 is padding.

`LJSPEECH` has the 360 numbers of github.com/ming024/FastSpeech2, so that its checkpoints can be used: only phonemes and pauses are ever
written here; its punctuation, letters and Mandarin syllables keep their places. `COMPACT` has 70: padding and ARPABET with stress; the
row that upstream's models leave over behind the last symbol is the pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip

PHONEMES = tuple(sorted([*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012")]))
"""ARPABET as CMUdict writes it: 24 consonants, 15 vowels without stress (0), with the main stress (1), with a lesser one (2)."""

PAUSE = "sp"
"""What a comma, a full stop, ... become."""


@dataclass(frozen=True)
class SymbolSet:
    """numbers: of each phoneme and of the pause. rows: of the embedding, 1 more than there are symbols, as upstream has it."""

    name: str
    numbers: Mapping[str, int]
    rows: int

    def encode(self, phonemes: Iterable[str]) -> list[int]:
        """The numbers of phonemes and pauses; ValueError names the first that there is none of."""
        found = []
        for place, phoneme in enumerate(phonemes):
            if phoneme not in self.numbers:
                raise ValueError(f"phoneme {place}: expected ARPABET with stress (AH0, B, ...) or {PAUSE!r}, found {phoneme!r}")
            found.append(self.numbers[phoneme])
        return found


def _ljspeech() -> SymbolSet:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    first = len("_-!'(),.:;? ") + len(letters)
    # Upstream numbers a vowel without any digit as well.
    arpabet = sorted([*PHONEMES, *VOWELS])
    numbers = {phoneme: first + place for place, phoneme in enumerate(arpabet) if phoneme in PHONEMES}
    mandarin = 209
    return SymbolSet("ljspeech", {**numbers, PAUSE: first + len(arpabet) + mandarin}, rows=361)


LJSPEECH = _ljspeech()
COMPACT = SymbolSet("compact", {phoneme: place for place, phoneme in enumerate((*PHONEMES, PAUSE), 1)}, rows=71)

SYMBOL_SETS: dict[str, SymbolSet] = {found.name: found for found in (LJSPEECH, COMPACT)}
