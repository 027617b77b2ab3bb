"""An optional step of the ladder: what espeak-ng says of a word.

It is GPL-3.0-or-later: the user names the library's file, and nothing looks for it otherwise. Its data must be installed beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Beyond = Callable[[str], tuple[str, ...]]
"""A word that neither dictionary nor rules of the ladder know to its phonemes, () where it does not know it either."""


def by_espeak(path: str | Path) -> Beyond:
    """Words as the libespeak-ng in that file says them in American English; ValueError: there is none."""
    from implementations.tts.training import arpabet, espeak

    library = str(path)
    try:
        espeak.sounds("a", library)
    except espeak.NoEspeak as error:
        raise ValueError(str(error)) from None

    def say(word: str) -> tuple[str, ...]:
        try:
            return tuple(symbol for sound in espeak.sounds(word, library) for symbol in arpabet.symbols_of(*sound))
        except ValueError:  # a sound of another language, which ARPABET has no symbol for
            return ()

    return say
