"""Rounds in which the rows of a launch take turns: one block of calls each, in random order, between two looks at the machine."""

from __future__ import annotations

import dataclasses
import random
import statistics
import time
from collections.abc import Sequence

import numpy as np

from harness import paired, stats
from harness.clock import LEAST_LAPS
from harness.measure.calibration import Calibration
from harness.measure.cpus import draw_cpus, share_a_cpu
from harness.measure.effort import EXTENSION_SECONDS, Effort
from harness.measure.lane import Lane, check_kept, copying
from harness.record import Block

SLOW_SECONDS = 1.0
LEAST_ROUNDS = 3
MOST_CALLS_PER_BLOCK = 2000
SETTLED = 0.008
"""Of a log-ratio: launches vary by as much for reasons that no round tells."""

ALIKE = 2.5
"""Rows that do the same work may differ by so much and still take part in the same rounds: one was timed while the machine was fast."""

SAME_CPU_ROUNDS = 4
STEADY_SHARE = 0.9
HIDDEN_SHARE, HIDDEN_SECONDS = 0.1, 0.0002


def rounds(lanes: Sequence[Lane], budget: float, effort: Effort, calibration: Calibration, rng: random.Random) -> None:
    """Rounds of one block per lane in random order. Slow lanes sit out some rounds, the same ones, so that they stay paired."""
    speeds: list[float] = []  # of the calibration kernel around each round
    cpus = draw_cpus(rng)
    started = time.monotonic()
    before = calibration()
    while active := [lane for lane in lanes if not lane.done]:
        # Anew for each round: what was slow in its first call need not be slow in its second.
        usual = statistics.median_low(lane.seconds for lane in active) if effort.alike else 0.0
        seconds = [lane.seconds if lane.seconds > ALIKE * usual else usual for lane in active]
        number, (total, strides) = len(speeds), _schedule(seconds, budget, effort)
        quiet = sum(calibration.quiet(speed) for speed in speeds)
        if number >= total:
            # Beyond the planned rounds: one for each noisy round, as far as time allows; more while they say too little. Of rows that
            # do the same work none, where those there are say enough.
            spent = time.monotonic() - started
            replacing = quiet < total and number < 1.5 * total and spent < 1.5 * budget
            extending = number < effort.extension * total and spent < EXTENSION_SECONDS
            if not (replacing or extending) or (effort.alike and all(_settled(lane, active[0]) for lane in active[1:])):
                break
        turn = [lane for lane, stride in zip(active, strides, strict=True) if number % stride == 0]
        if effort.alike and number % SAME_CPU_ROUNDS == 0:
            share_a_cpu(active, cpus[number // SAME_CPU_ROUNDS % len(cpus)])
        draw = rng.randrange(1 << 62)
        drawn = rng.sample(turn, len(turn))
        measured = [(lane, timing) for lane in drawn if (timing := _block(lane, usual or lane.seconds, effort, draw)) is not None]
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
    # What is usual is known better now than when the first rounds ended.
    for lane in lanes:
        lane.blocks = [dataclasses.replace(block, quiet=calibration.quiet(speeds[block.round])) for block in lane.blocks]


def _settled(lane: Lane, first: Lane) -> bool:
    """Whether what the rounds say of a lane beside the first one is known to SETTLED: the standard error of their median ratio."""
    return stats.median_error(paired.log_ratios(lane.blocks, first.blocks, "cpu" if lane.clock == "cpu" else "wall")) <= SETTLED


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


def _block(lane: Lane, seconds: float, effort: Effort, draw: int) -> tuple[int, float, float, float | None] | None:
    """(calls, wall, cpu, steady) of one timed block, or None when the row failed in it. seconds: that a call takes, about."""
    calls = min(MOST_CALLS_PER_BLOCK, max(1, round(effort.block_seconds / max(seconds, 1e-7))))
    with lane.attempt():
        assert lane.worker is not None
        lane.settle()
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
    if len(stamps) < LEAST_LAPS:
        return None
    laps = np.sort(np.diff(stamps, prepend=0))
    return float(laps[: int(STEADY_SHARE * len(laps))].mean()) / calls / 1e9
