"""What one launch says of head over base: one log-ratio, above 0 where head is worse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from harness import metrics, stats
from harness.metrics import Absent
from harness.record import Block, seconds_by_round

LOW_QUANTILE = 0.15

STRETCHES = 16
"""Into at most so many stretches of consecutive calls single calls are divided."""

LEAST_PAIRS = 5
"""Rounds whose blocks are divided on both sides; with fewer, whole blocks are compared."""


def log_ratio(head: float, base: float, *, better: metrics.Better = "less") -> float:
    """log(head / base), turned so that above 0 is worse: of throughput and the like, `better` is "more".

    Infinite where one of them is 0, 0 where both are; ValueError for what has no ratio (negative, not finite).
    """
    if not (0 <= head < math.inf and 0 <= base < math.inf):
        raise ValueError(f"log_ratio: expected values from 0 up, found head {head} and base {base}")
    if head == base:
        return 0.0
    ratio = -math.inf if head == 0 else math.inf if base == 0 else math.log(head) - math.log(base)
    return ratio if better == "less" else -ratio


def blocks_log_ratio(head: Sequence[Block], base: Sequence[Block], clock: metrics.Clock) -> float | Absent:
    """log(head / base) of the seconds per call of one launch, over the quiet rounds that both sides have.

    Of blocks that stamps divide, the median ratio of their steady seconds, round by round: neighbours in time share what the machine
    does, and what interrupts a few calls is left out. Of other blocks, of each side the same low quantile of its rounds, for
    interruptions only ever add time.

    Chosen by the error of equal work, 2 shared cores, in percent (rms). Calls of 10 us in one process, 16 and 64 rounds of 1 ms:
    this 0.4, 0.1; of whole blocks the 15 % quantile 1.7, 1.1, the median of paired ratios 1.2, 0.6. Calls of 1 ms, which no stamp
    divides: the 15 % quantile 1.2, 0.7; the 25 % quantile 1.2, 0.2; the median of paired ratios 1.7, 0.3; under a load of 3 to 10,
    between processes, 48 rounds: 1.9, 2.0, 2.0, the minimum 2.2.
    """
    steady, other = _steady(head), _steady(base)
    common = sorted(steady.keys() & other.keys())
    if len(common) >= LEAST_PAIRS:
        return stats.median([log_ratio(steady[number], other[number]) for number in common])
    one, other = seconds_by_round(head, clock), seconds_by_round(base, clock)
    common = sorted(one.keys() & other.keys())
    if not common:
        return Absent(f"no quiet round in common: {len(one)} of head, {len(other)} of base")
    low = [stats.quantile([side[number] for number in common], LOW_QUANTILE) for side in (one, other)]
    return log_ratio(*low)


def _steady(blocks: Sequence[Block]) -> dict[int, float]:
    return {block.round: block.steady_seconds for block in blocks if block.quiet and block.steady_seconds is not None}


def typical_percentile(calls: Sequence[float], share: float) -> float:
    """A percentile of single calls, in order: what it is in a quiet stretch of them (the lower quartile of the stretches).

    A stretch has the calls that one slower one in so many needs. What three stretches of four do not show is left out: bursts of
    noise make nearly all of the tail of a short kernel. Over 60 pairs of equal workers, 2 shared cores, 1 ms, the 95 % latency
    differed by 17 % (rms), this one by 3; the 99 % latency of 10 us calls by 32 % and 18; the median by 2.4 % and 1.6.
    """
    count = max(1, min(STRETCHES, int(len(calls) * (1 - share) + 1e-9)))
    edges = [len(calls) * number // count for number in range(count + 1)]
    return stats.quantile([stats.quantile(calls[start:end], share) for start, end in itertools.pairwise(edges)], 0.25)
