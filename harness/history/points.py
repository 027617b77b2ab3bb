"""Points of a history and the series they form, and what may be wrong with a history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.settings import ConfigurationError

SeriesName = Literal["upper", "estimate", "ratio"]
State = Literal["measured", "failed", "skipped"]


class HistoryError(ConfigurationError):
    """A history that cannot be read, or must not be written: damaged, or of another machine."""


class NoHistory(HistoryError):
    """There is no history yet: no project of asv around, or no measured commit in it."""


class Damaged(HistoryError):
    """A file that is not what asv or we write: `path` says which."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


@dataclass(frozen=True)
class Key:
    """What a series is about. metric: the stored name. implementation: with its settings, `native[precision=float32,threads=2]`."""

    component: str
    metric: str
    series: SeriesName
    implementation: str
    case: str

    @property
    def benchmark(self) -> str:
        """The name that asv shows."""
        return f"{self.component}.{self.metric}.track_{self.series}"


@dataclass(frozen=True)
class Point:
    """One stored number of one commit, less is better; `value` is None unless measured.

    interval: of an estimate or a ratio, where it is known. launches: behind it, 0 where the file does not say. version: of
    the component's contract; points of different versions are not comparable.
    """

    key: Key
    commit: str
    date_ms: int
    value: float | None
    state: State = "measured"
    interval: tuple[float, float] | None = None
    launches: int = 0
    version: str = "1"
    unit: str = "seconds"
    environment: str = ""


def series(points: Iterable[Point]) -> dict[Key, list[Point]]:
    """Points by what they are about, in the order given."""
    grouped: dict[Key, list[Point]] = {}
    for point in points:
        grouped.setdefault(point.key, []).append(point)
    return grouped
