"""What records say in numbers: each metric of a row on a case, one value per launch, an interval over launches."""

from harness.metrics.names import (
    EMPTY,
    FALLBACK,
    METRICS,
    PERCENTILES,
    REALTIME,
    SPEEDUP,
    About,
    Absent,
    Better,
    Key,
    Unit,
    Value,
    about,
    key,
)  # fmt: skip
from harness.metrics.ratios import speedups
from harness.metrics.series import Clock, floor_value, metrics_of, of_launch, rejected_share

__all__ = [
    "EMPTY", "FALLBACK", "METRICS", "PERCENTILES", "REALTIME", "SPEEDUP", "About", "Absent", "Better", "Clock", "Key", "Unit", "Value",
    "about", "floor_value", "key", "metrics_of", "of_launch", "rejected_share", "speedups",
]  # fmt: skip
