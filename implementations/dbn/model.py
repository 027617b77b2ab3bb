"""The bar model: which states there are, how they follow each other, and what they say about an activation.

A bar of `beats` beats is, for each beat and each tempo, a chain of `interval` states of one frame each. A state is followed by
the next one of its chain; the last state of a chain is followed by the first states of the next beat, any tempo, at a cost
exponential in the tempo change. States are numbered by beat, then tempo (ascending interval), then position.
Source: Krebs, Boeck, Widmer, ISMIR 2015 and 2016, as madmom builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np

NO_BEAT, BEAT, DOWNBEAT = 0, 1, 2
"""Columns of the densities, and the classes of states."""


@dataclass(frozen=True)
class Parameters:
    """Checked parameters of one processor; what can differ by bar length is a tuple in the order of `beats_per_bar`.

    fps: frames per second. min_bpm, max_bpm: beats per minute. num_tempi: None models every interval of whole frames.
    transition_lambda: None allows no tempo change. threshold: 0 keeps every frame.
    """

    fps: float
    beats_per_bar: tuple[int, ...]
    min_bpm: tuple[float, ...]
    max_bpm: tuple[float, ...]
    num_tempi: tuple[int | None, ...]
    transition_lambda: tuple[float | None, ...]
    observation_lambda: float
    threshold: float
    correct: bool


@dataclass(frozen=True, eq=False)
class BarModel:
    """States, transitions and observation classes of one bar length.

    intervals: (tempi,) int64 frames, ascending. first, last: (beats, tempi) int64, the end states of each chain.
    positions: (states,) float64 in beats from the bar's start. state_intervals: (states,) int64.
    pointers: (states,) uint32, the column of the densities that a state observes.
    heads: (beats, tempi) int64, how many states at a chain's start observe a beat (beat 0: a downbeat); the rest observe none.
    log_transitions: (tempi from, tempi to) float64, into any beat from the one before; -inf where there is none.
    log_initial: log-probability of each state before the first frame.
    """

    beats: int
    intervals: np.ndarray
    first: np.ndarray
    last: np.ndarray
    positions: np.ndarray
    state_intervals: np.ndarray
    pointers: np.ndarray
    heads: np.ndarray
    transitions: np.ndarray
    log_transitions: np.ndarray
    log_initial: float

    @property
    def states(self) -> int:
        return len(self.positions)


@lru_cache(maxsize=64)
def bar_model(
    beats: int,
    min_interval: float,
    max_interval: float,
    *,
    num_tempi: int | None,
    transition_lambda: float | None,
    observation_lambda: float,
) -> BarModel:
    """The model of a bar of `beats` beats whose length lies between the two intervals (frames, not rounded)."""
    intervals = beat_intervals(min_interval, max_interval, num_tempi)
    starts = np.concatenate([[0], np.cumsum(intervals)])
    first = starts[:-1] + starts[-1] * np.arange(beats)[:, None]
    within_beat = np.concatenate([np.linspace(0, 1, interval, endpoint=False) for interval in intervals])
    positions = np.concatenate([within_beat + beat for beat in range(beats)])

    border = 1.0 / observation_lambda
    pointers = np.zeros(len(positions), np.uint32)
    pointers[positions % 1 < border] = BEAT
    pointers[positions < border] = DOWNBEAT
    heads = np.add.reduceat(pointers != NO_BEAT, first.ravel(), dtype=np.int64).reshape(first.shape)

    transitions = tempo_transitions(intervals, transition_lambda)
    with np.errstate(divide="ignore"):
        log_transitions = np.log(transitions)
    model = BarModel(
        beats=beats,
        intervals=intervals,
        first=first,
        last=first + intervals - 1,
        positions=positions,
        state_intervals=np.tile(np.repeat(intervals, intervals), beats),
        pointers=pointers,
        heads=heads,
        transitions=transitions,
        log_transitions=log_transitions,
        log_initial=float(np.log(np.ones(1) / len(positions))[0]),
    )
    for array in vars(model).values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False  # the model is shared by every later call
    return model


def bar_models(parameters: Parameters) -> tuple[BarModel, ...]:
    """The model of each bar length, in the order of `beats_per_bar`; cached."""
    p = parameters
    return tuple(
        bar_model(
            beats,
            60.0 * p.fps / high,
            60.0 * p.fps / low,
            num_tempi=tempi,
            transition_lambda=change,
            observation_lambda=p.observation_lambda,
        )
        for beats, low, high, tempi, change in zip(p.beats_per_bar, p.min_bpm, p.max_bpm, p.num_tempi, p.transition_lambda, strict=True)
    )


def beat_intervals(min_interval: float, max_interval: float, num_tempi: int | None = None) -> np.ndarray:
    """Modelled beat lengths: (tempi,) int64 frames, ascending; every whole number, or about `num_tempi` spaced by their logarithm."""
    every = np.arange(np.round(min_interval), np.round(max_interval) + 1)
    if num_tempi is None or num_tempi >= len(every):
        return every.astype(np.int64)
    intervals = np.empty(0)
    points = num_tempi
    while len(intervals) < num_tempi:  # rounding makes neighbours equal: more points until enough differ
        intervals = np.unique(np.round(np.logspace(np.log2(min_interval), np.log2(max_interval), points, base=2)))
        points += 1
    return intervals.astype(np.int64)


def tempo_transitions(intervals: np.ndarray, transition_lambda: float | None) -> np.ndarray:
    """Probability of each tempo after each tempo: (tempi from, tempi to) float64, rows sum to 1.

    What would be at most 2.2e-16 before normalisation is 0: no such transition exists.
    """
    if transition_lambda is None:
        return np.eye(len(intervals))
    ratio = intervals.astype(np.float64) / intervals.astype(np.float64)[:, None]
    probability = np.exp(-transition_lambda * abs(ratio - 1.0))
    probability[probability <= np.spacing(1)] = 0
    probability /= np.sum(probability, axis=1)[:, None]
    return probability


def sparse_transitions(model: BarModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All transitions by target state: (previous states uint32, pointers uint32, probabilities float64).

    Those into state s are at pointers[s]:pointers[s + 1], previous states ascending.
    """
    every = np.arange(model.states)
    inside = np.setdiff1d(every, model.first)
    source, target = np.nonzero(model.transitions)
    states = np.concatenate([inside, *(model.first[beat][target] for beat in range(model.beats))])
    previous = np.concatenate([inside - 1, *(model.last[beat - 1][source] for beat in range(model.beats))])
    probabilities = np.concatenate([np.ones(len(inside)), *[model.transitions[source, target]] * model.beats])
    order = np.lexsort((previous, states))
    pointers = np.searchsorted(states[order], np.arange(model.states + 1))
    return previous[order].astype(np.uint32), pointers.astype(np.uint32), probabilities[order]


def log_densities(activations: np.ndarray, observation_lambda: float) -> np.ndarray:
    """Log density of [no beat, beat, downbeat] in each frame: (frames, 3) float64 from (frames, 2) activations.

    Computed in the activations' own precision; what has no logarithm is -inf.
    """
    densities = np.empty((len(activations), 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        densities[:, NO_BEAT] = np.log((1.0 - (activations[:, 0] + activations[:, 1])) / (observation_lambda - 1))
        densities[:, BEAT] = np.log(activations[:, 0])
        densities[:, DOWNBEAT] = np.log(activations[:, 1])
    densities[np.isnan(densities)] = -np.inf  # a negative probability: the state is impossible, as in madmom
    return densities


def check_activations(activations: Any) -> np.ndarray:
    """Activations as an array; ValueError unless they are (frames, 2), float32 or float64, and finite."""
    array = np.asarray(activations)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"activations: expected shape (frames, 2) = [beat, downbeat], found {array.shape}")
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"activations: expected float32 or float64, found {array.dtype}; convert with .astype(np.float32)")
    if not np.isfinite(array).all():
        frame, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"activations: expected finite values, found {array[frame, column]} at frame {frame}, column {column}")
    return array


def check_parameters(
    *,
    fps: Any,
    beats_per_bar: Any,
    min_bpm: Any = 55.0,
    max_bpm: Any = 215.0,
    num_tempi: Any = 60,
    transition_lambda: Any = 100.0,
    observation_lambda: Any = 16,
    threshold: Any = 0.05,
    correct: Any = True,
) -> Parameters:
    """Processor parameters, checked; one value or one per bar length where Parameters has a tuple. ValueError says what is wrong."""
    bars = tuple(int(_number("beats_per_bar", b, 1, Integral)) for b in _sequence(beats_per_bar))
    if not bars:
        raise ValueError("beats_per_bar: expected at least one bar length, found none")

    def per_bar(name: str, value: Any) -> list[Any]:
        values = _sequence(value)
        if len(values) not in (1, len(bars)):
            raise ValueError(f"{name}: expected one value or one for each of the {len(bars)} bar lengths, found {len(values)}")
        return list(values) * (len(bars) if len(values) == 1 else 1)

    p = Parameters(
        fps=_number("fps", fps, np.nextafter(0, 1)),
        beats_per_bar=bars,
        min_bpm=tuple(_number("min_bpm", v, np.nextafter(0, 1)) for v in per_bar("min_bpm", min_bpm)),
        max_bpm=tuple(_number("max_bpm", v, np.nextafter(0, 1)) for v in per_bar("max_bpm", max_bpm)),
        num_tempi=tuple(None if v is None else int(_number("num_tempi", v, 1, Integral)) for v in per_bar("num_tempi", num_tempi)),
        transition_lambda=tuple(
            None if v is None else _number("transition_lambda", v, 0) for v in per_bar("transition_lambda", transition_lambda)
        ),
        observation_lambda=_number("observation_lambda", observation_lambda, np.nextafter(1, 2)),
        threshold=0.0 if threshold is None else _number("threshold", threshold, -np.inf),
        correct=bool(correct),
    )
    for low, high in zip(p.min_bpm, p.max_bpm, strict=True):
        if low > high:
            raise ValueError(f"min_bpm, max_bpm: expected min_bpm <= max_bpm, found {low:g} > {high:g}")
        if np.round(60.0 * p.fps / high) < 1:
            raise ValueError(f"max_bpm: expected beats of at least one frame at {p.fps:g} frames per second, found {high:g} bpm")
    return p


def _sequence(value: Any) -> Sequence[Any]:
    if isinstance(value, np.ndarray):
        return list(np.atleast_1d(value))
    return value if isinstance(value, (list, tuple)) else [value]


def _number(name: str, value: Any, least: float, kind: type = Real) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, kind) or not isfinite(value) or value < least:  # type: ignore[arg-type,operator]
        what = "a whole number" if kind is Integral else "a number"
        bound = "" if least == -np.inf else " above 0" if 0 < least < 1 else " above 1" if 1 < least < 2 else f" of at least {least:g}"
        raise ValueError(f"{name}: expected {what}{bound}, found {value!r}")
    return float(value)  # type: ignore[arg-type]
