"""The reference: upstream's algorithm in float32, and in bfloat16 as upstream runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.generator.flavours import Flavour
from implementations.generator.generation import Model
from implementations.generator.serving import implementations

if TYPE_CHECKING:
    from harness.settings import Settings


def open_model(flavour: Flavour, settings: Settings) -> Model:
    """heartmula.py with the weights of the flavour."""
    import torch

    from implementations.generator.checkpoints import model_of, weights_of

    dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    return model_of(flavour, weights_of(flavour, dtype))


GENERATOR, BACKBONE, DEPTH = implementations(
    "reference",
    "reference",
    open_model,
    precisions=("bfloat16",),
    light=True,
    settings=("threads", "affinity"),
    requires=Requires(packages=("torch",)),
    description="upstream's algorithm in plain torch; bfloat16: as upstream runs it, under autocast",
)
