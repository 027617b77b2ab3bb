"""Grapheme-to-phoneme: the dictionary first, then a ladder of rules for the words it lacks.

1. affix: the word without its possessive, plural, -ed, -ing, -er, -ly, ... is in the dictionary;
2. compound: it is two words of the dictionary;
3. spelled: an acronym, or letters that nobody could say, letter by letter;
4. espeak: what espeak-ng says, where the user has named it (`text.espeak`);
5. letters: letter-to-sound rules.

Homographs: of several pronunciations a dictionary's first is taken, but for the words of `_HOMOGRAPHS` the word before decides: a noun
follows an article or a possessive, a verb follows "to", a pronoun or a modal verb, a participle follows a form of "have" or "be".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from implementations.tts.text.espeak import Beyond
from implementations.tts.text.letters import sounds
from implementations.tts.text.lexicon import Lexicon

STEPS = ("lexicon", "affix", "compound", "spelled", "espeak", "letters")

_VOICELESS = frozenset(("P", "T", "K", "F", "TH"))
_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))

_LETTERS = {
    "a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F", "g": "JH IY1", "h": "EY1 CH", "i": "AY1", "j": "JH EY1",
    "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1", "q": "K Y UW1", "r": "AA1 R", "s": "EH1 S",
    "t": "T IY1", "u": "Y UW1", "v": "V IY1", "w": "D AH1 B AH0 L Y UW0", "x": "EH1 K S", "y": "W AY1", "z": "Z IY1",
}  # fmt: skip

_NOUN, _VERB, _PARTICIPLE = "noun", "verb", "participle"
_BEFORE = {
    _NOUN: (
        "a", "an", "the", "this", "that", "my", "your", "his", "her", "its", "our", "their",
        "each", "every", "no", "some", "any",
    ),
    _VERB: (
        "to", "i", "you", "we", "they", "he", "she", "it", "who", "will", "would", "can", "could", "should",
        "must", "may", "might", "shall", "don't", "didn't", "cannot",
    ),
    _PARTICIPLE: ("have", "has", "had", "having", "was", "were", "is", "been", "be", "i've", "you've", "we've", "they've"),
}  # fmt: skip
_USE = {word: use for use, words in _BEFORE.items() for word in words}
_HOMOGRAPHS = {
    "record": {_NOUN: "R EH1 K ER0 D", _VERB: "R AH0 K AO1 R D"},
    "present": {_NOUN: "P R EH1 Z AH0 N T", _VERB: "P R IY0 Z EH1 N T"},
    "object": {_NOUN: "AA1 B JH EH0 K T", _VERB: "AH0 B JH EH1 K T"},
    "project": {_NOUN: "P R AA1 JH EH0 K T", _VERB: "P R AH0 JH EH1 K T"},
    "produce": {_NOUN: "P R OW1 D UW0 S", _VERB: "P R AH0 D UW1 S"},
    "permit": {_NOUN: "P ER1 M IH2 T", _VERB: "P ER0 M IH1 T"},
    "conflict": {_NOUN: "K AA1 N F L IH0 K T", _VERB: "K AH0 N F L IH1 K T"},
    "contract": {_NOUN: "K AA1 N T R AE2 K T", _VERB: "K AH0 N T R AE1 K T"},
    "conduct": {_NOUN: "K AA1 N D AH0 K T", _VERB: "K AH0 N D AH1 K T"},
    "increase": {_NOUN: "IH1 N K R IY2 S", _VERB: "IH0 N K R IY1 S"},
    "import": {_NOUN: "IH1 M P AO2 R T", _VERB: "IH0 M P AO1 R T"},
    "export": {_NOUN: "EH1 K S P AO0 R T", _VERB: "EH0 K S P AO1 R T"},
    "progress": {_NOUN: "P R AA1 G R EH2 S", _VERB: "P R AH0 G R EH1 S"},
    "protest": {_NOUN: "P R OW1 T EH2 S T", _VERB: "P R AH0 T EH1 S T"},
    "rebel": {_NOUN: "R EH1 B AH0 L", _VERB: "R IH0 B EH1 L"},
    "refuse": {_NOUN: "R EH1 F Y UW2 Z", _VERB: "R AH0 F Y UW1 Z"},
    "subject": {_NOUN: "S AH1 B JH IH0 K T", _VERB: "S AH0 B JH EH1 K T"},
    "use": {_NOUN: "Y UW1 S", _VERB: "Y UW1 Z"},
    "close": {_NOUN: "K L OW1 S", _VERB: "K L OW1 Z"},
    "house": {_NOUN: "HH AW1 S", _VERB: "HH AW1 Z"},
    "live": {_NOUN: "L AY1 V", _VERB: "L IH1 V"},
    "lives": {_NOUN: "L AY1 V Z", _VERB: "L IH1 V Z"},
    "wind": {_NOUN: "W IH1 N D", _VERB: "W AY1 N D"},
    "tear": {_NOUN: "T IH1 R", _VERB: "T EH1 R"},
    "read": {_NOUN: "R IY1 D", _VERB: "R IY1 D", _PARTICIPLE: "R EH1 D"},
}


class Spoken(NamedTuple):
    """A word's phonemes, and the step of `STEPS` that found them."""

    phonemes: tuple[str, ...]
    step: str


def pronounce(word: str, lexicon: Lexicon, *, before: str = "", after: str = "", beyond: Beyond | None = None) -> Spoken:
    """word: small letters and apostrophes, or an acronym in capitals; before, after: its neighbours, which decide homographs. beyond: who
    is asked before the letter rules."""
    if word.isupper() and len(word) == 1:
        return Spoken(_spelled(word), "lexicon")
    lower = word.lower()
    if lower in _HOMOGRAPHS and (use := _HOMOGRAPHS[lower].get(_USE.get(before, ""))):
        return Spoken(tuple(use.split()), "lexicon")
    if lower == "the" and after[:1].lower() in "aeiou" and after:
        return Spoken(("DH", "IY0"), "lexicon")
    # "IT" and "US" in capitals are acronyms; longer ones that are words (NASA, RADAR) are said as words.
    if lower in lexicon and not (word.isupper() and len(word) == 2):
        return Spoken(lexicon[lower], "lexicon")
    if acronym := re.fullmatch(r"([A-Z]{2,6})('?s)?", word):
        letters = _spelled(acronym[1])
        return Spoken(letters + (_plural(letters) if acronym[2] else ()), "spelled")
    if found := _with_affix(lower, lexicon):
        return Spoken(found, "affix")
    if found := _compound(lower, lexicon):
        return Spoken(found, "compound")
    plain = re.sub("[^a-z]", "", lower)
    if len(plain) <= 6 and not re.search("[aeiouy]", plain):
        return Spoken(_spelled(plain), "spelled")
    if beyond is not None and (found := beyond(plain)):
        return Spoken(found, "espeak")
    return Spoken(sounds(plain), "letters")


def _spelled(word: str) -> tuple[str, ...]:
    return tuple(phoneme for letter in word.lower() for phoneme in _LETTERS[letter].split())


def _plural(stem: tuple[str, ...]) -> tuple[str, ...]:
    """What -s adds: it hisses after what is voiceless, and needs a vowel after a hiss."""
    if stem[-1] in _SIBILANTS:
        return ("IH0", "Z")
    return ("S",) if stem[-1] in _VOICELESS else ("Z",)


def _past(stem: tuple[str, ...]) -> tuple[str, ...]:
    if stem[-1] in ("T", "D"):
        return ("IH0", "D")
    return ("T",) if stem[-1] in _VOICELESS | {"S", "SH", "CH"} else ("D",)


_ENDINGS = (("'s", "s"), ("s'", "s"), ("ies", "s"), ("es", "s"), ("s", "s"), ("ied", "d"), ("ed", "d"), ("ing", "IH0 NG"), ("ers", "ER0 Z"),
            ("er", "ER0"), ("est", "AH0 S T"), ("ly", "L IY0"), ("ness", "N AH0 S"), ("less", "L AH0 S"), ("ful", "F AH0 L"),
            ("ment", "M AH0 N T"), ("able", "AH0 B AH0 L"))  # fmt: skip
_BEGINNINGS = (("un", "AH0 N"), ("re", "R IY0"), ("non", "N AA2 N"), ("pre", "P R IY0"), ("mis", "M IH0 S"), ("over", "OW2 V ER0"))


def _with_affix(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    """A known stem with an ending or a beginning; () without one."""
    for ending, added in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1 and (stem := _stem(word[: -len(ending)], ending, lexicon)):
            return stem + (_plural(stem) if added == "s" else _past(stem) if added == "d" else tuple(added.split()))
    for beginning, added in _BEGINNINGS:
        if word.startswith(beginning) and len(word) > len(beginning) + 2 and (rest := lexicon.get(word[len(beginning) :])):
            return (*added.split(), *rest)
    return ()


def _stem(stem: str, ending: str, lexicon: Lexicon) -> tuple[str, ...]:
    """hope(hoping), sing(ing), hop(ping), cry(ies): with the e it lost behind a vowel and a consonant, as it stands, with one of two equal
    letters, with the y it lost."""
    if ending[0] == "i" and ending != "ing":
        return lexicon.get(stem + "y", ())
    if ending in ("'s", "s'", "s"):
        return lexicon.get(stem, ())
    if ending[0] not in "aei":
        return lexicon.get(stem, ())
    single = re.search(r"[aeiouy][^aeiouwxy]$", stem) is not None
    ways = [stem + "e", stem] if single else [stem, stem + "e"]
    ways += [stem[:-1]] if stem[-1:] == stem[-2:-1] else []
    return next((lexicon[way] for way in ways if way in lexicon), ())


def _compound(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Two words of three letters or more, the first as long as it can be, the stress of the second a lesser one; () without."""
    for cut in range(min(len(word) - 3, 20), 2, -1):
        first, second = lexicon.get(word[:cut]), lexicon.get(word[cut:])
        if first and second:
            return first + tuple(phoneme.replace("1", "2") for phoneme in second)
    return ()
