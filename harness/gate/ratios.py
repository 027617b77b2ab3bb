"""What one launch says of head over base: one log-ratio, above 0 where head is worse."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness import metrics, stats
from harness.metrics import Absent
from harness.record import Block


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

    Of each side the same low quantile of its rounds: interruptions only ever add time.
    """
    one, other = metrics.seconds_by_round(head, clock), metrics.seconds_by_round(base, clock)
    common = sorted(one.keys() & other.keys())
    if not common:
        return Absent(f"no quiet round in common: {len(one)} of head, {len(other)} of base")
    low = [stats.quantile([side[number] for number in common], metrics.LOW_QUANTILE) for side in (one, other)]
    return log_ratio(*low)
