"""Verdicts in a terminal: the plan, one table, why what is not green is not, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.record import Plan
from harness.report import view
from harness.report.text import NOTHING
from harness.report.view import Group, Line, Note
from harness.verdict import Verdicts, exit_code

TABLE_WIDTH = 100
"""Below this many columns rows are written as paragraphs: a table would break its own cells."""

STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "invalid": "bold magenta", "no target": "", None: "dim"}
_WIDEST = (26, 16, 36, 9, 9, 9, 22)
_NARROWEST = (14, 11, 20, 8, 8, 8, 14)
_GIVES_WAY = (0, 6, 1, 2)
"""Columns that fold when the terminal is narrow, in this order: names first, figures never."""


def render(verdicts: Verdicts, console: Console, *, plan: bool = True, recorded: bool = False) -> None:
    """Print the verdicts; `plan=False` where the plan was printed before the run. recorded: the history was asked for."""
    if plan and verdicts.plan:
        render_plan(verdicts.plan, console)
    groups = view.groups(verdicts)
    if groups:
        console.print()
        (_table if console.width >= TABLE_WIDTH else _paragraphs)(groups, console)
    render_notes(view.notes(verdicts), console)
    console.print()
    for step in view.next_steps(verdicts, recorded=recorded):
        console.print(Text(f"next: {step}"))
    style = {0: "bold green", 3: "bold yellow", 4: "bold magenta"}.get(exit_code(verdicts), "bold red")
    console.print()
    console.print(Text(view.summary(verdicts), style=style))


def render_plan(plan: Plan, console: Console) -> None:
    """Print what a session sets out to measure: the expected set."""
    for line in view.plan_lines(plan):
        console.print(Text(line))


def _table(groups: Sequence[Group], console: Console) -> None:
    gap = 2 if console.width >= 110 else 1
    widths = _widths([line for group in groups for line in group.lines], console.width, gap)
    header = _grid(widths, gap)
    header.add_row(*(Text("\n".join(name), style="bold") for name in view.COLUMNS))
    console.print(header)
    for group, heading in _headings(groups):
        _print_heading(group, heading, console)
        grid = _grid(widths, gap)
        for line in group.lines:
            grid.add_row(*(Text("\n".join(cell), style=_style(line, column)) for column, cell in enumerate(line.cells)))
        console.print(grid)
        if group.chunks:
            console.print(_indented(_chunks(group.chunks), 2))


def _chunks(rows: Sequence[Sequence[str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    for title in view.CHUNKS:
        grid.add_column(min_width=len(title), no_wrap=True)
    grid.add_row(*(Text(title, style="italic") for title in ("in chunks", *view.CHUNKS)))
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid


def _grid(widths: Sequence[int], gap: int) -> Table:
    grid = Table.grid(padding=(0, gap, 0, 0))
    for width in widths:
        grid.add_column(width=width, overflow="fold")
    return grid


def _widths(lines: Iterable[Line], console: int, gap: int) -> list[int]:
    """As wide as its cells, so long as all fit; else long cells fold, and where that is not enough, all that may."""
    found = [max(map(cell_len, name)) for name in view.COLUMNS]
    for line in lines:
        found = [max(width, *map(cell_len, cell)) for width, cell in zip(found, line.cells, strict=True)]
    excess = sum(found) + gap * len(found) - console
    for least in (_WIDEST, _NARROWEST):
        for column in _GIVES_WAY:
            less = min(max(excess, 0), max(found[column] - least[column], 0))
            found[column] -= less
            excess -= less
    return found


def _headings(groups: Sequence[Group]) -> Iterable[tuple[Group, bool]]:
    """Each group, and whether it begins another component or case."""
    shown = None
    for group in groups:
        yield group, (group.component, group.case) != shown
        shown = (group.component, group.case)


def _print_heading(group: Group, heading: bool, console: Console) -> None:
    if heading:
        console.print(Text(f"{group.component} / {group.case}", style="bold cyan"))
    if group.kind:
        console.print(_indented(Text(group.kind, style="italic"), 2))


def _indented(text: Text | Table, by: int) -> Padding:
    return Padding(text, (0, 0, 0, by), expand=False)


def _paragraphs(groups: Sequence[Group], console: Console) -> None:
    for group, heading in _headings(groups):
        _print_heading(group, heading, console)
        for line in group.lines:
            (name,), *cells, verdict = line.cells
            console.print(_indented(Text.assemble((name, "bold"), "  ", (", ".join(verdict), _style(line, len(cells) + 1))), 2))
            for title, cell in zip(view.COLUMNS[1:], cells, strict=False):
                if any(value != NOTHING for value in cell):
                    console.print(_indented(Text(f"{' / '.join(title)}: {', '.join(cell)}"), 4))
            if line.chunks:
                figures = (f"{title} {figure}" for title, figure in zip(view.CHUNKS, line.chunks, strict=True))
                console.print(_indented(Text(f"in chunks: {', '.join(figures)}"), 4))


def _style(line: Line, column: int) -> str:
    if column == len(line.cells) - 1:
        return STYLES[line.state] if line.role == "optimized" else "dim"
    return "bold" if column == 0 and line.role == "optimized" else ""


def render_notes(notes: Sequence[Note], console: Console) -> None:
    """Print why what is not green is not."""
    if notes:
        console.print()
    for note in notes:
        where = f"{note.where}: " if note.where else ""
        console.print(Text.assemble((f"{note.state or 'note'}: ", STYLES[note.state]), f"{where}{note.message}"))
        if note.command:
            console.print(_indented(Text(f"reproduce: {note.command}"), 4))
