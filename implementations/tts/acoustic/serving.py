"""From a FastSpeech2 to an implementation of the component: inputs checked, each configuration's model made at its first use."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Loaded, Outputs, Role
from implementations._torch import threads
from implementations.tts.acoustic.component import DECISIONS, PREDICTIONS, check_inputs
from implementations.tts.acoustic.configurations import Configuration

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.acoustic.fastspeech2 import FastSpeech2, Spoken

INSTEAD = "TTS_ACOUSTIC_CHECKPOINTS"
"""Environment variable: a folder with checkpoints named after the configurations (`ljspeech.pth.tar`, `small.safetensors`, ...), to
measure in place of random weights."""

Speak = Callable[..., "Spoken"]
"""What a FastSpeech2 does: (phonemes, lengths, durations=, pitch=, energy=) to every stage's result."""

Make = Callable[["FastSpeech2", "Settings"], "FastSpeech2"]
"""A model with weights made ready to run."""


@lru_cache(maxsize=4)
def model_of(configuration: Configuration) -> FastSpeech2:
    """The model whose weights are in the folder that `INSTEAD` names, or random ones. Do not change it."""
    from implementations.tts.acoustic.weights import BadCheckpoint, load_model, seeded

    folder = os.environ.get(INSTEAD)
    if not folder:
        return seeded(configuration)
    names = [f"{configuration.name}{ending}" for ending in (".safetensors", ".pth.tar", ".pt")]
    for name in names:
        if (path := Path(folder) / name).is_file():
            return load_model(path, configuration)
    raise BadCheckpoint(f"{folder} ({INSTEAD}): expected {' or '.join(names)}, found none")


@contextmanager
def load(settings: Settings, *, make: Make, precisions: tuple[str, ...], library: str, name: str) -> Iterator[Loaded]:
    """Gives `run`; models are made when they are first asked for, or with cache=False in every call; their library is imported here."""
    importlib.import_module(library)
    if settings.precision not in (None, *precisions):
        raise ValueError(f"tts_acoustic.{name}: precision: expected {' or '.join(precisions)}, found {settings.precision!r}")
    made: dict[str, FastSpeech2] = {}
    asked = ""

    def run(inputs: Inputs) -> Outputs:
        nonlocal asked
        c, phonemes, lengths = check_inputs(inputs)
        asked = c.name
        if settings.cache is False:
            made.clear()
            model_of.cache_clear()
        if c.name not in made:
            made[c.name] = make(model_of(c), settings)
        return compute(c, made[c.name], inputs, phonemes, lengths)

    def size() -> int | None:
        from implementations.tts.stored import weight_bytes

        return weight_bytes(made[asked]) if library == "torch" else None

    with threads(settings.threads):
        yield Loaded(run, size)


def compute(c: Configuration, speak: Speak, inputs: Inputs, phonemes: np.ndarray, lengths: np.ndarray) -> Outputs:
    """The component's outputs of checked inputs."""
    import torch

    from implementations.tts.acoustic.fastspeech2 import frames_of

    given = {name: torch.from_numpy(inputs[name]) for name in ("durations", "pitch", "energy") if name in inputs}
    with torch.inference_mode():
        spoken = speak(torch.from_numpy(phonemes), torch.from_numpy(lengths), **given)
        adaptor = model_of(c).variance_adaptor
        bins = [
            torch.bucketize(values, edges) for values, edges in ((spoken.pitch, adaptor.pitch_bins), (spoken.energy, adaptor.energy_bins))
        ]
        decided = [frames_of(spoken.log_durations), *bins]
        inside = torch.arange(spoken.mel_postnet.shape[1]) < spoken.frames[:, None]
        return {
            **{name: getattr(spoken, name).numpy() for name in PREDICTIONS},
            **{name: values.numpy() for name, values in zip(DECISIONS, decided, strict=True)},
            "mel": spoken.mel_postnet[inside].numpy(),
        }


def implementation(
    name: str, role: Role, make: Make, *, precisions: tuple[str, ...] = ("float32",), library: str = "torch", **options: Any
) -> Implementation:
    """precisions: that it can compute in, the default first. library: what computes; MLX has threads of its own."""
    return Implementation(
        component="tts_acoustic",
        name=name,
        role=role,
        load=partial(load, make=make, precisions=precisions, library=library, name=name),
        settings=("cache", *(("threads",) if library != "mlx.core" else ()), *(("precision",) if precisions != ("float32",) else ())),
        **options,
    )
