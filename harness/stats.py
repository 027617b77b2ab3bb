"""Statistics, pure: quantiles, paired ratios, and intervals over launches.

One launch of a process is one sample of memory layout: two launches of identical code differ by far more than the spread
inside either. So every interval here is over launches, and what happened inside a launch only gives that launch's one value.
Times and ratios multiply, so positive values are averaged as logarithms. The intervals are Student's: the bootstrap of
three to ten values covers far less than it says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEAST_LAUNCHES = 3
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate: its point, and where the true value lies with this confidence.

    low and high are None when there is no interval; then `reason` says why. n: launches behind it.
    """

    point: float
    low: float | None
    high: float | None
    n: int
    confidence: float = CONFIDENCE
    reason: str = ""

    @property
    def bounded(self) -> bool:
        """True when there is an interval."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True)
class Pooled:
    """A launch-to-launch variance (of logarithms) known from other comparisons, with its degrees of freedom."""

    variance: float
    degrees: int


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, linear between neighbours; ValueError without values."""
    if not len(values):
        raise ValueError("quantile: expected at least one value, found none")
    ordered = sorted(map(float, values))
    if any(map(math.isnan, ordered)):
        return math.nan
    return quantile_of_sorted(ordered, share)


def quantile_of_sorted(ordered: Sequence[float], share: float) -> float:
    """The same of values in ascending order, none of them NaN."""
    # Thousands of short lists are asked for: a sort and a line are fifty times faster than np.quantile, and the same.
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    low, high, part = ordered[below], ordered[min(below + 1, len(ordered) - 1)], place - below
    if low == high:
        return low
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return quantile(values, 0.5)


def mad(values: Sequence[float]) -> float:
    """Median absolute deviation from the median, times 1.4826: the standard deviation where values are normal."""
    middle = median(values)
    return 1.4826 * median([abs(value - middle) for value in values])


def median_error(values: Sequence[float]) -> float:
    """The standard error of the median where values are normal, by their `mad`; infinite for fewer than three."""
    return 1.2533 * mad(values) / math.sqrt(len(values)) if len(values) >= 3 else math.inf


def calls_needed(share: float, confidence: float = CONFIDENCE) -> int:
    """How many calls a percentile needs: with fewer, not even the slowest call bounds it from above with this confidence (Wilks 1941)."""
    return math.ceil(math.log(1 - confidence) / math.log(share))


def over_launches(values: Sequence[float], *, confidence: float = CONFIDENCE, pooled: Pooled | None = None) -> Interval:
    """Student's interval of the mean over one value per launch; ValueError without values or with one that is not finite.

    Positive values are averaged as logarithms (geometric mean), others as they are. Under three launches there is no interval.
    `pooled` replaces the launches' own variance, and then any number of launches has an interval.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size or not np.isfinite(sample).all():
        raise ValueError(f"over_launches: expected finite values, at least one, found {list(values)}")
    logs = bool((sample > 0).all())
    scaled = np.log(sample) if logs else sample
    back = _exp if logs else float
    n, mean = int(sample.size), float(scaled.mean())
    if pooled is None and n < LEAST_LAUNCHES:
        # A lone value is returned as it is: exp(log(x)) is not exactly x.
        point = float(sample[0]) if n == 1 else back(mean)
        return Interval(point, None, None, n, confidence, f"{n} of the {LEAST_LAUNCHES} launches that an interval needs")
    if pooled is not None and not logs:
        raise ValueError(f"over_launches: a pooled variance is one of logarithms, found values that are not positive: {list(values)}")
    if float(np.ptp(sample)) == 0 and pooled is None:
        value = float(sample[0])
        return Interval(value, value, value, n, confidence)
    variance, degrees = (float(scaled.var(ddof=1)), n - 1) if pooled is None else (pooled.variance, pooled.degrees)
    from scipy.special import stdtrit  # 0.2 s that `harness list` must not wait for

    half = float(stdtrit(degrees, (1 + confidence) / 2)) * math.sqrt(variance / n)
    return Interval(back(mean), back(mean - half), back(mean + half), n, confidence)


def exactly(value: float, n: int = 1) -> Interval:
    """A value without spread: counted, not estimated."""
    return Interval(value, value, value, n, 1.0)


def proportion(hits: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The share of hits with the exact binomial interval (Clopper & Pearson 1934); ValueError without trials."""
    if not 0 <= hits <= trials or not trials:
        raise ValueError(f"proportion: expected at least one trial and 0 to {trials} hits, found {hits}")
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return Interval(hits / trials, low, high, trials, confidence)


def pooled_variance(groups: Iterable[Sequence[float]], *, mean: float | None = None) -> Pooled:
    """One variance from several small groups of log-ratios; ValueError when nothing is left to estimate it from.

    mean: the true mean where it is known (0 for pairs of identical code), which saves one degree of freedom per group.
    """
    squares, degrees = 0.0, 0
    for group in groups:
        sample = np.asarray(group, dtype=np.float64)
        if sample.size:
            centre = float(sample.mean()) if mean is None else mean
            squares += float(np.square(sample - centre).sum())
            degrees += int(sample.size) - (1 if mean is None else 0)
    if degrees < 1:
        raise ValueError("pooled_variance: expected at least one group with two values, found none")
    return Pooled(squares / degrees, degrees)


def paired_log_ratios(numerator: Mapping[int, float], denominator: Mapping[int, float]) -> list[float]:
    """log(numerator / denominator) at each round of one launch that both have, as {round: seconds per call}.

    Neighbours in time see the same machine: what slows both cancels. Where one side sat out rounds, each round that only the
    other has counts towards the nearest common one, by the median: one short block says less than the many around it.
    """
    common = sorted(numerator.keys() & denominator.keys())
    if len(common) == len(numerator) == len(denominator):
        return [math.log(numerator[number] / denominator[number]) for number in common]
    above, below = _nearest(common, numerator), _nearest(common, denominator)
    return [math.log(median(above[number]) / median(below[number])) for number in common]


def _nearest(anchors: Sequence[int], values: Mapping[int, float]) -> dict[int, list[float]]:
    """The values by the anchor that is nearest to their round, the earlier of two."""
    groups: dict[int, list[float]] = {anchor: [] for anchor in anchors}
    for number, value in values.items() if anchors else ():
        groups[min(anchors, key=lambda anchor: (abs(anchor - number), anchor))].append(value)
    return groups


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 else math.inf
