"""The ledger of claims: in a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.claims import STATUSES, Entry
from harness.metrics import Absent
from harness.report import text
from harness.report.markdown import escape

_STYLES = {"held": "green", "not held": "bold red", "contradicts itself": "magenta", "unreachable": "magenta"}


def render(entries: Sequence[Entry], console: Console) -> None:
    """Print the ledger: by document, each claim with its status, what was measured, and why."""
    source = None
    for entry in entries:
        if entry.claim.source != source:
            source = entry.claim.source
            console.print(Text(text.clean(source), style="bold cyan"))
        console.print(Text.assemble((f"  {entry.status}: ", _STYLES.get(entry.status, "yellow")), (text.clean(entry.claim.id), "bold"),
                                    f": {text.sentence(entry.claim.says)}"))  # fmt: skip
        for line in filter(None, (found(entry), text.sentence(entry.reason))):
            console.print(Padding(Text(line), (0, 0, 0, 6), expand=False))
    console.print()
    console.print(Text(summary(entries)))


def markdown(entries: Sequence[Entry]) -> str:
    """The ledger as a Markdown table, ending with a line break."""
    rows = [
        (text.clean(e.claim.id), text.sentence(e.claim.says), text.clean(e.claim.bound), e.status, found(e), text.sentence(e.reason))
        for e in entries
    ]
    table = ["| claim | says | shown by | status | measured | why |", "|---|---|---|---|---|---|"]
    table += ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]
    return f"{escape(summary(entries))}\n\n" + "\n".join(table) + "\n"


def found(entry: Entry) -> str:
    """What was measured, on which row, machine and day; empty without a measurement."""
    if entry.value is None or isinstance(entry.value, Absent):
        return ""
    value = text.measured(entry.claim.metric, entry.value)
    return text.clean(f"{entry.claim.bound}: found {value}, {entry.row}, {entry.date[:10]} on {entry.machine}")


def summary(entries: Sequence[Entry]) -> str:
    """How many claims have which status, in one line."""
    counts = [(status, sum(entry.status == status for entry in entries)) for status in STATUSES]
    return f"{len(entries)} claims: " + ", ".join(f"{count} {status}" for status, count in counts if count)
