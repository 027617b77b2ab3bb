"""From a way to run one generator to an implementation of the component: inputs checked, each vocoder made at its first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Loaded, Outputs, Requires, Role
from implementations._torch import threads
from implementations.tts.vocoder.component import check_inputs
from implementations.tts.vocoder.shapes import SHAPES, Shape

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.vocoder.hifigan import Weights

Vocode = Callable[[np.ndarray], np.ndarray | Iterator[np.ndarray]]
"""(frames, mels) float32 to (samples,) float32, or to chunks of it; at least one frame."""

Make = Callable[[Shape, "Weights", "Settings"], tuple[Vocode, int | None]]
"""A generator made ready to run, and how many bytes its weights take where that is known."""


@contextmanager
def _load(settings: Settings, *, make: Make, precisions: tuple[str, ...], library: str | None, name: str) -> Iterator[Loaded]:
    from implementations.tts.vocoder.hifigan import weights_of

    if library:
        import_module(library)  # a kernel belongs to what is loaded, not to the first call
    if settings.precision not in (None, *precisions):
        raise ValueError(f"tts_vocoder.{name}: precision: expected {' or '.join(precisions)}, found {settings.precision!r}")
    made: dict[str, tuple[Vocode, int | None]] = {}
    asked = ""

    def run(inputs: Inputs) -> Outputs | Iterator[Outputs]:
        nonlocal asked
        mel, vocoder = check_inputs(inputs)
        if not len(mel):
            return {"wave": np.empty(0, np.float32)}
        if vocoder not in made:
            made[vocoder] = make(SHAPES[vocoder], weights_of(vocoder), settings)
        asked = vocoder
        wave = made[vocoder][0](mel)
        return {"wave": wave} if isinstance(wave, np.ndarray) else ({"wave": chunk} for chunk in wave)

    with threads(settings.threads):
        yield Loaded(run, lambda: made[asked][1] if asked else None)


def implementation(
    name: str, role: Role, make: Make, *, precisions: tuple[str, ...] = ("float32",), settings: tuple[str, ...] = (), **options: Any
) -> Implementation:
    """precisions: that it can compute in, the default first; each but that is expected to have a variant. settings: that it honours beside
    precision and threads."""
    return Implementation(
        component="tts_vocoder",
        name=name,
        role=role,
        load=partial(_load, make=make, precisions=precisions, library=options.get("requires", Requires()).native, name=name),
        settings=("threads", *(("precision",) if len(precisions) > 1 else ()), *settings),
        **options,
    )
