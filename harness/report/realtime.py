"""The real-time proof in a terminal: controls, a table of callbacks and one of results, why what is not green is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from harness.metrics import EMPTY, FALLBACK, Value
from harness.realtime.controls import Controlled
from harness.report import text, view
from harness.report.terminal import STYLES, render_notes
from harness.report.text import NOTHING
from harness.stats import Interval
from harness.verdict import Row, Verdicts, exit_code

CALLBACKS = ("block", "misses", "run p50 / p99 / p99.9 us", "wake p50 / p99 / max us", "blocked", "preempted", "faults", "allocs", "locks",
             "latency", "verdict")  # fmt: skip
RESULTS = ("block", "results", "age p50 / p99 / max ms", "skipped", "dropped", "torn", "not finite", "fallback")


@dataclass(frozen=True)
class Table:
    """One table: of what, its columns, its lines; the last cell of a line of callbacks is its state."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def tables(verdicts: Verdicts) -> list[Table]:
    """Per implementation: its callbacks, each with the empty one that took turns with it, and their results."""
    rows = [row for row in verdicts.rows if row.of("realtime")]
    found = []
    for name in dict.fromkeys(map(_name, rows)):
        mine = [row for row in rows if _name(row) == name]
        callbacks = [line for row in mine for line in ((*_callback(row), row.state), (*_empty(row), ""))]
        found.append(Table(f"{name}: callbacks, and the empty one beside each", CALLBACKS, tuple(callbacks)))
        results = [_results(row) for row in mine if "seen" in row.metrics]
        if results:
            found.append(Table(f"{name}: results used by the callbacks", RESULTS, tuple(results)))
    return found


def render(verdicts: Verdicts, controls: Sequence[Controlled], console: Console) -> None:
    """Print the controls, the tables, the notes and the summary."""
    right = sum(not one.problem for one in controls)
    console.print(Text(f"controls: {right} of {len(controls)} detectors are right here, now"))
    for table in tables(verdicts):
        console.print()
        console.print(Text(table.title, style="bold cyan"))
        grid = Grid.grid(padding=(0, 2, 0, 0))
        grid.add_row(*(Text(column, style="bold") for column in table.columns))
        for line in table.lines:
            grid.add_row(*map(Text, line[:-1]), Text(line[-1], style=STYLES.get(line[-1], "")))
        console.print(grid)
    render_notes(view.notes(verdicts), console)
    console.print()
    style = {0: "bold green", 3: "bold yellow", 4: "bold magenta"}.get(exit_code(verdicts), "bold red")
    console.print(Text(view.summary(verdicts), style=style))


def _name(row: Row) -> str:
    return text.clean(f"{row.planned.component}.{row.planned.row}")


def _callback(row: Row) -> tuple[str, ...]:
    return (text.clean(row.planned.case), *_times(row.metrics), f"{_count(row.metrics, 'latency_samples')} samples")


def _empty(row: Row) -> tuple[str, ...]:
    metrics = {name.removeprefix(EMPTY): value for name, value in row.metrics.items() if name.startswith(EMPTY)}
    return ("  empty", *_times(metrics), NOTHING)


def _times(metrics: Mapping[str, Value]) -> tuple[str, ...]:
    return (
        f"{_count(metrics, 'misses')} of {_count(metrics, 'callbacks')}",
        _several(metrics, 1e6, *(f"callback_{name}_seconds" for name in ("p50", "p99", "p999"))),
        _several(metrics, 1e6, *(f"wake_{name}_seconds" for name in ("p50", "p99", "max"))),
        *(_count(metrics, name) for name in ("voluntary", "involuntary", "faults", "allocations", "locks")),
    )


def _results(row: Row) -> tuple[str, ...]:
    metrics = row.metrics
    shares = {name: value for name, value in metrics.items() if name.startswith(FALLBACK)}
    flagged = [f"{name.removeprefix(FALLBACK)} {text.point(name, value)}" for name, value in shares.items()]
    return (
        text.clean(row.planned.case),
        _count(metrics, "seen"),
        _several(metrics, 1e3, *(f"age_{name}_seconds" for name in ("p50", "p99", "max"))),
        *(_count(metrics, name) for name in ("skipped", "dropped", "torn", "unfinite")),
        text.clean(", ".join(flagged)) or "none",
    )


def _count(metrics: Mapping[str, Value], name: str) -> str:
    value = metrics.get(name)
    return f"{value.point:.0f}" if isinstance(value, Interval) else NOTHING


def _several(metrics: Mapping[str, Value], scale: float, *names: str) -> str:
    """Quantiles of one time in one unit, so that they compare at a glance."""
    found = [value.point for name in names if isinstance(value := metrics.get(name), Interval)]
    return " / ".join(text.significant(scale * one) for one in found) or NOTHING
