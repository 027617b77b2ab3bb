"""Steps in a history: where a series of ratios changed its level, the newest point included.

Feed it `ratio` series: both sides of a ratio were measured in one session, so a busy day moves both. asv's own detector
(`asv.step_detect`, which draws the dashboards) needs about two points to call something a level, and more noise than a part of the
step hides it; a two-sample t-test at every possible place sees it. docs/history.md has both on the same series.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.history.points import Key, Point, series

LEAST_CHANGE = 0.02
"""A smaller relative change is no step, however sure it is."""

FALSE_ALARM = 0.01
"""How often a whole history in which nothing changed raises any alarm."""

LEAST_BEFORE = 3
LEAST_AFTER = 2
"""Points on either side of a step; the newest point of all may stand alone, an older one that does is an outlier."""


RECENT = 5
"""Points for which a slow-down is news: so many show 10 % in 2 % of noise almost surely. After them it is the level."""


@dataclass(frozen=True)
class Step:
    """A change of level: from `before` to `after` (geometric means, less is better), first seen at `commit`.

    points: how many stand behind `after`; 1 is the newest point alone. p: the chance of such a step where nothing changed,
    corrected for all places tried in this series.
    """

    key: Key
    commit: str
    previous_commit: str
    before: float
    after: float
    points: int
    p: float

    @property
    def change(self) -> float:
        """Relative: +0.1 is 10 % slower."""
        return self.after / self.before - 1


def steps(points: Iterable[Point], *, least_change: float = LEAST_CHANGE, false_alarm: float = FALSE_ALARM) -> list[Step]:
    """Every change of level in the ratio series of `points`, oldest first within a series.

    Where nothing changed, a whole history (however many series: Benjamini and Hochberg 1995) raises an alarm in
    `false_alarm` of the cases if its noise is normal, in about twice as many if it has heavy tails (Student's t with 4
    degrees of freedom). On one series of 12 points a 10 % step is seen at 1 % noise in the first point that has it in 99 %
    of the cases, at 2 % noise in 56 %, and in 99 % after four points (simulated, 400 series each; the tests repeat a part).
    """
    usable = {key: _usable(of_key) for key, of_key in series(points).items() if key.series == "ratio"}
    logs = {key: np.log([point.value for point in of_key if point.value is not None]) for key, of_key in usable.items()}
    first = {key: _split(values, tail=True) for key, values in logs.items()}
    allowed = _benjamini_hochberg([p for p, _ in first.values()], false_alarm)
    found = []
    for key, (p, _) in first.items():
        if p <= allowed:
            places = _places(logs[key], 0, len(logs[key]), false_alarm)
            found += [step for step in _described(key, usable[key], logs[key], places) if abs(step.change) >= least_change]
    return found


def recent(found: Iterable[Step]) -> list[Step]:
    """The slow-downs that still stand and are news: the last step of their series, at most RECENT points old."""
    last = {step.key: step for step in found}
    return [step for step in last.values() if step.change > 0 and step.points <= RECENT]


def _usable(points: Sequence[Point]) -> list[Point]:
    """The points that compare with the newest: measured, under its contract version."""
    measured = [point for point in points if point.value is not None and point.value > 0]
    return [point for point in measured if point.version == measured[-1].version]


def _split(logs: np.ndarray, *, tail: bool) -> tuple[float, int]:
    """(p, place) of the best split into two levels; p is 1 where there are too few points."""
    from scipy.special import stdtr  # 0.2 s that no other use of the history must wait for

    n = len(logs)
    places = range(LEAST_BEFORE, n - (0 if tail else LEAST_AFTER - 1))
    best = (1.0, 0)
    for place in places:
        before, after = logs[:place], logs[place:]
        degrees = n - 2
        squares = float(np.square(before - before.mean()).sum() + np.square(after - after.mean()).sum())
        error = math.sqrt(squares / degrees * (1 / place + 1 / (n - place)))
        gap = abs(float(after.mean() - before.mean()))
        # Identical values (counted bytes) have no scatter: any gap is a step, none is none.
        p = 2 * float(stdtr(degrees, -gap / error)) if error > 0 else float(gap == 0)
        best = min(best, (p * len(places), place))
    return best


def _places(logs: np.ndarray, start: int, end: int, allowed: float) -> list[tuple[int, float]]:
    """Splits of logs[start:end] and of its parts, with their p."""
    p, place = _split(logs[start:end], tail=end == len(logs))
    if p > allowed or place == 0:
        return []
    middle = start + place
    return [*_places(logs, start, middle, allowed), (middle, p), *_places(logs, middle, end, allowed)]


def _described(key: Key, points: Sequence[Point], logs: np.ndarray, places: Sequence[tuple[int, float]]) -> list[Step]:
    edges = [0, *(place for place, _ in places), len(points)]
    levels = [math.exp(float(logs[a:b].mean())) for a, b in itertools.pairwise(edges)]
    return [
        Step(key, points[place].commit, points[place - 1].commit, levels[i], levels[i + 1], edges[i + 2] - place, min(p, 1.0))
        for i, (place, p) in enumerate(places)
    ]


def _benjamini_hochberg(chances: Sequence[float], rate: float) -> float:
    """The largest p that counts, so that at most `rate` of what counts is false; -1 where nothing counts."""
    ordered = sorted(chances)
    counting = [p for rank, p in enumerate(ordered, 1) if p <= rate * rank / len(ordered)]
    return max(counting, default=-1.0)
