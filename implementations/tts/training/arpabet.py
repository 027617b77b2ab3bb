"""From espeak's sounds to the symbols of the front end: ARPAbet as CMUdict writes it, stress on its vowels, `sp` for a pause.

espeak tells more sounds apart than CMUdict: a flap in "butter", a glottal stop in "button", vowels coloured by r as one sound. Each row
below is what CMUdict writes where espeak's American voice speaks the left side.
"""

from __future__ import annotations

from implementations.tts.training.espeak import Spoken

PAUSE = "sp"

_VOWELS = {
    "0": "AA", "0#": "AA", "A:": "AA", "A#": "AA", "a": "AE", "aa": "AE", "V": "AH", "@": "AH", "@2": "AH", "@5": "AH", "@-": "AH",
    "a#": "AH", "O:": "AO", "O": "AO", "O2": "AO", "O#": "AO", "aU": "AW", "aI": "AY", "E": "EH", "E2": "EH", "E#": "IH", "3": "ER",
    "3:": "ER", "eI": "EY", "I": "IH", "I2": "IH", "I#": "IH", "i": "IY", "i:": "IY", "oU": "OW", "oU#": "OW", "OI": "OY", "U": "UH",
    "u:": "UW", "u": "UW",
    # One sound for espeak, two for CMUdict.
    "A@": "AA R", "e@": "EH R", "i@": "IY AH", "i@3": "IH R", "I@": "IH R", "O@": "AO R", "o@": "AO R", "U@": "UH R",
    "aI3": "AY ER", "aI@": "AY AH", "aU@": "AW ER", "@L": "AH L", "n-": "AH N", "m-": "AH M", "VR": "ER", "IR": "IH R",
}  # fmt: skip
_CONSONANTS = {
    "b": "B", "tS": "CH", "d": "D", "d#": "D", "D": "DH", "f": "F", "g": "G", "h": "HH", "dZ": "JH", "k": "K", "l": "L", "l#": "L",
    "m": "M", "n": "N", "N": "NG", "p": "P", "r": "R", "r-": "R", "s": "S", "S": "SH", "t": "T", "t#": "T", "t2": "T", "?": "T",
    "T": "TH", "v": "V", "w": "W", "w#": "W", "j": "Y", "z": "Z", "z#": "Z", "Z": "ZH",
}  # fmt: skip
_GLIDE = ";"
"""Between two vowels, for which CMUdict writes nothing: its time is that of the sound before."""

# CMUdict writes a vowel that can carry no stress, even where espeak gives it some.
_NEVER_STRESSED = frozenset(("@", "@2", "@5", "@-", "a#", "I#", "@L", "n-", "m-"))


def phonemes(spoken: Spoken) -> tuple[tuple[str, ...], tuple[int, ...], tuple[int, ...]]:
    """Symbols, the first sample of each, and the number of the word of each.

    Two symbols of one sound share its time evenly. ValueError: a sound that no row of the table has.
    """
    found: list[tuple[str, int, int]] = []
    ends = (*spoken.starts[1:], len(spoken.samples))
    for name, stress, word, start, end in zip(spoken.names, spoken.stress, spoken.word, spoken.starts, ends, strict=True):
        symbols = [PAUSE] if not name else symbols_of(name, stress)
        found += [(symbol, start + place * (end - start) // len(symbols), word) for place, symbol in enumerate(symbols)]
    columns = list(zip(*found, strict=True))
    return columns[0], columns[1], columns[2]


def symbols_of(name: str, stress: int) -> list[str]:
    """Of one sound with its stress (0, 1 or 2); ValueError: no row of the table has it."""
    if name == _GLIDE:
        return []
    if name in _CONSONANTS:
        return [_CONSONANTS[name]]
    if name not in _VOWELS:
        raise ValueError(f"expected a sound of espeak's American English, found {name!r}: add what CMUdict writes for it to the table")
    vowel, *rest = _VOWELS[name].split()
    carried = 0 if name in _NEVER_STRESSED else stress
    return [f"{vowel}{carried}", *(f"{other}0" if other in ("AH", "ER") else other for other in rest)]
