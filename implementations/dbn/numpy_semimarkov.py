"""The DBN as an explicit-duration problem, in NumPy, bit-equal to the reference.

Inside a beat a state only advances, so a whole beat interval can be scored when it is entered: the entry's score plus the
interval's densities, which are known in advance, added one by one in the reference's order. The only choice left is the source
tempo at a beat entry. No interval is shorter than the shortest one, so that many entry times do not depend on each other and
share each NumPy call, as do bar lengths with equal tempi. No back-pointers: the few choices on the path are made again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Implementation, Run
from implementations.dbn.model import BEAT, DOWNBEAT, NO_BEAT, BarModel
from implementations.dbn.reference import track

if TYPE_CHECKING:
    from harness.settings import Settings


@dataclass(frozen=True, eq=False)
class _Beats:
    """The beats of models that share tempi and transitions, side by side: arrays end in (..., tempi, beats of all models).

    starts: each model's first beat. before: the beat that leads into each. classes: what its first states observe.
    near: for each tempo, the tempi that it can come from.
    """

    models: tuple[BarModel, ...]
    starts: tuple[int, ...]
    intervals: np.ndarray
    log_transitions: np.ndarray
    near: tuple[slice, ...]
    log_initial: np.ndarray
    heads: np.ndarray
    before: np.ndarray
    classes: np.ndarray


def decode(densities: np.ndarray, models: Sequence[BarModel]) -> list[tuple[np.ndarray, float]]:
    """Each model's most probable path (frames,) uint32 and its log-probability; an empty path if that is -inf."""
    groups: dict[bytes, list[int]] = {}
    for number, model in enumerate(models):
        groups.setdefault(model.intervals.tobytes() + model.log_transitions.tobytes(), []).append(number)
    found: dict[int, tuple[np.ndarray, float]] = {}
    for numbers in groups.values():
        found.update(zip(numbers, _decode_together(densities, [models[number] for number in numbers]), strict=True))
    return [found[number] for number in range(len(models))]


def _decode_together(densities: np.ndarray, models: Sequence[BarModel]) -> list[tuple[np.ndarray, float]]:
    beats = _side_by_side(models)
    shortest, longest = int(beats.intervals[0]), int(beats.intervals[-1])
    # Times count from `longest` frames before the first, where densities are 0: the uniform start is entries at those times.
    begin, end = longest, longest + len(densities)
    padded = np.zeros((end + longest + shortest, 3))
    padded[begin:end] = densities

    start = np.broadcast_to(beats.log_initial, (longest, *beats.heads.shape))
    left = np.empty((end + shortest, *beats.heads.shape))  # score in its last state of the interval entered at a time
    left[:begin] = _whole_intervals(start, padded[: begin + longest], beats)
    entered = deque([start], maxlen=2 + longest // shortest)
    for time in range(begin, end, shortest):
        entry = _entries(left, time, padded[time : time + shortest], beats)
        entered.append(entry)
        left[time : time + shortest] = _whole_intervals(entry, padded[time : time + shortest + longest], beats)

    blocks_end = begin + -(-len(densities) // shortest) * shortest
    latest = np.concatenate(entered)[: end - blocks_end or None][-longest:]
    final = _at_the_end(latest, padded[end - longest : end], beats)
    return [_path(member, final, left, padded[:end], beats) for member in range(len(models))]


def _side_by_side(models: Sequence[BarModel]) -> _Beats:
    possible = [np.flatnonzero(costs > -np.inf) for costs in models[0].log_transitions.T]
    starts = tuple(sum(earlier.beats for earlier in models[:member]) for member in range(len(models)))
    return _Beats(
        models=tuple(models),
        starts=starts,
        intervals=models[0].intervals,
        log_transitions=models[0].log_transitions,
        near=tuple(slice(int(sources[0]), int(sources[-1]) + 1) for sources in possible),
        log_initial=np.concatenate([np.full(model.beats, model.log_initial) for model in models]),
        heads=np.concatenate([model.heads for model in models]).T,
        before=np.concatenate([start + np.roll(np.arange(model.beats), 1) for start, model in zip(starts, models, strict=True)]),
        classes=np.concatenate([[DOWNBEAT] + [BEAT] * (model.beats - 1) for model in models]),
    )


def _entries(left: np.ndarray, time: int, densities: np.ndarray, beats: _Beats) -> np.ndarray:
    """Score of entering each beat and tempo at `time` and the following times: (times, tempi, beats)."""
    times, (tempi, columns) = np.arange(time, time + len(densities)), beats.heads.shape
    leaving = left[times - beats.intervals[:, None], np.arange(tempi)[:, None]].reshape(tempi, -1)
    best = np.empty((tempi, len(times), columns))
    for tempo, near in enumerate(beats.near):
        np.maximum.reduce(leaving[near] + beats.log_transitions[near, tempo, None], axis=0, out=best[tempo].reshape(-1))
    entries: np.ndarray = best.transpose(1, 0, 2)[:, :, beats.before] + densities[:, None, beats.classes]
    return entries


def _whole_intervals(entries: np.ndarray, densities: np.ndarray, beats: _Beats) -> np.ndarray:
    """Score in the last state of the interval entered at each time: (times, tempi, beats).

    densities: from the first entry's time to the end of the longest interval entered last.
    """
    times, columns = len(entries), len(beats.before)
    score = entries.reshape(times, -1).copy()
    none = np.ascontiguousarray(densities[:, NO_BEAT, None])
    longer = np.searchsorted(beats.intervals, np.arange(beats.intervals[-1]), side="right") * columns
    most_heads = int(beats.heads.max())
    for age in range(1, int(beats.intervals[-1])):
        running = score[:, longer[age] :]
        if age < most_heads:
            observed = np.where(beats.heads > age, beats.classes, NO_BEAT).ravel()[longer[age] :]
            running += densities[age : age + times].take(observed, axis=1)
        else:
            running += none[age : age + times]
    return score.reshape(entries.shape)


def _at_the_end(latest: np.ndarray, densities: np.ndarray, beats: _Beats) -> np.ndarray:
    """Score in the last frame of what was entered 0, 1, ... frames before: (longest interval, tempi, beats)."""
    score = latest.copy()
    for age in range(1, len(score)):
        observed = np.where(beats.heads > age, beats.classes, NO_BEAT)
        score[: len(score) - age] += densities[age:, observed]
    return score[::-1]


def _path(member: int, final: np.ndarray, left: np.ndarray, densities: np.ndarray, beats: _Beats) -> tuple[np.ndarray, float]:
    """The path of one of the models, from its best last state back to the first frame."""
    model, start = beats.models[member], beats.starts[member]
    ages = np.arange(model.states) - np.repeat(model.first.ravel(), np.tile(model.intervals, model.beats))
    beat, tempo = np.divmod(np.repeat(np.arange(model.first.size), np.tile(model.intervals, model.beats)), len(model.intervals))
    score = final[ages, tempo, start + beat]
    state = int(np.argmax(score))
    if np.isinf(score[state]):
        return np.empty(0, np.uint32), float(score[state])

    begin, end = int(model.intervals[-1]), len(densities)
    path = np.empty(end, np.uint32)
    at_beat, at_tempo, time = int(beat[state]), int(tempo[state]), end - 1 - int(ages[state])
    path[max(time, 0) : end] = model.first[at_beat, at_tempo] + np.arange(max(time, 0) - time, end - time)
    while time > begin:
        column = start + at_beat
        leaving = left[time - model.intervals, np.arange(len(model.intervals)), beats.before[column]]
        candidates = leaving + model.log_transitions[:, at_tempo] + densities[time, beats.classes[column]]
        at_tempo, at_beat = int(np.argmax(candidates)), (at_beat - 1) % model.beats  # the first of equals
        end, time = time, time - int(model.intervals[at_tempo])
        path[time:end] = model.first[at_beat, at_tempo] + np.arange(end - time)
    return path[begin:], float(score[state])


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    yield lambda inputs: track(inputs, decode)


IMPLEMENTATION = Implementation(
    component="dbn",
    name="numpy_semimarkov",
    role="optimized",
    load=load,
    clock="cpu",
    description="explicit-duration Viterbi, many entry times in each NumPy call",
)
