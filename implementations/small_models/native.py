"""The native engine: the whole chain in one call, weights streamed once from one arena (engine/kernel.cpp says how)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations.small_models.checkpoints import Served
from implementations.small_models.models import Model
from implementations.small_models.packed import Pieces, pack
from implementations.small_models.realtime import NATIVE
from implementations.small_models.realtime.engine import realtime
from implementations.small_models.serving import Compute, implementations
from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    from harness.settings import Settings

FRAMES_PER_PASS = 128
"""Where many frames come at once: the weights of a layer are read once for these."""

MOST_THREADS = 64

HEADER = Path(__file__).parent / "engine" / "small_models.h"
EXAMPLE = HEADER.with_name("example.c")


class Engine:
    """Models of one packed file on one dispatch level, with their state.

    precision: of the weights: "float32", "int24" (a scale per row: as exact, in three bytes), "bfloat16", "float16" or "int8" (a scale per
    row; inputs of each layer in 8 bits too, with a range of their own per frame). Sums, biases, activations and state are float32 at
    every precision (sums of int8 are exact).
    stateful: LSTMs go on from the last frame; otherwise each frame is one step from the zero state, for which recurrent weights and
    forget gates are not even loaded. level: "avx512_vnni", ..., "baseline", the fastest by default. batch: frames per pass.
    threads: share the frames of a pass, and the steps of a sequence within it; a single frame is computed by the caller's alone.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        weights: Mapping[str, Weights],
        *,
        precision: str = "float32",
        stateful: bool = False,
        level: str = "auto",
        batch: int = 1,
        threads: int = 1,
        wiring: Mapping[str, Pieces] | None = None,
    ) -> None:
        packed = pack(models, weights, precision=precision, stateful=stateful, wiring=wiring)
        native = import_module("implementations.small_models._native")
        self._native: Any = native.Engine(packed, stateful=stateful, batch=batch, threads=threads, level=level)
        self._run = self._native.run
        self.features, self.outputs = self._native.features, self._native.outputs
        stops = np.cumsum([model.outputs for model in models.values()]).tolist()
        self.slices = {name: slice(stop - model.outputs, stop) for (name, model), stop in zip(models.items(), stops, strict=True)}
        """Where the outputs of each model lie in a row of `run`."""
        self.precision, self.stateful, self.level, self.batch = precision, stateful, self._native.level, batch

    def run(self, features: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """(frames, outputs) float32 of features (frames, inputs) float32, C-contiguous; in `out` where it is given.

        ValueError, TypeError: other shapes or dtypes; features that are not finite, which leave outputs and state as they were.
        """
        if out is None:
            out = np.empty((len(features), self.outputs), np.float32)
        self._run(features, out)
        return out

    def reset(self) -> None:
        """All state to zero."""
        self._native.reset()

    def read(self, passes: int) -> None:
        """Read what so many passes read, and compute nothing: the least time that they can take."""
        self._native.read(passes)

    def enable(self, model: str, on: bool = True) -> None:
        """Switch a model on or off: off, its outputs are zeros, also for the models it feeds, and its state is kept."""
        self._native.enable(list(self.slices).index(model), on)

    @property
    def arena_bytes(self) -> int:
        """Size of the one allocation: weights, state and scratch."""
        return int(self._native.arena_bytes)

    @property
    def weight_bytes(self) -> int:
        """What one pass reads of it: weights, scales and biases."""
        return int(self._native.weight_bytes)


def save(path: str | Path, models: Mapping[str, Model], weights: Mapping[str, Weights], **options: Any) -> None:
    """Write a packed file for the C interface; options: precision, stateful and wiring, as of `pack`."""
    Path(path).write_bytes(pack(models, weights, **options))


def library() -> Path:
    """The shared library with the C interface of engine/small_models.h; it needs no Python."""
    folder = Path(str(import_module("implementations.small_models._native").__file__)).parent
    return next(folder.glob("libsmall_models.*"))


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings) -> Iterator[tuple[Compute, int]]:
    """Engines for both modes, for single frames and for many; the weights are those of a single frame without state."""
    models = {name: model for name, (model, _) in served.items()}
    weights = {name: weights for name, (_, weights) in served.items()}
    batches = (1, min(settings.batch or FRAMES_PER_PASS, 4096))
    precision, threads = settings.precision or "float32", min(settings.threads or 1, MOST_THREADS)
    engines = {
        (stateful, many): Engine(models, weights, precision=precision, stateful=stateful, batch=batches[many], threads=threads)
        for stateful in (False, True)
        for many in (False, True)
    }

    def compute(features: np.ndarray, stateful: bool) -> Mapping[str, np.ndarray]:
        engine = engines[stateful, len(features) > 1]
        if stateful:
            engine.reset()
        output = engine.run(features)
        return {name: output[:, place] for name, place in engine.slices.items()}

    yield compute, engines[False, False].weight_bytes


EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN = implementations(
    "native",
    "optimized",
    _open,
    precisions=("int24", "bfloat16", "float16", "int8"),
    settings=("batch", "threads"),
    requires=Requires(native="implementations.small_models._native", realtime=NATIVE),
    description="C++ with packed weights in one arena, the chain in one call, run-time dispatch",
)
CHAIN = replace(CHAIN, realtime=realtime)
