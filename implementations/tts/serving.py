"""From two ways to run models to an implementation of the chain: inputs checked, engines kept between calls."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Loaded, Outputs, Requires, Role
from implementations._modes import is_lightweight
from implementations._torch import threads
from implementations.tts.component import check_inputs
from implementations.tts.voices import AT_48KHZ, SIZES, VOICES, Voice

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.chain import Engine
    from implementations.tts.text.lexicon import Lexicon

Make = Callable[[Voice, "Lexicon", "Settings"], "Engine"]
"""The engine of a voice, with weights, made ready to run."""


@contextmanager
def load(settings: Settings, *, make: Make, precisions: tuple[str, ...], streamed: bool, library: str, name: str) -> Iterator[Loaded]:
    """Gives `run`; models are made when a voice is first asked for, or with cache=False in every call; their library is imported here.

    More than one worker are as many engines, which share the threads.
    """
    importlib.import_module(library)
    import torch

    from implementations.tts.text.lexicon import best

    if settings.precision not in (None, *precisions):
        raise ValueError(f"tts.{name}: precision: expected {' or '.join(precisions)}, found {settings.precision!r}")
    if settings.sample_rate not in (None, 22050, 48000):
        raise ValueError(f"tts.{name}: sample_rate: expected 22050 or 48000 Hz, which there are models for, found {settings.sample_rate}")
    is_lightweight(f"tts.{name}", settings)  # refuses what no profile has decided
    lexicon = best()
    engines: dict[str, list[Engine]] = {}
    asked = ""
    workers = settings.workers or 1

    def run(inputs: Inputs) -> Outputs | Iterator[Outputs]:
        nonlocal asked
        texts, voice, frames = check_inputs(inputs)
        asked = voice = SIZES[settings.model_size] if settings.model_size else voice
        if settings.cache is False:
            engines.clear()
            forget()
        if voice not in engines:
            own = settings if workers == 1 else settings.merged({"threads": max(1, torch.get_num_threads() // workers)})
            engines[voice] = [make(at_rate(voice, settings.sample_rate), lexicon, own) for _ in range(workers)]
        if streamed:
            return _streamed(engines[voice][0], texts, frames, settings)
        return _whole(engines[voice], texts, frames, settings)

    with threads(settings.threads):
        yield Loaded(run, lambda: sum(engine.weight_bytes for engine in engines[asked]))


def at_rate(name: str, sample_rate: int | None) -> Voice:
    """The voice of that name and rate; ValueError where there is none."""
    if sample_rate != 48000:
        return VOICES[name]
    if name != "v1":
        raise ValueError(f"tts: voice: expected v1, the only one there is at 48000 Hz, found {name!r}")
    return AT_48KHZ


def forget() -> None:
    """Drop the weights kept for the next engine."""
    from implementations.tts.acoustic.serving import model_of
    from implementations.tts.vocoder.hifigan import random_weights

    model_of.cache_clear()
    random_weights.cache_clear()


def _whole(engines: list[Engine], texts: tuple[str, ...], frames: int, settings: Settings) -> Outputs:
    from implementations.tts.chain import in_parallel, rounded

    found = in_parallel(engines, texts, frames, batch=settings.batch or 1)
    wave = np.concatenate([*found, np.empty(0, np.float32)])
    return {"wave": rounded(wave, settings.bit_depth), **_about(engines[0], list(map(len, found)))}


def _streamed(engine: Engine, texts: tuple[str, ...], frames: int, settings: Settings) -> Iterator[Outputs]:
    from implementations.tts.chain import rounded, stream
    from implementations.tts.vocoder.streaming import FIRST

    first = max(1, settings.audio_buffer // engine.shape.hop) if settings.audio_buffer else FIRST
    counts = []
    for text in texts:
        counts.append(0)
        for chunk in stream(engine, text, frames, first=first):
            counts[-1] += len(chunk)
            yield {"wave": rounded(chunk, settings.bit_depth)}
    yield {"wave": np.empty(0, np.float32), **_about(engine, counts)}


def _about(engine: Engine, samples: list[int]) -> Outputs:
    return {"samples": np.array(samples, np.int64), "sample_rate": np.array([engine.shape.sample_rate])}


def implementation(
    name: str,
    role: Role,
    make: Make,
    *,
    precisions: tuple[str, ...] = ("float32",),
    streamed: bool = False,
    light: bool = False,
    batches: bool = True,
    requires: Requires = Requires(packages=("torch",)),  # noqa: B008 - frozen
    **options: Any,
) -> Implementation:
    """precisions: that it can compute in, the default first. light: it has a lightweight mode. batches: it vocodes several sentences at
    once, and not one after the other.
    """
    # Where a sentence is vocoded at once, the buffers of that one time are lost among all else.
    pool = ("pool",) if requires.native and streamed else ()
    whole = ("batch", "workers") if batches else ("workers",)
    own = (*(("precision",) if precisions != ("float32",) else ()), *(("audio_buffer", *pool) if streamed else whole))
    return Implementation(
        component="tts",
        name=name,
        role=role,
        load=partial(load, make=make, precisions=precisions, streamed=streamed, library=requires.native or "torch", name=name),
        requires=requires,
        settings=("threads", "model_size", "sample_rate", "bit_depth", "cache", *own, *(("mode",) if light else ())),
        **options,
    )
