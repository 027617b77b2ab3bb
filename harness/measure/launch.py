"""One launch of one case: a fresh process for each row, parity first, then rounds in which the rows take turns."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence

import psutil

from harness.measure import slow, suspects
from harness.measure.calibration import Calibration
from harness.measure.calls import first_chunks, single_calls
from harness.measure.cpus import share_a_cpu
from harness.measure.effort import Budget, Effort
from harness.measure.lane import Lane, ask_together, judge_inputs, judge_outputs
from harness.measure.process import WorkerProcess
from harness.measure.rounds import rounds
from harness.record import Outcome

READY_SECONDS = 0.5


def measure(
    lanes: Sequence[Lane],
    launch: int,
    *,
    seeds: Sequence[int],
    budget: Callable[[], Budget],
    effort: Effort,
    calibration: Calibration,
    rng: random.Random,
    timed: bool = True,
) -> None:
    """Fill the lanes and end them. `budget()` is asked when parity is done.

    timed: False stops after parity, on every seed. Interrupted, lanes keep what they have; the caller kills their processes.
    """
    _start(lanes, seeds, rng)
    for lane in rng.sample(_active(lanes), len(_active(lanes))):
        with lane.attempt():
            _first_call(lane, seeds[launch % len(seeds)])
    for lane in _active(lanes):
        with lane.attempt():
            if lane.seconds <= effort.quick_seconds or not timed:
                _warm(lane, seeds)
    slow_ones = [(lane, reason) for lane in _active(lanes) if timed and (reason := slow.reason(lane.seconds, effort))]
    for lane, reason in slow_ones:
        lane.notes.append(reason)
    _finish([lane for lane, _ in slow_ones] if timed else _active(lanes), fresh=False)
    if not _active(lanes):
        return
    seconds = budget()
    rounds(_active(lanes), seconds.rounds, effort, calibration, rng)
    single_calls(_active(lanes), seconds.calls, effort, rng)
    if effort.alike:
        share_a_cpu(lanes, None)
    first_chunks(_active(lanes), effort.first_chunk_seconds, rng)
    fresh = launch == 0 and len(seeds) > 1
    if fresh:
        suspects.surprise(_active(lanes))
    _finish(_active(lanes), fresh=fresh)


def _active(lanes: Sequence[Lane]) -> list[Lane]:
    return [lane for lane in lanes if not lane.done]


def _start(lanes: Sequence[Lane], seeds: Sequence[int], rng: random.Random) -> None:
    """Start every process; interpreters get ready side by side, for nothing is timed yet."""
    for lane in lanes:
        target = lane.target
        if isinstance(target.expected, Outcome):
            lane.end(target.expected)
            continue
        lane.worker = lane.worker or WorkerProcess(target.name, target.environment, paths=target.paths, python=target.python)
    for lane in _active(lanes):
        with lane.attempt():
            assert lane.worker is not None
            inputs = {str(seed): lane.target.workload.inputs(seed) for seed in seeds}
            lane.worker.tell("prepare", inputs=inputs, seed=rng.randrange(1 << 62))
    for lane in _active(lanes):
        with lane.attempt():
            assert lane.worker is not None
            lane.worker.answer()


def _first_call(lane: Lane, seed: int) -> None:
    """Load and first call, alone on the machine; then the first answer to "is it the same?"."""
    planned = lane.target.planned
    if lane.fresh:
        lane.loaded = lane.ask(
            "load",
            implementation=lane.target.implementation_value,
            settings=dict(planned.settings),
            affinity=list(lane.target.affinity) or None,
            memory_limit=lane.target.memory_limit,
            slowdown=dict(lane.target.slowdown),
        )
    lane.first = lane.ask("cold", seed=seed)
    lane.seconds = lane.first["wall_ns"] / 1e9
    outputs = lane.first.pop("outputs")
    judge_outputs(lane, seed, outputs, "the first call")
    judge_inputs(lane, lane.first)
    if not lane.done:
        lane.produced = lane.target.workload.produced(seed, outputs)
        unit, rows = lane.target.component.unit.audio_seconds, max(next(iter(array.shape), 0) for array in outputs.values())
        lane.row_seconds = lane.produced * unit / rows if unit is not None and rows else None


def _warm(lane: Lane, seeds: Sequence[int]) -> None:
    """Warm calls on all seeds, their outputs held together and compared."""
    answer = lane.ask("outputs", seeds=list(seeds))
    lane.seconds = min(answer["wall_ns"]) / 1e9
    for seed, outputs in zip(seeds, answer["outputs"], strict=True):
        if not lane.done:
            judge_outputs(lane, seed, outputs, "a warm call")
    judge_inputs(lane, answer)


def _finish(lanes: Sequence[Lane], *, fresh: bool) -> None:
    """The last checks: clocks that agree, inputs unchanged, nothing replayed; then what really ran."""
    for lane in lanes:
        with lane.attempt():
            _last_checks(lane, fresh=fresh)
    for lane, state in ask_together([lane for lane in lanes if not lane.done], "state"):
        lane.state = state
        ready = lane.loaded["wall_ns"] / 1e9 + (lane.first["wall_ns"] / 1e9 - lane.seconds if lane.fresh else 0.0)
        lane.end(leave=lane.more and (ready > READY_SECONDS or not lane.fresh))


def _last_checks(lane: Lane, *, fresh: bool) -> None:
    if lane.blocks:
        if contradiction := lane.witness.contradiction():
            raise lane.distrust(contradiction)
        judge_inputs(lane, lane.ask("check", inputs=True))
        _children(lane)
    if not lane.done and (reason := suspects.reason(lane, fresh=fresh)):
        raise lane.distrust(reason)


def _children(lane: Lane) -> None:
    """Work in child processes cannot be judged on a CPU clock that does not see it."""
    assert lane.worker is not None
    with contextlib.suppress(psutil.Error):
        if lane.clock == "cpu" and (children := psutil.Process(lane.worker.pid).children()):
            lane.clock = "wall"
            lane.notes.append(f"{len(children)} child processes work for it, which its CPU clock does not see: judged on wall time")
