"""Five small real-time models for music, each alone or as a chain: `music_models` is the way in."""

from __future__ import annotations

import atexit
import importlib
from contextlib import ExitStack
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation
from implementations._backends import Backends

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.component import Inputs, Outputs

FASTEST_FIRST = ("native", "numpy_packed", "reference")
"""What "auto" tries: frameworks take longer for a frame than any of these."""

_MODULES = {
    "native": "native",
    "numpy_packed": "numpy_packed",
    "torch_eager": "torch_eager",
    "mlx_graph": "mlx_graph",
    "onnxruntime": "onnxruntime_peer",
    "reference": "reference",
}


def music_models(
    features: np.ndarray,
    *,
    model: str = "model_pipeline",
    stateful: bool = False,
    backend: str = "auto",
    precision: str | None = None,
    checkpoints: Path | str | None = None,
) -> Any:
    """The output (frames, outputs) float32 of a model; of "model_pipeline", the chain, one by the name of each of its five models.

    features: (frames, inputs) float32, finite, normally within [-1, 1.5]. The chain and "emotion_recognizer" take 128 audio features,
    "melody_transformer" and "groove_predictor" the emotion (64), "harmony_predictor" the emotion and the first 64 audio features,
    "dynamics_engine" the first 32 of the emotion.
    stateful: the frames are one sequence, whose state starts at zero; else each is on its own.
    backend: a name of `backends()`, or "auto": the first of `FASTEST_FIRST` that is there and gives, checked once per process, the
    reference's result on this machine. Only a missing one is passed over in silence: a wrong or broken one is warned about.
    precision: None is float32; "bfloat16", "float16" and "int8" where the backend has them.
    checkpoints: a file or folder of weights that take the place of the shipped ones, as `checkpoints.load` reads them.

    TypeError, ValueError: features, model or backend that cannot be; BadWeights (a ValueError): checkpoints that do not fit.
    RuntimeError: the backend named does not work here, and why.
    """
    from implementations.small_models.component import COMPONENTS

    if model not in COMPONENTS:
        raise ValueError(f"model: expected one of {', '.join(COMPONENTS)}, found {model!r}")
    run = _loaded(BACKENDS.chosen(backend), model, precision, None if checkpoints is None else str(checkpoints))
    outputs = run({"features": features, "stateful": stateful})
    return outputs if model == "model_pipeline" else outputs["output"]


def backends() -> dict[str, str | None]:
    """Every backend by name: None where it works and agrees with the reference here, else the reason. Imports all that are installed."""
    return BACKENDS.problems()


def _compare(name: str) -> str | None:
    """How a backend differs from the reference, in either mode."""
    from implementations.small_models.component import COMPONENTS, PIPELINE, exact_bound

    run, reference = (_loaded(one, PIPELINE, None, None) for one in (name, "reference"))
    for case in ("frame", "sequence-1s"):
        inputs = COMPONENTS[PIPELINE].case(case).make(1)
        found = run(inputs)
        for model, expected in reference(inputs).items():
            difference, allowed = float(np.abs(found[model] - expected).max()), exact_bound(PIPELINE, model)
            if not difference <= allowed:
                return f"{model} differs from the reference by {difference:.2g} on {case} (allowed {allowed:g})"
    return None


BACKENDS = Backends("small_models", tuple(_MODULES), FASTEST_FIRST, _compare)


@lru_cache(maxsize=64)
def _loaded(name: str, component: str, precision: str | None, checkpoints: str | None) -> Callable[[Inputs], Outputs]:
    from harness.settings import Settings
    from implementations.small_models.checkpoints import served

    load: Any = _implementation(name, component).load  # of `serving`, which takes weights as well
    stack = ExitStack()
    atexit.register(stack.close)
    weights = None if checkpoints is None else served(checkpoints)
    run: Callable[[Inputs], Outputs] = stack.enter_context(load(Settings(precision=precision), weights=weights))
    return run


def _implementation(name: str, component: str) -> Implementation:
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return next(item for item in vars(module).values() if isinstance(item, Implementation) and item.component == component)
