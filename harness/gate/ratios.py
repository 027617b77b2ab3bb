"""What one launch says of head over base: one log-ratio, above 0 where head is worse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from harness import metrics, paired, stats
from harness.metrics import Absent
from harness.record import Block, Samples

STRETCHES = 16
"""Into at most so many stretches of consecutive calls single calls are divided."""

FAR = 0.98
"""Percentiles beyond are told by stretches with calls enough for two that are slower, others for one: a lone one is mostly noise."""


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
    """log(head / base) of the seconds per call of one launch: the median over the rounds that both sides have (`paired.comparable`).

    Neighbours in time share what the machine does to both, and the steady part of a block leaves out what interrupts a few calls.
    Chosen by how far equal workers are apart, 2 shared cores, 16 rounds, rms in percent of 48 pairs (10 us; 1 ms): this, with the
    workers on one CPU, 0.8, 0.9; the 15 % quantile of whole blocks, each worker where it was, 1.7, 1.7 and now and then 50, where
    one core was slower than the other. 32 rounds give 0.8, 0.8, and 12 of 4 ms 0.8, 0.9: the rest is memory layout, which only
    more launches tell. On a machine whose speed changed by a third every 100 ms few rounds are quiet: those alone gave 1.6 (10 us)
    and 1.5 (50 ms), all of them 0.6 and 1.3.
    """
    ratios = paired.log_ratios(head, base, clock)
    if not ratios:
        return Absent(f"no round in common: {len(head)} of head, {len(base)} of base")
    return stats.median(ratios)


def mean_log_ratio(head: Sequence[Block], base: Sequence[Block]) -> float | None:
    """log(head / base) of the mean processor time of all calls of the rounds that compare; None of blocks that are not divided.

    Bursts are in no steady part of a block and in no quiet stretch of calls. Equal workers differ by 1 to 3 % (rms).
    """
    pairs = paired.comparable(head, base, "cpu")
    if not pairs or not all(block.steady_seconds for pair in pairs for block in pair):
        return None
    one, other = (sum(b.cpu_seconds for b in side) / sum(b.calls for b in side) for side in zip(*pairs, strict=True))
    return log_ratio(one, other)


def percentile_log_ratio(head: Samples, base: Samples, share: float, offset: float) -> float | None:
    """log(head / base) of a percentile of the single calls of one launch, at one speed of the machine; None without calls.

    The median is that of all calls, what lies beyond is that of a quiet stretch (`typical_percentile`). offset: seconds added to both.
    Over 32 pairs of equal workers on a machine whose speed changed by a third every 100 ms, the median of calls of 10 us, 1 ms and
    50 ms differed by 21, 13 and 11 % (rms) as measured and by 2.3, 1.0 and 3.3 % at one speed, the 95 % latency of 10 us and 1 ms by
    18 and 13 % and by 5 and 5 %.
    """
    if not head.calls or not base.calls:
        return None
    mine, its = paired.at_one_speed(head, base, share)
    of = typical_percentile if share > 0.5 else stats.quantile
    return log_ratio(of(mine, share) + offset, of(its, share) + offset)


def typical_percentile(calls: Sequence[float], share: float) -> float:
    """A percentile of single calls, in order: what it is in a quiet stretch of them (at least three of four show more).

    What shows in fewer of them is left out: bursts of noise make nearly all of the tail of a short kernel. A cost of every tenth call
    shows. Over 70 pairs of equal workers, 2 shared cores, the 95 % latency of 120 calls of 1 ms differed by 7 % (rms), this one by 3.3;
    the 99 % latency of 1000 calls of 10 us by 32 % and 18; the median by 2.4 % and 1.6.
    """
    count = max(1, min(STRETCHES, int(len(calls) * (1 - share) / (2 if share > FAR else 1) + 1e-9)))
    edges = [len(calls) * number // count for number in range(count + 1)]
    stretches = sorted(stats.quantile(calls[start:end], share) for start, end in itertools.pairwise(edges))
    return stretches[(count - 1) // 4]
