"""Rounds in which the rows of a launch take turns: one block of calls each, in random order, between two looks at the machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import time
from collections.abc import Sequence

import numpy as np

from harness.measure.calibration import Calibration
from harness.measure.effort import EXTENSION_SECONDS, Effort
from harness.measure.lane import Lane, check_kept, copying
from harness.record import Block

SLOW_SECONDS = 1.0
LEAST_ROUNDS = 3
MOST_CALLS_PER_BLOCK = 2000
SETTLED_BLOCKS, SETTLED_WITHIN = 5, 1.01
SAME_CPU_ROUNDS = 4
STEADY_SHARE, LEAST_LAPS = 0.9, 4
HIDDEN_SHARE, HIDDEN_SECONDS = 0.1, 0.0002


def rounds(lanes: Sequence[Lane], budget: float, effort: Effort, calibration: Calibration, rng: random.Random) -> None:
    """Rounds of one block per lane in random order. Slow lanes sit out some rounds, the same ones, so that they stay paired."""
    speeds: list[float] = []  # of the calibration kernel around each round
    cpus = rng.sample(_cpus(), min(2, len(_cpus())))
    started = time.monotonic()
    before = calibration()
    while active := [lane for lane in lanes if not lane.done]:
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
                hidden = check_kept(lane)
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
        lane.witness.add("block", seen, wall=wall, cpu=cpu, after=copying(lane, answer))
        if lane.witness.gross():
            raise lane.distrust(lane.witness.contradiction() or "its clock stands still")
        return calls, wall, cpu, _steady(answer["laps_ns"], answer["lap_calls"])
    return None


def _steady(stamps: np.ndarray, calls: int) -> float | None:
    """Seconds of a call in the fastest nine tenths of the laps, of `calls` each; None of too few laps to leave one out."""
    laps = np.sort(np.diff(stamps, prepend=0))
    kept = int(STEADY_SHARE * len(laps))
    return float(laps[:kept].mean()) / calls / 1e9 if kept < len(laps) and len(laps) >= LEAST_LAPS else None
