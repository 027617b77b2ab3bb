"""From one way to compute the codec to its three Implementations: models, checks, settings and segments are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Role, Run
from implementations._modes import is_lightweight
from implementations.codec.component import DECODER, FLOW, SONG
from implementations.codec.configuration import FLAVOURS
from implementations.codec.contract import check_decoder, check_flow, check_song
from implementations.codec.song import song
from implementations.codec.variants import variants

if TYPE_CHECKING:
    from harness.settings import Settings

LEVELS = 9


@dataclass(frozen=True)
class Kernels:
    """One model, ready to compute.

    flow(codes (songs, frames, quantizers) int64, noise (songs, latents, channels), context (songs, n, channels), steps, guidance) ->
    latents as noise, float32. decode(latents (t, channels)) -> samples (n, 2) float32, or chunks of them.
    """

    flow: Callable[[np.ndarray, np.ndarray, np.ndarray, int, float], np.ndarray]
    decode: Callable[[np.ndarray], np.ndarray | Iterator[np.ndarray]]


Model = Callable[[str], Kernels]
"""The kernels of a flavour by name (or of a checkpoint, by its path), loaded when they are first asked for and then kept."""

Open = Callable[["Settings"], AbstractContextManager[Model]]


@contextmanager
def load(settings: Settings, *, component: str, name: str, open_: Open, precisions: tuple[str, ...]) -> Iterator[Run]:
    """Gives `run`. Unlike steps, which replace those of the inputs, mode "lightweight" leaves the guidance out."""
    if settings.precision not in (None, *precisions):
        raise ValueError(f"{component}.{name}: precision: expected {' or '.join(precisions)}, found {settings.precision!r}")
    is_lightweight(f"{component}.{name}", settings)  # refuses what no profile has decided
    with open_(settings) as model:
        yield partial(_RUNS[component], model, settings)


def _solver(settings: Settings, steps: int, guidance: float) -> tuple[int, float]:
    return settings.steps or steps, 1.0 if settings.mode == "lightweight" else guidance


def _run_flow(model: Model, settings: Settings, inputs: Inputs) -> Outputs:
    call = check_flow(inputs)
    solver, flow = _solver(settings, call.steps, call.guidance), model(call.model).flow
    at_once = settings.batch or len(call.codes)
    parts = [slice(first, first + at_once) for first in range(0, len(call.codes), at_once)]
    found = [flow(call.codes[part], call.noise[part], call.context[part], *solver) for part in parts]
    return _latents(np.concatenate(found))


def _run_decoder(model: Model, settings: Settings, inputs: Inputs) -> Outputs | Iterator[Outputs]:
    name, latents = check_decoder(inputs)
    found = model(name).decode(latents)
    return {"wave": found} if isinstance(found, np.ndarray) else ({"wave": chunk} for chunk in found)


def _run_song(model: Model, settings: Settings, inputs: Inputs) -> Iterator[Outputs]:
    call = check_song(inputs)
    kernels, (steps, guidance) = model(call.model), _solver(settings, call.steps, call.guidance)

    def flow(codes: np.ndarray, noise: np.ndarray, context: np.ndarray) -> np.ndarray:
        return kernels.flow(codes, noise, context, steps, guidance)

    segments = song([call.codes], call.noise.__getitem__, flow, partial(whole, kernels), FLAVOURS[call.model], length=call.segment)
    return ({**_latents(latents), "wave": samples} for latents, samples in segments)


def whole(kernels: Kernels, latents: np.ndarray) -> np.ndarray:
    """All samples of the latents at once."""
    found = kernels.decode(latents)
    return found if isinstance(found, np.ndarray) else np.concatenate(list(found))


def _latents(latents: np.ndarray) -> Outputs:
    """The latents, and the levels to which the decoder will round them."""
    return {"latents": latents, "levels": np.rint(np.float32(LEVELS) * latents).astype(np.int32)}


_RUNS: Mapping[str, Callable[..., Any]] = {"codec_flow": _run_flow, "codec_decoder": _run_decoder, "codec": _run_song}

SOLVER, STREAM = ("steps", "mode"), ("audio_buffer",)
COMPONENTS = (FLOW, DECODER, SONG)


def implementations(
    name: str,
    role: Role,
    open_: Open,
    *,
    precisions: tuple[str, ...] = (),
    settings: tuple[str, ...] = ("threads",),
    only: tuple[str, ...] = ("codec_flow", "codec_decoder", "codec"),
    solver: bool = True,
    **options: Any,
) -> list[Implementation]:
    """One Implementation of each component that it can compute.

    precisions: those it has beside float32; each is a row of its own. settings: that all of them honour; codec_flow the songs of a
    batch as well. solver: it is measured at other steps and without guidance, too.
    """
    found = []
    for component in (one.name for one in COMPONENTS if one.name in only):
        flows = component != "codec_decoder" and solver
        honoured = (
            *settings,
            *(("precision",) if precisions else ()),
            *(SOLVER if flows else ()),
            *(("batch",) if component == "codec_flow" else ()),
        )
        found.append(
            Implementation(
                component=component,
                name=name,
                role=role,
                load=partial(load, component=component, name=name, open_=open_, precisions=("float32", *precisions)),
                settings=honoured,
                variants=variants(component, precisions, solver=flows),
                **options,
            )
        )
    return found
