"""What things are called in the history: metrics so that less is better, implementations with their settings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from harness import metrics
from harness.history.points import HistoryError, Key, SeriesName
from harness.metrics import Better
from harness.record import Planned, Record
from harness.settings import label, parse
from harness.stats import Interval

if TYPE_CHECKING:
    from harness.targets import Target

ALWAYS = ("seconds_per_call", "peak_bytes")
"""Tracked for every component, beside the metrics that its targets bound."""

PARITY = "parity"
"""A metric of the history alone: its `upper` is the number of outputs that fail."""

INVERSE, NEGATIVE, LOST = "inverse_", "negative_", "lost_"


def tracked(targets: Iterable[Target]) -> dict[str, dict[str, Better]]:
    """Component -> metric -> which side is better, for every component that has targets; the others track ALWAYS."""
    found: dict[str, dict[str, Better]] = {}
    for target in targets:
        side: Better = "less" if target.at_most is not None else "more"
        found.setdefault(target.component, always())[target.metric] = side
    return found


def always() -> dict[str, Better]:
    """What is tracked of a component without targets."""
    return dict.fromkeys(ALWAYS, "less")


def stored_name(metric: str, better: Better) -> str:
    """The name under which a metric is stored: 1/x of what multiplies, -x of what adds, the lost share of what is best at 1."""
    if better == "less":
        return metric
    about = metrics.about(metric)
    if about.better is None or about.lowest < 0:
        return NEGATIVE + metric
    return (LOST if math.isfinite(about.highest) else INVERSE) + metric


def unit(stored: str) -> str:
    """The unit that asv shows."""
    metric = original_name(stored)
    if stored == INVERSE + metric:
        return {"per second": "seconds"}.get(metrics.about(metric).unit, "x")
    return metrics.about(metric).unit


def original_name(stored: str) -> str:
    """The metric behind a stored name."""
    for prefix in (INVERSE, NEGATIVE, LOST):
        if stored.startswith(prefix):
            return stored.removeprefix(prefix)
    return stored


def series_of(metric: str) -> tuple[SeriesName, ...]:
    """The series that a metric has: times and sizes have a ratio to the reference, what parity measures has none."""
    about = metrics.about(metric)
    return ("upper", "estimate", "ratio") if about.time and about.better == "less" else ("upper", "estimate")


def to_stored(stored: str, found: Interval) -> tuple[float, float, float]:
    """(low, point, high) of an interval as stored under that name. The interval must be bounded."""
    assert found.low is not None
    assert found.high is not None
    low, point, high = sorted(_turned(stored, value) for value in (found.low, found.point, found.high))
    return low, point, high


def from_stored(stored: str, low: float, point: float, high: float, launches: int) -> Interval:
    """The Interval that was stored as (low, point, high): every turn is its own inverse."""
    low, point, high = sorted(_turned(stored, value) for value in (low, point, high))
    return Interval(point, low, high, launches)


def _turned(stored: str, value: float) -> float:
    if stored.startswith(INVERSE):
        return 1 / value if value else math.inf
    if stored.startswith(NEGATIVE):
        return -value
    return metrics.about(original_name(stored)).highest - value if stored.startswith(LOST) else value


def implementation(item: Record | Planned) -> str:
    """The row, then the settings that do not make it: `native[precision=float32] threads=2`."""
    rest = {name: value for name, value in item.settings.items() if name not in item.variant}
    return f"{item.row} {label('', rest)[1:-1]}" if rest else item.row


def line(key: Key) -> metrics.Key:
    """The line of the expected set that a stored series belongs to."""
    row, _, rest = key.implementation.partition(" ")
    variant = row.removesuffix("]").partition("[")[2]
    try:
        pairs = [part.split("=", 1) for text in (variant, rest) if text for part in text.split(",")]
        settings = {name: parse(name, value) for name, value in pairs}
    except ValueError as error:
        raise HistoryError(f"{key.benchmark}: cannot read the settings of implementation {key.implementation!r}: {error}") from None
    return (key.component, row, key.case, json.dumps(settings, sort_keys=True))


def python_version(environment: Mapping[str, str]) -> str:
    """ "3.11": as asv writes it."""
    return ".".join(environment.get("python", "unknown").split(".")[:2])


def environment_name(environment: Mapping[str, str]) -> str:
    """`py3.11-mlx-torch`: the Python version and the extras' packages that were installed, never a path."""
    return "-".join([f"py{python_version(environment)}", *environment.get("packages", "").split("+")]).rstrip("-")
