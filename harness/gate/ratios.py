"""What one launch says of head over base: one log-ratio, above 0 where head is worse."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness import metrics, stats
from harness.metrics import Absent
from harness.record import Block, seconds_by_round

LOW_QUANTILE = 0.15


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

    Of each side the same low quantile of its rounds: interruptions only ever add time. Chosen among ten estimators by the error of
    equal workers, 48 rounds, on 2 shared cores under a load of 3 to 10 (rms in percent, beyond 4 counted as 4; 10 us and 1 ms
    on the CPU clock, 1 ms on the wall clock with one more busy process): this 1.5, 1.9, 2.2; the 25 % quantile 1.5, 2.0, 2.3;
    minimum 1.6, 2.2, 2.3; median of paired ratios 1.6, 2.0, 2.3; paired and trimmed or Hodges-Lehmann 1.5, 2.0, 2.5. With 12 rounds
    of 1 ms: 2.5 against 2.6 (25 %), 2.3 (minimum) and 2.5 (paired). What is left at 48 rounds is mostly memory layout: 1.5 of it.
    """
    one, other = seconds_by_round(head, clock), seconds_by_round(base, clock)
    common = sorted(one.keys() & other.keys())
    if not common:
        return Absent(f"no quiet round in common: {len(one)} of head, {len(other)} of base")
    low = [stats.quantile([side[number] for number in common], LOW_QUANTILE) for side in (one, other)]
    return log_ratio(*low)
