"""From one way to compute the model to its three Implementations: the generator, its backbone, its depth decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Role, Run
from implementations._modes import is_lightweight
from implementations._torch import threads
from implementations.generator.component import COMPONENTS, depth_request_of, request_of
from implementations.generator.flavours import CODEBOOKS, Flavour, sized
from implementations.generator.generation import Frame, Model, Request, generate, write_frame
from implementations.generator.narrow import LIGHTWEIGHT, precision_variant

if TYPE_CHECKING:
    from harness.settings import Settings

Open = Callable[[Flavour, "Settings"], Model]
"""A model with the weights of a flavour, in memory."""

Generate = Callable[[Model, Request], Iterator[Frame]]


def run_generator(generate: Generate, model: Model, request: Request, inputs: Inputs) -> Iterator[Outputs]:
    """A chunk per frame."""
    for frame in generate(model, request):
        yield {"codes": frame.codes[None], "logits": frame.logits[None]}


def run_backbone(model: Model, request: Request, inputs: Inputs) -> Outputs:
    """The text, then one forced frame after the other."""
    if request.forced is None:
        raise ValueError("forced: expected the frames to read, (frames, 8) int64, found none")
    hidden, found, logits = model.start(request.prompt, request.rows, request.frames), [], []
    for number in range(request.frames):
        found.append(model.to_host(hidden)[:, -1])
        logits.append(model.first(hidden))
        if number + 1 < request.frames:
            hidden = model.advance(request.forced[number : number + 1], number)
    return {"hidden": np.stack(found), "logits": np.stack(logits)}


def run_depth(model: Model, request: Request, inputs: Inputs) -> Outputs:
    """The further codes of each frame on its own."""
    hidden, first = inputs["hidden"], inputs["first"]
    rows = hidden[: request.rows]
    model.start(request.prompt, request.rows, 1)
    codes, logits = [], []
    for number, code in enumerate(first):
        known = Frame(np.array([code], np.int32), np.zeros((1, model.flavour.vocabulary), np.float32))
        frame = write_frame(model, model.from_host(rows[:, number : number + 1]), request, number, known)
        codes.append(frame.codes)
        logits.append(frame.logits[1:])
    return {"codes": np.stack(codes).reshape(-1, CODEBOOKS), "logits": np.stack(logits)}


@contextmanager
def load(
    settings: Settings,
    *,
    component: str,
    name: str,
    open_: Open,
    precisions: tuple[str, ...],
    modules: tuple[str, ...],
    generate: Generate,
) -> Iterator[Run]:
    """Imports the modules, and gives `run`, which opens the model of a flavour at the first call that names it and keeps the last one."""
    if settings.precision not in (None, *precisions):
        raise ValueError(f"{component}.{name}: precision: expected {' or '.join(precisions)}, found {settings.precision!r}")
    if settings.batch not in (None, 1, 2):
        raise ValueError(f"{component}.{name}: batch: expected 2 (the rows of guidance together) or 1, found {settings.batch}")
    size = settings.model_size or ("small" if is_lightweight(f"{component}.{name}", settings) else None)
    for module in modules:
        import_module(module)
    held: dict[str, Model] = {}

    def run(inputs: Inputs) -> Outputs | Iterator[Outputs]:
        flavour, request = depth_request_of(inputs) if component == "generator_depth" else request_of(inputs)
        if flavour.name not in held:
            held.clear()
            held[flavour.name] = open_(sized(flavour, size), settings)
        return runs[component](held[flavour.name], request, inputs)

    runs: Mapping[str, Callable[[Model, Request, Inputs], Outputs | Iterator[Outputs]]] = {
        "generator": partial(run_generator, generate),
        "generator_backbone": run_backbone,
        "generator_depth": run_depth,
    }
    with threads(settings.threads):
        yield run
    held.clear()


def implementations(
    name: str,
    role: Role,
    open_: Open,
    *,
    precisions: tuple[str, ...] = (),
    light: bool = False,
    modules: tuple[str, ...] = ("torch",),
    settings: tuple[str, ...] = ("threads", "affinity", "batch"),
    generate: Generate = generate,
    **options: Any,
) -> list[Implementation]:
    """One Implementation of each component, in the order of `COMPONENTS`.

    precisions: those it has beside float32, a row each. light: of the whole generator it has a lightweight mode. modules: what it computes
    with. generate: frames of a song, where that is more than the two stages in turn.
    """
    own = partial(load, name=name, open_=open_, precisions=("float32", *precisions), modules=modules, generate=generate)
    narrow = ("precision",) if precisions else ()
    found = []
    for component in COMPONENTS:
        whole = component == "generator"
        modes = (LIGHTWEIGHT,) if whole and light else ()
        honoured = (*narrow, *settings, *(("model_size",) if whole else ()), *(("mode",) if modes else ()))
        variants = (*(precision_variant(component, precision) for precision in precisions), *modes)
        load_ = partial(own, component=component)
        found.append(Implementation(component, name, role, load_, settings=honoured, variants=variants, **options))
    return found
