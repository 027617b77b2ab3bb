"""How often the gate is wrong: a table for the terminal and for the documentation."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.gate.quality import Rate
from harness.report.markdown import escape

COLUMNS = ("kernel", "neighbour", "slower by", "verdicts", "fail", "pass", "inconclusive", "invalid", "other metrics fail", "median s")


def render(rates: Sequence[Rate], console: Console) -> None:
    """Print the table."""
    table = Table(*COLUMNS, box=None, padding=(0, 1))
    for row in _rows(rates):
        table.add_row(*map(Text, row))
    console.print(table)


def markdown(rates: Sequence[Rate], machine: str) -> str:
    """The table as Markdown, with machine and date."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        "# How often the gate is wrong",
        "",
        f"`harness gate --quality` on {escape(machine)}, {today}. Percent of the verdicts with the exact 95 % binomial interval.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(row) + " |" for row in _rows(rates)),
    ]
    return "\n".join(lines) + "\n"


def _rows(rates: Sequence[Rate]) -> list[tuple[str, ...]]:
    return [
        (
            rate.case,
            "busy" if rate.busy else "idle",
            f"{rate.slower:.0%}",
            str(rate.n),
            *(_share(*rate.states[state]) for state in ("fail", "pass", "inconclusive", "invalid")),
            str(rate.false_alarms),
            f"{rate.median_seconds:.1f}",
        )
        for rate in rates
    ]


def _share(point: float, low: float, high: float) -> str:
    return f"{100 * point:.0f} [{100 * low:.1f}, {100 * high:.1f}]"
