"""The ledger of claims: in a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.claims import STATUSES, Entry
from harness.metrics import Absent
from harness.report import text
from harness.report.json import value_of
from harness.report.markdown import escape
from harness.report.terminal import TABLE_WIDTH

VERSION = 1
COLUMNS = ("claim", "stated", "measured here", "status", "why")
_WIDTHS = (4, 2, 3, 2, 4)
_STYLES = {"held": "green", "not held": "bold red", "contradicts itself": "magenta", "unreachable": "magenta"}


def render(entries: Sequence[Entry], console: Console) -> None:
    """Print the ledger by document: a table, or paragraphs where it is too narrow for one."""
    for source in dict.fromkeys(entry.claim.source for entry in entries):
        console.print(Text(text.clean(source), style="bold cyan"))
        mine = [entry for entry in entries if entry.claim.source == source]
        (_table if console.width >= TABLE_WIDTH else _paragraphs)(mine, console)
    console.print()
    console.print(Text(summary(entries)))


def markdown(entries: Sequence[Entry]) -> str:
    """The ledger as Markdown, a table per document, ending with a line break."""
    parts = [f"# Claims\n\n{escape(summary(entries))}"]
    for source in dict.fromkeys(entry.claim.source for entry in entries):
        rows = [_cells(entry) for entry in entries if entry.claim.source == source]
        lines = [COLUMNS, ("---",) * len(COLUMNS), *(tuple("<br>".join(map(escape, cell)) for cell in row) for row in rows)]
        parts.append(f"## {escape(source)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def as_json(entries: Sequence[Entry]) -> str:
    """The ledger as one JSON object, ending with a line break."""
    counts = {status: sum(entry.status == status for entry in entries) for status in STATUSES}
    body = {"schema": VERSION, "counts": counts, "claims": [_body(entry) for entry in entries]}
    return json.dumps(body, allow_nan=False, indent=2) + "\n"


def measured(entry: Entry) -> tuple[str, ...]:
    """What was measured, with its interval, and on which row, machine and day; empty without a measurement.

    What was not measured but modelled, computed or simulated says so.
    """
    if isinstance(entry.value, Absent) or (entry.value is None and not entry.seen):
        return ()
    found = entry.seen if entry.value is None else text.measured(entry.claim.metric, entry.value)
    how = "" if entry.how == "measured" else f"{entry.how}: "
    return (text.sentence(found), text.sentence(f"{how}{entry.row}, {entry.date[:10]}, {entry.machine}"))


def summary(entries: Sequence[Entry]) -> str:
    """How many claims have which status, in one line."""
    counts = [(status, sum(entry.status == status for entry in entries)) for status in STATUSES]
    return f"{len(entries)} claims: " + ", ".join(f"{count} {status}" for status, count in counts if count)


def _cells(entry: Entry) -> tuple[tuple[str, ...], ...]:
    """A line of the table: the lines of each of COLUMNS."""
    claim = entry.claim
    names = (text.clean(claim.id), text.sentence(claim.says))
    return (names, (text.clean(claim.bound),), measured(entry) or (text.NOTHING,), (entry.status,), (text.sentence(entry.reason),))


def _table(entries: Sequence[Entry], console: Console) -> None:
    table = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column, ratio in zip(table.columns, _WIDTHS, strict=True):
        column.ratio, column.overflow = ratio, "fold"
    table.expand = True
    for entry in entries:
        (name, says), *cells = _cells(entry)
        shown = [Text("\n".join(cell), style=_STYLES.get(entry.status, "yellow") if cell == (entry.status,) else "") for cell in cells]
        table.add_row(Text.assemble((name, "bold"), "\n", says), *shown)
    console.print(table)


def _paragraphs(entries: Sequence[Entry], console: Console) -> None:
    for entry in entries:
        name, says = text.clean(entry.claim.id), text.sentence(entry.claim.says)
        console.print(Text.assemble((f"  {entry.status}: ", _STYLES.get(entry.status, "yellow")), (name, "bold"), f": {says}"))
        found = measured(entry)
        shown = f"{text.clean(entry.claim.bound)}: found {', '.join(found)}" if found else text.clean(entry.claim.bound)
        for line in filter(None, (shown, text.sentence(entry.reason))):
            console.print(Padding(Text(line), (0, 0, 0, 6), expand=False))


def _body(entry: Entry) -> dict[str, Any]:
    claim = entry.claim
    stated = {name: getattr(claim, name) for name in ("component", "metric", "at_most", "at_least", "implementation", "case")}
    found: dict[str, Any] = {
        "id": claim.id, "source": claim.source, "says": claim.says, "status": entry.status, "reason": entry.reason,
        "stated": {**{name: value for name, value in stated.items() if value is not None}, "settings": dict(claim.settings)},
    }  # fmt: skip
    if measured(entry):
        value = {"seen": entry.seen} if entry.value is None else value_of(claim.metric, entry.value)
        found["measured"] = {**value, "how": entry.how, "row": entry.row, "machine": entry.machine, "date": entry.date}
    return found
