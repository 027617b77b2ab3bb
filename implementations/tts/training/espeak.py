"""Speech and the times of its sounds from libespeak-ng, loaded through ctypes from the user's own system.

espeak-ng is GPL-3.0-or-later. Nothing of it is part of this package: the library is looked up when the trainer runs, and neither the
package nor the voice it ships needs it. Interface: espeak-ng/speak_lib.h, API revision 12.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from implementations.tts.mel import SAMPLE_RATE

_SYNCHRONOUS, _PHONEME_EVENTS, _DO_NOT_EXIT = 2, 0x0001, 0x8000
_CHARACTER, _UTF8 = 1, 1
_PHONEME = 7  # espeakEVENT_PHONEME
_ASCII_NAMES_WITH_BARS = ord("|") << 8
_PAUSES = ("", "_", "_:", "_::", "_|", ":")

_ONE_AT_A_TIME = threading.Lock()


class NoEspeak(RuntimeError):
    """libespeak-ng or its data is not on this system; the message says how to install it."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """samples: (n,) float32 in [-1, 1] at SAMPLE_RATE. names: of sounds in espeak's notation, "" for a pause. stress: 0, 1 or 2 of each.
    word: number of the word each belongs to, that of the word before for a pause. starts: first sample of each, ascending.
    """

    samples: np.ndarray
    names: tuple[str, ...]
    stress: tuple[int, ...]
    word: tuple[int, ...]
    starts: tuple[int, ...]


def speak(text: str, voice: str = "en-us") -> Spoken:
    """What espeak-ng says; the same for the same calls in a fresh process, while between calls the noise of fricatives goes on.

    ValueError: text without sounds, or one whose sounds and times do not match. NoEspeak: no library.
    """
    library = _library()
    with _ONE_AT_A_TIME:
        if library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"voice: expected a voice of espeak-ng (espeak-ng --voices), found {voice!r}")
        expected = _transcribe(library, text)
        samples, events = _synthesize(library, text)
    names = tuple(name for name, _, _ in expected)
    heard = tuple(name for name, _ in events if name not in _PAUSES)
    if not names or names != heard:
        raise ValueError(f"{text!r}: expected the sounds {' '.join(names) or '(any)'}, found times for {' '.join(heard) or 'none'}")
    found: list[tuple[str, int, int, int]] = []
    sounds, word = iter(expected), 0
    for heard_name, start in events:
        if heard_name not in _PAUSES:
            name, stress, word = next(sounds)
            found.append((name, stress, word, start))
        elif not found or found[-1][0]:  # pauses in a row are one
            found.append(("", 0, word, start))
    columns = list(zip(*found, strict=True))
    return Spoken(samples, columns[0], columns[1], columns[2], columns[3])


def sounds(text: str, path: str | None = None) -> list[tuple[str, int]]:
    """(name, stress) of each sound of its American voice, without speaking. path: of the library; without, where the system has it.

    NoEspeak: no library there.
    """
    library = _library(path)
    with _ONE_AT_A_TIME:
        library.espeak_SetVoiceByName(b"en-us")
        return [(name, stress) for name, stress, _ in _transcribe(library, text)]


def version() -> str:
    """Of the library, "1.51"."""
    library = _library()
    library.espeak_Info.restype = ctypes.c_char_p
    return str(library.espeak_Info(None).decode()).split()[0]


class _Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@lru_cache(maxsize=2)
def _library(path: str | None = None) -> Any:
    how = "Debian, Ubuntu: apt-get install libespeak-ng1; macOS: brew install espeak-ng"
    path = path or ctypes.util.find_library("espeak-ng")
    if path is None:
        raise NoEspeak(f"expected the shared library libespeak-ng, which makes the speech to train on; found none. {how}")
    try:
        library = ctypes.CDLL(path)
        library.espeak_TextToPhonemes  # noqa: B018 - any other library lacks it
    except (OSError, AttributeError) as error:
        raise NoEspeak(f"{path}: expected the shared library libespeak-ng, found: {error}. {how}") from None
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _DO_NOT_EXIT)
    if rate != SAMPLE_RATE:
        raise NoEspeak(f"{path}: expected to start at {SAMPLE_RATE} Hz, found {rate} (-1: its data is not installed). {how}")
    return library


def _transcribe(library: Any, text: str) -> list[tuple[str, int, int]]:
    """(name, stress, word) of each sound, without pauses."""
    rest = ctypes.c_char_p(text.encode())
    found: list[tuple[str, int, int]] = []
    word = 0
    while rest.value:
        clause = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _ASCII_NAMES_WITH_BARS).decode()
        for sounds in clause.split():
            for sound in sounds.split("|"):
                name = _name(sound)
                if name not in _PAUSES:
                    found.append((name, 1 if "'" in sound else 2 if "," in sound else 0, word))
            word += 1
    return found


def _name(sound: str) -> str:
    """Without the marks of stress, and of a break before it that is no pause."""
    return sound.removeprefix("_!").lstrip("',%=")


def _synthesize(library: Any, text: str) -> tuple[np.ndarray, list[tuple[str, int]]]:
    """Samples, and (name, first sample) of each sound and pause."""
    blocks: list[bytes] = []
    events: list[tuple[str, int]] = []

    def receive(samples: Any, count: int, event: Any) -> int:
        if count > 0:
            blocks.append(ctypes.string_at(samples, 2 * count))
        place = 0
        while event[place].type:
            if event[place].type == _PHONEME:
                events.append((_name(event[place].id.string.decode()), event[place].sample))
            place += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    content = text.encode()
    if library.espeak_Synth(content, len(content) + 1, 0, _CHARACTER, 0, _UTF8, None, None):
        raise ValueError(f"{text!r}: espeak-ng refused to speak it")
    samples = np.frombuffer(b"".join(blocks), np.int16).astype(np.float32) / 32768
    return samples, events
