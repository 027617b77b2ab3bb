"""What a program tells the ledger of claims: a figure that no session of `harness run` records.

The program calls `tell` where it prints the figure. Under `harness claims --show` the figures are kept; elsewhere they go nowhere.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from typing import Literal, get_args

FILE = "HARNESS_FIGURES"
"""The environment variable that names the file which figures are appended to, a line of JSON each."""

How = Literal["measured", "modelled", "computed", "simulated"]
"""measured: timed or counted on what ran. modelled: follows from measurements by a stated model. computed: from sizes alone. simulated: on
outcomes that were drawn."""


@dataclass(frozen=True)
class Figure:
    """metric: as the claim names it. low, high: the interval around value; all three are equal where there is no chance in it.

    of: what it is a figure of, in a few words. limit: nothing can do better, so a claim of more is unreachable, and one of less not shown.
    """

    metric: str
    value: float
    low: float
    high: float
    how: How
    of: str
    limit: bool = False

    def __post_init__(self) -> None:
        if self.how not in get_args(How):
            raise ValueError(f"{self.metric}: how: expected {', '.join(get_args(How))}, found {self.how!r}")
        if not all(map(math.isfinite, (self.low, self.value, self.high))) or not self.low <= self.value <= self.high:
            raise ValueError(f"{self.metric}: expected finite low <= value <= high, found {self.low}, {self.value}, {self.high}")


def tell(metric: str, value: float, how: How, of: str, *, interval: tuple[float, float] | None = None, limit: bool = False) -> None:
    """Tell a figure (`Figure` says what each part is); ValueError where it cannot be one. interval: (low, high), needed by a time."""
    low, high = interval or (value, value)
    figure = Figure(metric, float(value), float(low), float(high), how, of, limit)
    if path := os.environ.get(FILE):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figure), allow_nan=False) + "\n")
