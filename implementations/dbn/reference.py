"""The reference: madmom's downbeat tracker in plain NumPy, frame by frame and state by state.

Bit-equal to madmom given equal densities: sums in its order, in float64, and of equally good predecessors the lowest state.
Source: CPJKU/madmom 0.17 (Boeck, Krebs, Widmer, ISMIR 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Run
from implementations.dbn.model import (
    BEAT,
    DOWNBEAT,
    NO_BEAT,
    BarModel,
    Parameters,
    bar_models,
    check_activations,
    check_parameters,
    log_densities,
)

if TYPE_CHECKING:
    from harness.settings import Settings

Decode = Callable[[np.ndarray, Sequence[BarModel]], Sequence[tuple[np.ndarray, float]]]
"""Densities (frames, 3) float64, at least one frame -> (state path uint32, log-probability) of each model.

Without any possible path: an empty path and -inf.
"""


def process(activations: np.ndarray, parameters: Parameters, decode: Decode) -> dict[str, np.ndarray]:
    """The whole tracker around a decoder.

    beats: (n, 2) float64, seconds and position in the bar from 1. path: (frames kept,) uint32, states of the best bar length.
    log_probability: (bar lengths,) float64; -inf, with an empty path, where nothing can be decoded.
    """
    kept, first_frame = above_threshold(activations, parameters.threshold)
    nothing: dict[str, np.ndarray] = {
        "beats": np.empty((0, 2)),
        "path": np.empty(0, np.uint32),
        "log_probability": np.full(len(parameters.beats_per_bar), -np.inf),
    }
    if not kept.any():
        return nothing
    models = bar_models(parameters)
    decoded = decode(log_densities(kept, parameters.observation_lambda), models)
    log_probability = np.array([log_probability for _, log_probability in decoded])
    best = int(np.argmax(log_probability))
    path, model = decoded[best][0], models[best]
    if not len(path):
        return nothing
    numbers = model.positions[path].astype(np.int64) + 1
    frames = strongest_frames(kept, model.pointers[path] != NO_BEAT) if parameters.correct else np.flatnonzero(np.diff(numbers)) + 1
    beats = np.column_stack([(frames + first_frame) / parameters.fps, numbers[frames]])
    return {"beats": beats, "path": path, "log_probability": log_probability}


def above_threshold(activations: np.ndarray, threshold: float) -> tuple[np.ndarray, int]:
    """The frames from the first to the last with an activation of at least `threshold`, and the first one's number.

    A threshold of 0 keeps all. As in madmom, nothing is left where frame 0 is the only such frame.
    """
    if not threshold:
        return activations, 0
    strong = np.flatnonzero((activations[:, 0] >= threshold) | (activations[:, 1] >= threshold))
    if not strong.any():
        return activations[:0], 0
    return activations[strong[0] : strong[-1] + 1], int(strong[0])


def strongest_frames(activations: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """For each run of True in `inside` the frame of its largest activation, the first of equals: (runs,) int64."""
    edges: np.ndarray = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    if not len(starts):
        return starts
    frames = np.flatnonzero(inside)
    strength = np.maximum(activations[frames, 0], activations[frames, 1])
    offsets = np.cumsum(lengths) - lengths
    largest = np.maximum.reduceat(strength, offsets)
    candidates = np.flatnonzero(strength == np.repeat(largest, lengths))
    first: np.ndarray = frames[candidates[np.searchsorted(candidates, offsets)]]
    return first


def viterbi(densities: np.ndarray, model: BarModel) -> tuple[np.ndarray, float]:
    """The most probable path (frames,) uint32 and its log-probability; an empty path if that is -inf.

    The transition is applied at the first frame too: before it, every state is equally likely.
    """
    before = np.roll(model.last, 1, axis=0)  # (beats, tempi): the states that can enter each beat
    into_beat = model.log_transitions.T  # (tempi to, tempi from)
    heads = np.array([DOWNBEAT] + [BEAT] * (model.beats - 1))
    came_from = np.empty((len(densities), *model.first.shape), np.uint32)

    score = np.full(model.states, model.log_initial)
    for frame, density in enumerate(densities):
        candidates = score[before][:, None, :] + into_beat + density[heads][:, None, None]  # (beats, tempi to, tempi from)
        best = candidates.argmax(axis=-1)  # the first of equals
        came_from[frame] = np.take_along_axis(before, best, axis=-1)
        score[1:] = score[:-1] + density[model.pointers[1:]]
        score[model.first] = np.take_along_axis(candidates, best[:, :, None], axis=-1)[:, :, 0]

    state = int(np.argmax(score))
    log_probability = float(score[state])
    if np.isinf(log_probability):
        return np.empty(0, np.uint32), log_probability
    entry = {int(first): place for place, first in np.ndenumerate(model.first)}
    path = np.empty(len(densities), np.uint32)
    for frame in range(len(densities) - 1, -1, -1):
        path[frame] = state
        state = int(came_from[frame][entry[state]]) if state in entry else state - 1
    return path, log_probability


def decode(densities: np.ndarray, models: Sequence[BarModel]) -> list[tuple[np.ndarray, float]]:
    """Each model's path, one model after the other."""
    return [viterbi(densities, model) for model in models]


def track(inputs: Inputs, decode: Decode) -> Outputs:
    """One call of the component with this decoder: inputs checked, then `process`."""
    parameters = check_parameters(**{name: value for name, value in inputs.items() if name != "activations"})
    return process(check_activations(inputs["activations"]), parameters, decode)


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    yield lambda inputs: track(inputs, decode)


IMPLEMENTATION = Implementation(
    component="dbn",
    name="reference",
    role="reference",
    load=load,
    clock="cpu",
    description="madmom's algorithm in plain NumPy, one step per frame over all states",
)
