"""The peer: madmom itself, with its own state spaces, compiled Viterbi and beat picking."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._madmom import madmom_module
from implementations.dbn.model import Parameters, check_activations, check_parameters

if TYPE_CHECKING:
    from harness.settings import Settings


@dataclass
class _Listener:
    """Stands where madmom's processor keeps its `map`: runs the decoding of each bar length and keeps what it found."""

    decoded: list[tuple[np.ndarray, float]] = field(default_factory=list)

    def __call__(self, decode: Callable[[Any], tuple[np.ndarray, float]], tasks: Iterable[Any]) -> list[tuple[np.ndarray, float]]:
        self.decoded = [decode(task) for task in tasks]
        return self.decoded


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    downbeats = madmom_module("madmom.features.downbeats")

    @lru_cache(maxsize=16)
    def processor(p: Parameters) -> tuple[Any, _Listener]:
        listener = _Listener()
        made = downbeats.DBNDownBeatTrackingProcessor(
            beats_per_bar=list(p.beats_per_bar),
            min_bpm=list(p.min_bpm),
            max_bpm=list(p.max_bpm),
            num_tempi=list(p.num_tempi),
            transition_lambda=list(p.transition_lambda),
            observation_lambda=p.observation_lambda,
            threshold=p.threshold,
            correct=p.correct,
            fps=p.fps,
        )
        made.map = listener
        return made, listener

    def run(inputs: Inputs) -> Outputs:
        p = check_parameters(**{name: value for name, value in inputs.items() if name != "activations"})
        made, listener = processor(p)
        listener.decoded = []
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # it warns of log-probabilities of -inf
            beats = made.process(check_activations(inputs["activations"]))
        decoded = listener.decoded or [(np.empty(0), -np.inf)] * len(p.beats_per_bar)
        log_probability = np.array([log_probability for _, log_probability in decoded], np.float64)
        path = decoded[int(np.argmax(log_probability))][0]
        return {
            "beats": np.ascontiguousarray(beats, np.float64),
            "path": np.asarray(path, np.uint32),
            "log_probability": log_probability,
        }

    yield run


MADMOM = Implementation(
    component="dbn",
    name="madmom",
    role="peer",
    load=load,
    requires=Requires(packages=("madmom",)),
    clock="cpu",
    description="madmom's DBNDownBeatTrackingProcessor",
)
