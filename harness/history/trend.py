"""The trend of a ratio: what was measured of it, commit by commit, its steps, and where the newest point stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.history.points import Key, Point, series
from harness.history.steps import Step


@dataclass(frozen=True)
class Trend:
    """One ratio series, oldest point first, under the contract version of its newest point. A point without value failed.

    commits: every commit of the history that it is part of, in order, also those that it has no point of.
    """

    key: Key
    points: tuple[Point, ...]
    commits: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    @property
    def newest(self) -> float | None:
        """The ratio of the newest point; None where it failed."""
        return self.points[-1].value

    @property
    def change(self) -> float | None:
        """The newest point against the level before it (the geometric mean since the last step), relative; None where there is none."""
        measured = [point for point in self.points if point.value is not None]
        starts = [number for step in self.steps for number, point in enumerate(measured) if point.commit == step.commit]
        level = [point.value for point in measured[max((s for s in starts if s < len(measured) - 1), default=0) : -1] if point.value]
        if not level or not self.newest:
            return None
        return self.newest / math.exp(fmean(map(math.log, level))) - 1


def trends(points: Iterable[Point], steps: Sequence[Step]) -> list[Trend]:
    """The trend of every ratio series in `points`; what was skipped or measured under an older contract is left out."""
    points, found = list(points), []
    commits = tuple(dict.fromkeys(point.commit for point in points))
    for key, of_key in series(points).items():
        kept = [point for point in of_key if point.state != "skipped" and point.value != 0]
        if key.series == "ratio" and kept:
            same = tuple(point for point in kept if point.version == kept[-1].version)
            found.append(Trend(key, same, commits, tuple(step for step in steps if step.key == key)))
    return found
