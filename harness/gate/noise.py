"""How much launches of the same code vary, and what the mean of a few of them is worth.

The variance is pooled over all groups of launches of one class, for three launches alone say nothing about it; a group that is
clearly wilder than the others stands on its own spread. One process in fifty is off by 5 to 19 % (memory layout): single wild
launches are set aside, but at least three must agree, so a group of three has none to spare and says with its width that
it needs a fourth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness import stats

SPARED = 0.34
"""At most this share of the launches, about a third, is set aside."""

WILD = 0.001
"""Set aside is what is less probable than this, on either side, among launches as variable as the others."""

WILDER = 0.05
"""A series stands on its own spread when one as large is less probable than this among the others."""

SHARED_BASE = 2 / 3
"""Head, copy and injected of a launch share its base, so their spreads are worth fewer degrees of freedom than they count:
of covariance [2 1 1; 1 2 1; 1 1 2] the eigenvalues are 4, 1, 1, worth (4 + 1 + 1)^2 / (16 + 1 + 1) = 2 of 3 (Satterthwaite 1946)."""


class Spread(NamedTuple):
    """Sum of squares around the means, and the degrees of freedom it is worth."""

    squares: float
    degrees: float

    @property
    def variance(self) -> float:
        return self.squares / self.degrees if self.degrees else math.inf


@dataclass(frozen=True)
class Pool:
    """What the groups of launches of one class vary by; parts: what each of them adds to it."""

    parts: Mapping[tuple[float, ...], Spread]
    whole: Spread

    def without(self, group: tuple[float, ...]) -> Spread:
        """What the others vary by."""
        own = self.parts.get(group, Spread(0.0, 0.0))
        return Spread(max(0.0, self.whole.squares - own.squares), max(0.0, self.whole.degrees - own.degrees))


class Estimate(NamedTuple):
    """A mean of log-ratios; error: its standard error, with so many degrees of freedom; n of them kept, others set aside."""

    mean: float
    error: float
    degrees: float
    n: int
    aside: int

    def interval(self) -> stats.Interval:
        from scipy.special import stdtrit

        half = float(stdtrit(self.degrees, (1 + stats.CONFIDENCE) / 2)) * self.error
        low, high = math.expm1(self.mean - half), math.expm1(min(self.mean + half, 700.0))
        return stats.Interval(math.expm1(self.mean), low, high, self.n)

    def chance(self, slowdown: float, *, below: bool = False) -> float:
        """How probable a mean so high (so low: `below`) is where this is the true slow-down: the p-value of one side."""
        from scipy.special import stdtr

        distance = (math.log1p(slowdown) - self.mean) / self.error
        return float(stdtr(self.degrees, -distance if below else distance))


def pool_of(groups: Sequence[tuple[float, ...]]) -> Pool:
    """The common variance, robust: a third of all launches at most is set aside as wild."""
    middles = [stats.median(group) for group in groups]
    residuals = [[abs(value - middle) for value in group] for group, middle in zip(groups, middles, strict=True)]
    # A median lies on one of its values: that residual says nothing.
    telling = [value for group in residuals for value in sorted(group)[1:]]
    if not telling:
        return Pool({}, Spread(0.0, 0.0))
    limit = _far(1.4826 * stats.median(telling), SHARED_BASE * len(telling))
    limit = max(limit, stats.quantile([value for group in residuals for value in group], 1 - SPARED))
    kept = [[v for v, far in zip(group, away, strict=True) if far <= limit] for group, away in zip(groups, residuals, strict=True)]
    spreads = [Spread(_squares(group), SHARED_BASE * max(0, len(group) - 1)) for group in kept]
    whole = Spread(math.fsum(one.squares for one in spreads), math.fsum(one.degrees for one in spreads))
    return Pool(dict(zip(groups, spreads, strict=True)), whole)


def _far(scale: float, degrees: float) -> float:
    from scipy.special import stdtrit

    return scale * float(stdtrit(max(degrees, 1.0), 1 - WILD))


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values) if values else 0.0
    return math.fsum((value - mean) ** 2 for value in values)


def estimate(values: tuple[float, ...], pool: Pool, least: float) -> Estimate:
    """The mean of one group (two values or more) of the pool's class; least: what launches vary by at least."""
    from scipy.special import fdtri

    kept = _agreeing(values, pool.whole, least)
    n, others = len(kept), pool.without(values)
    own = Spread(_squares(kept), n - 1.0)
    lone = not others.degrees
    if lone or own.variance > max(least**2, others.variance) * float(fdtri(own.degrees, others.degrees, 1 - WILDER)):
        used = own
    else:
        used = pool.whole
    return Estimate(math.fsum(kept) / n, math.sqrt(max(used.variance, least**2) / n), used.degrees, n, len(values) - n)


def _agreeing(values: tuple[float, ...], spread: Spread, least: float) -> list[float]:
    """The values without the wild ones, if those are few and enough are left; else all."""
    middle, limit = stats.median(values), _far(math.sqrt(max(spread.variance, least**2)), spread.degrees)
    kept = [value for value in values if abs(value - middle) <= limit]
    return kept if len(kept) >= max(stats.LEAST_LAUNCHES, (1 - SPARED) * len(values)) else list(values)
