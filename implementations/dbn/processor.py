"""madmom's downbeat tracker for those who use it as a library: the same call, the fastest decoder there is."""

from __future__ import annotations

import contextlib
import importlib
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import cast

import numpy as np

from harness.component import Implementation, Inputs, Outputs
from harness.settings import Settings
from implementations._backends import Backends
from implementations.dbn.component import ALL_IN_ONE, network_output
from implementations.dbn.model import check_parameters
from implementations.dbn.preparation import combine_activations
from implementations.dbn.reference import decode, track

FASTEST_FIRST = ("native", "numpy_semimarkov", "reference")
"""What "auto" tries: it takes the first that works here and gives the reference's result."""


class DBNDownBeatTrackingProcessor:
    """Beats and downbeats from a network's activations, as madmom's class of this name finds them.

    The arguments are madmom's, and: backend, a name of `FASTEST_FIRST` or "auto"; threads, for the backends that have them.
    `threshold` and `correct` may be changed between calls.
    ValueError: an argument outside its range. RuntimeError: the backend named does not work here, and why.
    """

    def __init__(  # noqa: PLR0917 - madmom's order, which callers rely on
        self,
        beats_per_bar: int | Sequence[int],
        min_bpm: float | Sequence[float] = 55.0,
        max_bpm: float | Sequence[float] = 215.0,
        num_tempi: int | Sequence[int | None] | None = 60,
        transition_lambda: float | Sequence[float | None] | None = 100,
        observation_lambda: float = 16,
        threshold: float | None = 0.05,
        correct: bool = True,
        fps: float | None = None,
        *,
        backend: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._parameters = {
            "fps": fps,
            "beats_per_bar": beats_per_bar,
            "min_bpm": min_bpm,
            "max_bpm": max_bpm,
            "num_tempi": num_tempi,
            "transition_lambda": transition_lambda,
            "observation_lambda": observation_lambda,
        }
        self.threshold, self.correct = threshold, correct
        checked = check_parameters(**self._parameters, threshold=threshold, correct=correct)
        self.fps, self.beats_per_bar = checked.fps, np.array(checked.beats_per_bar)
        self.backend = BACKENDS.chosen(backend)
        stack = contextlib.ExitStack()
        weakref.finalize(self, stack.close)
        self._run = stack.enter_context(_loaded(self.backend, threads))

    def process(self, activations: np.ndarray) -> np.ndarray:
        """(n, 2) float64: each beat's time in seconds and its position in the bar, counted from 1.

        activations: (frames, 2) float32 or float64 = [beat that is no downbeat, downbeat], finite; ValueError if not.
        """
        outputs = self._run({**self._parameters, "activations": activations, "threshold": self.threshold, "correct": self.correct})
        return outputs["beats"]

    __call__ = process


def _compare(backend: str) -> str | None:
    """How a backend's result differs from the reference's on ten seconds of music."""
    inputs = {**ALL_IN_ONE, "activations": combine_activations(*network_output(10, 50, 1)), "fps": 50}
    with _loaded(backend, None) as run:
        found = run(inputs)
    expected = track(inputs, decode)
    wrong = [name for name in expected if not np.array_equal(found[name], expected[name])]
    return f"{' and '.join(wrong)} differ from the reference's" if wrong else None


BACKENDS = Backends("dbn", FASTEST_FIRST, FASTEST_FIRST, _compare)


def _loaded(backend: str, threads: int | None) -> AbstractContextManager[Callable[[Inputs], Outputs]]:
    implementation: Implementation = importlib.import_module(f"implementations.dbn.{backend}").IMPLEMENTATION
    settings = Settings(threads=threads).only(implementation.settings)
    return cast("AbstractContextManager[Callable[[Inputs], Outputs]]", implementation.load(settings))  # none of them yields chunks
