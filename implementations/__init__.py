"""Optimized audio-ML components, usable without the harness; each name is imported when it is first asked for.

`log_spectrogram(signals, sample_rate)`, `DBNDownBeatTrackingProcessor` (madmom's interface), `music_models(features)`,
`open_generator(checkpoint)` and `open_codec(checkpoint)`, and `synthesize_speech(text)` or `stream_speech(text)`, by a voice of
`load_voice()` or the shipped one. Functions have names of their own because `implementations.spectrogram` and its like are packages: a
module that is called is nothing a type checker or a reader expects.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from implementations.codec import open_codec as open_codec
    from implementations.dbn.processor import DBNDownBeatTrackingProcessor as DBNDownBeatTrackingProcessor
    from implementations.generator.pipeline import open_generator as open_generator
    from implementations.small_models import music_models as music_models
    from implementations.spectrogram import log_spectrogram as log_spectrogram
    from implementations.tts.speech import load_voice as load_voice
    from implementations.tts.speech import stream_speech as stream_speech
    from implementations.tts.speech import synthesize_speech as synthesize_speech

_HOMES = {
    "log_spectrogram": "implementations.spectrogram",
    "DBNDownBeatTrackingProcessor": "implementations.dbn.processor",
    "music_models": "implementations.small_models",
    "open_codec": "implementations.codec",
    "load_voice": "implementations.tts.speech",
    "stream_speech": "implementations.tts.speech",
    "synthesize_speech": "implementations.tts.speech",
    "open_generator": "implementations.generator.pipeline",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'implementations' has no attribute {name!r}; it offers {', '.join(_HOMES)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
