"""From one way to compute the models to its six Implementations: the weights, the checks and the batches are the same for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Loaded, Outputs, Role
from implementations.small_models import checkpoints
from implementations.small_models.checkpoints import Served
from implementations.small_models.component import COMPONENTS, PIPELINE, check_inputs, output_names, precision_variant, size_variant
from implementations.small_models.models import Array, chain

if TYPE_CHECKING:
    from harness.settings import Settings

Compute = Callable[[np.ndarray, bool], Mapping[str, np.ndarray]]
"""(features (frames, inputs), stateful) -> output (frames, outputs) float32 by model, of one model or of the chain."""

Open = Callable[[Mapping[str, Served], "Settings"], AbstractContextManager[tuple[Compute, int]]]
"""One model, or all five for their chain, ready to compute until the context is left; and the bytes that its weights take."""


Stage = Callable[[Array, bool], Array]
"""(features (frames, inputs), stateful) -> (frames, outputs): one model, in the arrays of any library."""


def outputs_of(
    features: Array, stateful: bool, stages: Mapping[str, Stage], join: Callable[[Array, Array], Array] | None = None
) -> Mapping[str, Array]:
    """Output by model: of the chain where all five have a stage, else of the only one. join: as of `chain`."""
    if len(stages) == 1:
        return {name: stage(features, stateful) for name, stage in stages.items()}
    return chain(features, {name: partial(_step, stage, stateful) for name, stage in stages.items()}, join)


def _step(stage: Stage, stateful: bool, features: Array) -> Array:
    return stage(features, stateful)


@contextmanager
def load(
    settings: Settings, *, component: str, name: str, open_: Open, precisions: tuple[str, ...], weights: Mapping[str, Served] | None = None
) -> Iterator[Loaded]:
    """Gives `run` on the shipped weights of the size that is set, or on these.

    batch: frames per call of the kernel where frames are independent; all at once by default.
    """
    if settings.precision not in (None, *precisions):
        raise ValueError(f"{component}.{name}: precision: expected {' or '.join(precisions)}, found {settings.precision!r}")
    found = checkpoints.shipped(settings.model_size or "large") if weights is None else weights
    served = {model: found[model] for model in output_names(component)}
    columns = next(iter(served.values()))[0].inputs
    with open_(served, settings) as (compute, size):
        yield Loaded(partial(_run, compute, output_names(component), columns, settings.batch), size)


def _run(compute: Compute, names: Mapping[str, str], columns: int, batch: int | None, inputs: Inputs) -> Outputs:
    features, stateful = check_inputs(inputs, columns)
    if batch is None or stateful or len(features) <= batch:
        return {names[model]: output for model, output in compute(features, stateful).items()}
    parts = [compute(features[first : first + batch], False) for first in range(0, len(features), batch)]
    return {output: np.concatenate([part[model] for part in parts]) for model, output in names.items()}


def implementations(
    name: str,
    role: Role,
    open_: Open,
    *,
    precisions: tuple[str, ...] = (),
    settings: tuple[str, ...] = ("batch",),
    sizes: tuple[str, ...] = (),
    **options: Any,
) -> list[Implementation]:
    """One Implementation of each component, in the order of `COMPONENTS`.

    precisions: those it has beside float32; each is a row of its own. sizes: so is the chain of each of these; all serve every size.
    """
    honoured = ("model_size", *(("precision",) if precisions else ()), *settings)
    return [
        Implementation(
            component=component,
            name=name,
            role=role,
            load=partial(load, component=component, name=name, open_=open_, precisions=("float32", *precisions)),
            settings=honoured,
            variants=(
                *(precision_variant(component, precision) for precision in precisions),
                *(size_variant(component, size) for size in sizes if component == PIPELINE),
            ),
            **options,
        )
        for component in COMPONENTS
    ]
