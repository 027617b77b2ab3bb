"""Calls timed one by one, for percentiles, with the arrivals of their chunks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from harness.measure.cpus import draw_cpus, share_a_cpu
from harness.measure.effort import Effort
from harness.measure.lane import Lane, check_kept, copying

MOST_CALLS = 1000
LEAST_SLICES = 4
"""As many times a row moves to another CPU, where rows share one."""

FIRST_CHUNKS = 60
"""Of all launches of a row together: what a 95th percentile needs."""


def single_calls(lanes: Sequence[Lane], budget: float, effort: Effort, rng: random.Random) -> None:
    """One stamp per call, in slices that take turns. Blocks of one call are single calls already."""
    share = budget / max(1, len(lanes))
    slices = max(LEAST_SLICES, round(share / effort.slice_seconds))
    for lane in lanes:
        if lane.seconds > share / slices and all(block.calls == 1 for block in lane.blocks):
            lane.calls, lane.slices = [block.wall_seconds for block in lane.blocks], [1] * len(lane.blocks)
            _keep_chunks(lane, lane.block_chunks)
    cpus = draw_cpus(rng)
    for number in range(slices):
        if effort.alike:
            share_a_cpu(lanes, cpus[LEAST_SLICES * number // slices % len(cpus)])
        for lane in rng.sample(list(lanes), len(lanes)):
            if not lane.done and not (lane.seconds > share / slices and lane.calls):
                with lane.attempt():
                    _slice(lane, share / slices, MOST_CALLS // slices)


def _slice(lane: Lane, seconds: float, count: int) -> None:
    assert lane.worker is not None
    lane.settle()
    with lane.witness.watch(lane.worker.pid) as seen:
        answer = lane.ask("calls", count=count, seconds=seconds)
    stamps = answer["calls_ns"] / 1e9
    lane.witness.add("calls", seen, wall=float(stamps.sum()), cpu=answer["cpu_ns"] / 1e9, after=copying(lane, answer))
    lane.called += len(stamps)
    lane.calls += stamps.tolist()
    lane.slices.append(len(stamps))
    _keep_chunks(lane, zip(answer["chunks_ns"], answer["chunk_rows"], strict=True))
    check_kept(lane)


def _keep_chunks(lane: Lane, calls: Iterable[tuple[Sequence[int], Sequence[int]]]) -> None:
    """When the chunks of calls arrived, in nanoseconds, and how many rows of the output each had."""
    for arrivals, rows in calls:
        lane.chunks.append(tuple(arrival / 1e9 for arrival in arrivals))
        if lane.row_seconds is not None:
            lane.chunk_seconds.append(tuple(lane.row_seconds * count for count in rows))


def first_chunks(lanes: Sequence[Lane], seconds: float, rng: random.Random) -> None:
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
