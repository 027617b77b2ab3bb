"""Text to speech, the whole chain: what is computed, on what, how equal, at least how much work.

Inputs: `texts`, a tuple of strings; `voice`, a name of `VOICES`; `frames`, how many mel frames each text is to last (durations are
predicted, then replaced), or 0 for as many as predicted.
Outputs: `wave` (samples of all texts, one after the other) float32 in [-1, 1]; `samples` (texts,) int64, how many are each text's;
`sample_rate` (1,) int64 in Hz.

model_size speaks with another voice than the inputs name (`voices.SIZES`). mode=lightweight is the narrowest precision of a row that every
processor has, of the native ones int16, with the voice as it is: another one is another speaker, which no comparison makes good.

A text is spoken sentence by sentence. The weights are random, scaled as trained ones: they say how fast and how equal, not how it sounds.
Which words the dictionary knows depends on what is installed (`text.lexicon.best`), so fixed cases fix their frames.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Approximate, Case, Component, Effect, Identical, Inputs, Metric, Outputs, Unit, Variant, Work
from implementations.tts.acoustic.component import FRAMES, macs, parameters
from implementations.tts.voices import VOICES

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

EXACT_DB = 100.0
"""What float32 reaches against float32, through both models."""

BFLOAT16 = Variant(
    {"precision": "bfloat16"},
    {"wave": Approximate(Metric("snr_db", at_least=28.0), "decoder, PostNet and vocoder in bfloat16; every decision is the reference's")},
)

FLOAT16 = Variant(
    {"precision": "float16"},
    {
        "wave": Approximate(
            Metric("snr_db", at_least=45.0),
            "weights of decoder, PostNet and vocoder stored in float16; arithmetic and decisions in float32",
        )
    },
)

_WHO = (
    "The engineer", "A quiet neighbour", "Doctor Miller", "Her brother", "The old captain", "Our teacher", "Mrs. Brown", "The committee",
)  # fmt: skip
_DID = ("measured", "described", "remembered", "painted", "repaired", "discovered", "recorded", "considered")
_WHAT = (
    "the narrow bridge", "42 old photographs", "a violet machine", "the first results", "3.5 million stars", "the broken clock",
    "an honest answer", "seven green bottles",
)  # fmt: skip
_WHERE = (
    "near the river", "on a winter evening", "in 1987", "behind the library", "without any help", "for $20", "before the storm",
    "at the station",
)  # fmt: skip


def sentence(random: np.random.Generator) -> str:
    """About 18 words, with a number or an abbreviation now and then."""
    clauses = [" ".join(str(random.choice(part)) for part in (_WHO, _DID, _WHAT, _WHERE)) for _ in range(2)]
    return " and ".join(clauses) + "."


def text_of(words: int, seed: int) -> str:
    """Sentences of exactly so many words in all."""
    random = np.random.Generator(np.random.PCG64([seed, words]))
    found: list[str] = []
    while len(found) < words:
        found += sentence(random).split()
    return " ".join(found[:words])


def _make(voice: str, texts: int, words: int, frames: int, seed: int) -> Inputs:
    return {"texts": tuple(text_of(words, 1000 * seed + number) for number in range(texts)), "voice": voice, "frames": frames}


def check_inputs(inputs: Inputs) -> tuple[tuple[str, ...], str, int]:
    """texts, voice, frames; TypeError or ValueError says what is wrong with them."""
    texts, voice, frames = inputs["texts"], inputs["voice"], inputs["frames"]
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"tts: texts: expected a tuple of strings, found {type(texts).__name__}")
    if voice not in VOICES:
        raise ValueError(f"tts: voice: expected {', '.join(VOICES)}, found {voice!r}")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 0:
        raise ValueError(f"tts: frames: expected a whole number of mel frames, or 0 for as many as predicted, found {frames!r}")
    return tuple(texts), voice, frames


def _case(name: str, voice: str, words: int, frames: int = 0, *, texts: int = 1, quick: bool = False, thorough: str = "") -> Case:
    return Case(name, partial(_make, voice, texts, words, frames), quick=quick, thorough=thorough)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio in the wave."""
    return len(outputs["wave"]) / int(outputs["sample_rate"][0])


def work(inputs: Inputs) -> Work:
    """Direct convolutions of both models, in sentences of 5 s; weights, and the wave once. Without given frames, 30 a word."""
    texts, name, given = check_inputs(inputs)
    voice = VOICES[name]
    frames = sum(given or 30 * len(text.split()) for text in texts)
    one = min(FRAMES, max(frames, 1))
    operations = 2 * (macs(voice.configuration, frames // 6, frames, sentence=one) + voice.shape.macs_per_frame * frames)
    weights = 4.0 * (parameters(voice.configuration) + voice.shape.parameters)
    return Work(operations, weights + 4.0 * frames * voice.shape.hop, weight_bytes=weights)


def strategy() -> SearchStrategy[Inputs]:
    """Short texts of anything that can be typed, and what breaks normalisers, by the small voice."""
    from hypothesis import strategies as st

    hard = st.sampled_from(("", "...", "\x00\x1b", "\U0001f600", "\u65e5\u672c\u8a9e", "1" * 20, "-3.5e10", "$1.99", "a", "I.B.M."))

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        texts = draw(st.lists(st.one_of(hard, st.text(max_size=20)), min_size=1, max_size=2))
        return {"texts": tuple(texts), "voice": "small", "frames": draw(st.sampled_from((0, 1, 20)))}

    return inputs()


COMPONENT = Component(
    name="tts",
    unit=Unit("audio second", 1.0),
    cases=(
        _case("quick", "small", 4, quick=True),
        _case("sentence-5s", "v1", 16, FRAMES),
        _case("sentence-5s-v2", "v2", 16, FRAMES),
        _case("sentence-5s-v3", "v3", 16, FRAMES),
        _case("sixteen-1.5s", "v2", 4, 129, texts=16),
        _case("words-100", "v2", 100, thorough="50 s of audio: a text-length bucket between the sentence and the document's 500 words"),
        _case("words-500", "v2", 500, thorough="the document's long text: more than three minutes of audio"),
        _case("sixteen-1.5s-v1", "v1", 4, 129, texts=16, thorough="24 s of audio by V1, whose RTF sentence-5s shows"),
    ),
    policy={"wave": Metric("snr_db", at_least=EXACT_DB), "samples": Identical(), "sample_rate": Identical()},
    produced=produced,
    strategy=strategy,
    work=work,
    effects=(
        *(Effect("precision", ("float32", precision), "quick", "output") for precision in ("bfloat16", "float16", "int16", "int8")),
        *(Effect("model_size", ("large", size), "quick", "output") for size in ("medium", "small")),
        Effect("mode", ("full", "lightweight"), "quick", "output"),
        Effect("threads", (1, 2), "sentence-5s-v2", "processes"),
        Effect("sample_rate", (22050, 48000), "sentence-5s", "output"),
        Effect("bit_depth", (16, 8), "quick", "output"),
        Effect("cache", (True, False), "quick", "time"),
        Effect("pool", (True, False), "quick", "time"),
        Effect("batch", (1, 16), "sixteen-1.5s", "bytes"),
        Effect("workers", (1, 2), "sixteen-1.5s", "processes"),
        Effect("audio_buffer", (256, 65536), "quick", "time"),
    ),
    description="text to speech: normalisation, phonemes, FastSpeech2, HiFi-GAN",
)
