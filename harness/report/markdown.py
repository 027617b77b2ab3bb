"""Verdicts as Markdown (GitHub flavour): for pull requests, job summaries and files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.report import realtime, view
from harness.report.view import Group, Note
from harness.verdict import Verdicts

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&|~#!$])")
# At the start of a line these begin a list, a numbered list, or underline a heading.
_LEADING = re.compile(r"^(\d*)([-+=.)])(?=[\s=-]|$)")


def render(verdicts: Verdicts) -> str:
    """What is not green, the plan, the table, the other notes and what to do next, ending with a line break."""
    parts, notes = [f"**{escape(view.summary(verdicts))}**"], view.notes(verdicts)
    if causes := [note for note in notes if note.state]:
        parts.append("\n".join(f"- {_note(note)}" for note in causes))
    if verdicts.plan:
        parts.append(_list(view.plan_lines(verdicts.plan)))
    shown = None
    for group in view.groups(verdicts):
        if (group.component, group.case) != shown:
            shown = (group.component, group.case)
            parts.append(f"### {escape(group.component)} / {escape(group.case)}")
        if group.kind:
            parts.append(f"*{escape(group.kind)}*")
        parts.append(_table(group))
        if group.chunks:
            parts.append(_grid(("in chunks", *view.CHUNKS), group.chunks))
    for table in realtime.tables(verdicts):
        parts += [f"### {escape(table.title)}", _grid(table.columns, table.lines)]
    rest, steps = [_note(note) for note in notes if not note.state], list(map(_step, view.next_steps(verdicts)))
    for title, lines in (("Notes", rest), ("Next", steps)):
        if lines:
            parts.append(f"#### {title}\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """One line of plain text as Markdown that shows exactly that text, also in a table cell."""
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", " ".join(text.split())))


def code(text: str) -> str:
    """The text as inline code, fenced by more backticks than it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _note(note: Note) -> str:
    state, command = f"**{note.state}** " if note.state else "", f"<br>reproduce: {code(note.command)}" if note.command else ""
    return state + escape(f"{note.where}: {note.message}" if note.where else note.message) + command


def _step(step: str) -> str:
    """Our own advice holds commands between backticks."""
    return "".join(code(part) if number % 2 else _SPECIAL.sub(r"\\\1", part) for number, part in enumerate(step.split("`")) if part)


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _table(group: Group) -> str:
    header = "| " + " | ".join(" / ".join(column) for column in view.COLUMNS) + " |"
    rule = "|" + "---|" * len(view.COLUMNS)
    rows = ["| " + " | ".join("<br>".join(escape(value) for value in cell) for cell in line.cells) + " |" for line in group.lines]
    return "\n".join([header, rule, *rows])


def _grid(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *([escape(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
