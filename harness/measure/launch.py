"""One launch of one case: a fresh process for each row, parity first, then rounds in which the rows take turns."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import psutil

from harness.measure import slow, suspects
from harness.measure.calibration import Calibration
from harness.measure.effort import EXTENSION_SECONDS, Effort
from harness.measure.lane import Lane, ask_together, judge_inputs, judge_outputs
from harness.measure.process import WorkerProcess
from harness.record import Block, Outcome

SLOW_SECONDS = 1.0
READY_SECONDS = 0.5
LEAST_ROUNDS = 3
MOST_CALLS = 1000
SLICES = 4
MOST_CALLS_PER_BLOCK = 2000
SETTLED_BLOCKS, SETTLED_WITHIN = 5, 1.01
SAME_CPU_ROUNDS = 4
STEADY_SHARE, LEAST_LAPS = 0.9, 4
SLOWEST_COPY = 200e6  # bytes per second
HIDDEN_SHARE, HIDDEN_SECONDS = 0.1, 0.0002
FIRST_CHUNKS = 60
"""Of all launches of a row together: what a 95th percentile needs."""


def measure(
    lanes: Sequence[Lane],
    launch: int,
    *,
    seeds: Sequence[int],
    seconds: Callable[[], float],
    effort: Effort,
    calibration: Calibration,
    rng: random.Random,
    timed: bool = True,
) -> None:
    """Fill the lanes and end them. `seconds()` is asked when parity is done: how long rounds and single calls may take together.

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
    budget = seconds()
    _rounds(_active(lanes), 0.6 * budget, effort, calibration, rng)
    _single_calls(_active(lanes), 0.3 * budget, rng)
    _first_chunks(_active(lanes), effort.first_chunk_seconds, rng)
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


def _rounds(lanes: Sequence[Lane], budget: float, effort: Effort, calibration: Calibration, rng: random.Random) -> None:
    """Rounds of one block per lane in random order. Slow lanes sit out some rounds, the same ones, so that they stay paired."""
    speeds: list[float] = []  # of the calibration kernel around each round
    cpus = rng.sample(_cpus(), min(2, len(_cpus())))
    started = time.monotonic()
    before = calibration()
    while active := _active(lanes):
        # Anew for each round: what was slow in its first call need not be slow in its second.
        number, (total, strides) = len(speeds), _schedule([lane.seconds for lane in active], budget, effort)
        quiet = sum(calibration.quiet(speed) for speed in speeds)
        if number >= total:
            # Beyond the planned rounds: one for each noisy round, as far as time allows; more while some row was never left alone.
            spent = time.monotonic() - started
            replacing = quiet < total and number < 1.5 * total and spent < 1.5 * budget
            extending = number < effort.extension * total and spent < EXTENSION_SECONDS and not all(map(_settled, active))
            if not (replacing or extending):
                break
        turn = [lane for lane, stride in zip(active, strides, strict=True) if number % stride == 0]
        if effort.one_cpu and number % SAME_CPU_ROUNDS == 0:
            _share_a_cpu(active, cpus[number // SAME_CPU_ROUNDS % len(cpus)])
        draw = rng.randrange(1 << 62)
        measured = [(lane, timing) for lane in rng.sample(turn, len(turn)) if (timing := _block(lane, effort, draw)) is not None]
        after = calibration()
        speeds.append(max(before, after))
        for lane, (calls, wall, cpu, steady) in measured:
            hidden = 0.0
            with lane.attempt():
                hidden = _checked(lane)
            charged = cpu + (hidden if hidden > max(HIDDEN_SECONDS, HIDDEN_SHARE * cpu) else 0.0)
            alone = lane.clock != "cpu" or charged <= (1 + HIDDEN_SHARE) * wall
            lane.blocks.append(Block(number, calls, wall, charged, calibration.quiet(speeds[-1]), steady if alone else None))
        before = after
    if effort.one_cpu:
        _share_a_cpu(lanes, None)
    # What is usual is known better now than when the first rounds ended.
    for lane in lanes:
        lane.blocks = [dataclasses.replace(block, quiet=calibration.quiet(speeds[block.round])) for block in lane.blocks]


def _cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def _share_a_cpu(lanes: Sequence[Lane], cpu: int | None) -> None:
    """Put rows of one thread on the same CPU, None back where they may run: CPUs differ (who else runs on the core), which no pair
    of rounds cancels where a worker stays on the one and its neighbour on the other."""
    for lane in lanes:
        if lane.clock == "cpu" and not lane.done and lane.worker is not None and hasattr(os, "sched_setaffinity"):
            allowed = lane.target.affinity or _cpus()
            with contextlib.suppress(OSError):  # it has ended, or may not run there: it is measured where it is
                os.sched_setaffinity(lane.worker.pid, allowed if cpu is None or cpu not in allowed else {cpu})


def _settled(lane: Lane) -> bool:
    """Whether several blocks took as little as the fastest: interruptions only ever add time, and differ."""
    times = sorted(_seconds(lane, block) for block in lane.blocks)
    return len(times) >= SETTLED_BLOCKS and times[SETTLED_BLOCKS - 1] <= SETTLED_WITHIN * times[0]


def _seconds(lane: Lane, block: Block) -> float:
    """Of a call in a block, as the gate compares it."""
    whole = (block.cpu_seconds if lane.clock == "cpu" else block.wall_seconds) / block.calls
    return block.steady_seconds or whole


def _schedule(seconds: Sequence[float], budget: float, effort: Effort) -> tuple[int, list[int]]:
    """How many rounds, and for each lane (by the seconds of a call) a power of two: it takes part in every so many of them.

    LEAST_ROUNDS are taken in any case; of slow lanes `effort.slow_rounds`, in each launch.
    """
    affordable = [budget / len(seconds) / max(each, effort.block_seconds) for each in seconds]
    least = [LEAST_ROUNDS if each < SLOW_SECONDS else effort.slow_rounds for each in seconds]
    total = int(min(effort.most_rounds, max(*least, *affordable)))
    strides = []
    for can, must in zip(affordable, least, strict=True):
        stride = 1
        while -(-total // stride) > max(can, 1) and -(-total // (2 * stride)) >= must:
            stride *= 2
        strides.append(stride)
    return total, strides


def _block(lane: Lane, effort: Effort, draw: int) -> tuple[int, float, float, float | None] | None:
    """(calls, wall, cpu, steady) of one timed block, or None when the row failed in it."""
    calls = min(MOST_CALLS_PER_BLOCK, max(1, round(effort.block_seconds / max(lane.seconds, 1e-7))))
    with lane.attempt():
        assert lane.worker is not None
        with lane.witness.watch(lane.worker.pid) as seen:
            answer = lane.ask("block", calls=calls, draw=draw, laps=effort.laps)
        wall, cpu = answer["wall_ns"] / 1e9, answer["cpu_ns"] / 1e9
        lane.called += calls
        lane.block_chunks += zip(answer["chunks_ns"], answer["chunk_rows"], strict=True)
        lane.seconds = min(lane.seconds, wall / calls)
        lane.witness.add("block", seen, wall=wall, cpu=cpu, after=_copying(lane, answer))
        if lane.witness.gross():
            raise lane.distrust(lane.witness.contradiction() or "its clock stands still")
        return calls, wall, cpu, _steady(answer["laps_ns"], answer["lap_calls"])
    return None


def _steady(stamps: np.ndarray, calls: int) -> float | None:
    """Seconds of a call in the fastest nine tenths of the laps, of `calls` each; None of too few laps to leave one out."""
    laps = np.sort(np.diff(stamps, prepend=0))
    kept = int(STEADY_SHARE * len(laps))
    return float(laps[:kept].mean()) / calls / 1e9 if kept < len(laps) and len(laps) >= LEAST_LAPS else None


def _checked(lane: Lane) -> float:
    """Check the output that the last timed command kept; the CPU seconds that other threads of the process took since."""
    answer = lane.ask("check", inputs=False)
    if answer["rewritten"]:
        raise lane.distrust("a later call changed the output of the first one; each call must return arrays of its own")
    if answer["digest"] not in lane.trusted.setdefault(answer["seed"], set()):
        judge_outputs(lane, answer["seed"], lane.ask("kept")["outputs"], "a timed call")
        if not lane.done:
            lane.trusted[answer["seed"]].add(answer["digest"])
    lane.memory.append((lane.called, answer["rss_bytes"]))
    return float(answer["hidden_cpu_ns"] / 1e9)


def _single_calls(lanes: Sequence[Lane], budget: float, rng: random.Random) -> None:
    """One stamp per call, in slices that take turns. Blocks of one call are single calls already."""
    share = budget / max(1, len(lanes))
    for lane in lanes:
        if lane.seconds > share / SLICES and all(block.calls == 1 for block in lane.blocks):
            lane.calls = [block.wall_seconds for block in lane.blocks]
            _keep_chunks(lane, lane.block_chunks)
    for _ in range(SLICES):
        for lane in rng.sample(list(lanes), len(lanes)):
            if not lane.done and not (lane.seconds > share / SLICES and lane.calls):
                with lane.attempt():
                    _slice(lane, share / SLICES)


def _slice(lane: Lane, seconds: float) -> None:
    assert lane.worker is not None
    with lane.witness.watch(lane.worker.pid) as seen:
        answer = lane.ask("calls", count=MOST_CALLS // SLICES, seconds=seconds)
    stamps = answer["calls_ns"] / 1e9
    lane.witness.add("calls", seen, wall=float(stamps.sum()), cpu=answer["cpu_ns"] / 1e9, after=_copying(lane, answer))
    lane.called += len(stamps)
    lane.calls += stamps.tolist()
    _keep_chunks(lane, zip(answer["chunks_ns"], answer["chunk_rows"], strict=True))
    _checked(lane)


def _keep_chunks(lane: Lane, calls: Iterable[tuple[Sequence[int], Sequence[int]]]) -> None:
    """When the chunks of calls arrived, in nanoseconds, and how many rows of the output each had."""
    for arrivals, rows in calls:
        lane.chunks.append(tuple(arrival / 1e9 for arrival in arrivals))
        if lane.row_seconds is not None:
            lane.chunk_seconds.append(tuple(lane.row_seconds * count for count in rows))


def _first_chunks(lanes: Sequence[Lane], seconds: float, rng: random.Random) -> None:
    """More stamps of first chunks, by calls that are left there, where all launches together then have enough for a percentile."""
    for lane in rng.sample(list(lanes), len(lanes)):
        firsts = sorted(chunks[0] for chunks in lane.chunks)
        missing = -(-FIRST_CHUNKS // lane.target.planned.launches) - len(firsts)
        if firsts and missing > 0 and missing * firsts[len(firsts) // 2] <= seconds:
            with lane.attempt():
                assert lane.worker is not None
                with lane.witness.watch(lane.worker.pid) as seen:
                    answer = lane.ask("first_chunks", count=missing)
                lane.first_chunks = [stamp / 1e9 for stamp in answer["firsts_ns"]]
                lane.witness.add("first_chunks", seen, wall=sum(lane.first_chunks), cpu=answer["cpu_ns"] / 1e9)


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


def _copying(lane: Lane, answer: Mapping[str, Any]) -> float:
    """Seconds that the worker took to keep an output after the timer had stopped: as it says, within what its bytes can explain."""
    assert not isinstance(lane.target.expected, Outcome)
    most = max(sum(array.nbytes for array in outputs.values()) for outputs in lane.target.expected.values())
    return float(min(answer["after_ns"] / 1e9, most / SLOWEST_COPY))


def _children(lane: Lane) -> None:
    """Work in child processes cannot be judged on a CPU clock that does not see it."""
    assert lane.worker is not None
    with contextlib.suppress(psutil.Error):
        if lane.clock == "cpu" and (children := psutil.Process(lane.worker.pid).children()):
            lane.clock = "wall"
            lane.notes.append(f"{len(children)} child processes work for it, which its CPU clock does not see: judged on wall time")
