"""The section of a component: its charts, its table, its targets, and what its parity says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.metrics import Key
from harness.parity import ParityResult
from harness.record import Record
from harness.report import text, view
from harness.report.html import pictures, plots
from harness.report.html.markup import Child, Markup, tag
from harness.report.html.parts import bar, chip, command, figures, kept, lines, section, table
from harness.report.view import Block, Group, Line, Note
from harness.stats import Interval
from harness.targets import Target
from harness.verdict import Answer, Row, State

WORST: tuple[State, ...] = ("invalid", "fail", "inconclusive", "no target", "pass")


def state_of(rows: Sequence[Row]) -> State:
    """The worst answer that counts among the rows of a component."""
    states = {answer.state for row in rows for answer in row.judged if row.planned.role == "optimized" or answer.state == "invalid"}
    good: State = "pass" if "pass" in {row.state for row in rows if row.planned.role == "optimized"} else "no target"
    return next((state for state in WORST[:3] if state in states), good)


def render(
    name: str,
    identity: str,
    groups: Sequence[Group],
    blocks: Sequence[Block],
    *,
    notes: Sequence[Note],
    records: Mapping[Key, Sequence[Record]],
) -> Markup:
    """groups, blocks, notes: its own. records: of all rows."""
    rows = [row for block in blocks for row in block.rows]
    return section(
        identity,
        name,
        tag("p", chip(state_of(rows)), " ", tag("span", _facts(rows), class_="muted")),
        _folded(_many(len(notes), "reason") + " why it is not green", notes_list(notes)) if notes else None,
        figures([*_pictures(rows, identity), *plots.of_component(blocks, records, identity)]),
        [[_table(group), _chunks(group)] for group in groups],
        _targets(rows),
        _parity(rows),
        class_="component",
    )


def notes_list(notes: Sequence[Note]) -> Markup:
    """Why each thing that is not green is not."""
    return tag("ul", [tag("li", _note(note)) for note in notes], class_="notes")


def _note(note: Note) -> list[Child]:
    return [
        chip(note.state) if note.state else None, " ", tag("b", note.where) if note.where else None, " ", note.message,
        tag("span", "reproduce: ", command(note.command), class_="again") if note.command else None,
    ]  # fmt: skip


def _facts(rows: Sequence[Row]) -> str:
    """What was measured of it, in a line."""
    cases = dict.fromkeys(row.planned.case for row in rows)
    units = dict.fromkeys(row.unit for row in rows if row.unit)
    launches = sum(row.launches for row in rows)
    return text.clean(f"{len(rows)} rows on {', '.join(cases)}; {launches} launches; unit of work: {', '.join(units) or 'unknown'}")


def _table(group: Group) -> Markup:
    kind = f": {group.kind}" if group.kind else ""
    columns = [" / ".join(column) for column in view.COLUMNS]
    return table(f"{group.component} / {group.case}{kind}", columns, [_cells(line) for line in group.lines], class_="rows")


def _chunks(group: Group) -> Markup | None:
    title = f"{group.component} / {group.case}: outputs in chunks"
    return table(title, ("row", *view.CHUNKS), group.chunks) if group.chunks else None


def _cells(line: Line) -> list[Child]:
    (name,), *cells, (verdict, *targets) = line.cells
    shown: Child = chip(line.state, verdict) if line.role == "optimized" else tag("span", verdict, class_="muted")
    return [tag("span", name, class_=line.role), *map(lines, cells), [shown, lines(targets)]]


def _targets(rows: Sequence[Row]) -> Markup | None:
    found = [(row, answer, answer.target) for row in rows for answer in row.of("target") if answer.target is not None]
    if not found:
        return None
    chosen, left = kept([answer.state == "pass" for _, answer, _ in found])
    columns = ("row", "target", "bound in the middle, tinted where it is met", "found", "verdict", "profile and source")
    shown = table(f"Targets: each bound and what was found{left}", columns, [_target(*found[number]) for number in chosen])
    return _folded(_many(len(found), "target"), shown)


def _target(row: Row, answer: Answer, target: Target) -> tuple[Child, ...]:
    value = answer.value
    return (
        f"{view.name(row)} on {row.planned.case}",
        target.words,
        bar(target, value) if isinstance(value, Interval) else None,
        text.sentence(text.measured(answer.metric, value)),
        [chip(answer.state), lines([text.sentence(note) for note in answer.notes])],
        text.sentence(f"{target.profile}, {target.kind}: {target.source}"),
    )


def _parity(rows: Sequence[Row]) -> Markup | None:
    found = [(row, result) for row in rows for result in row.parity]
    if not found:
        return None
    columns = ("row and output", "kind", "how much", "allowed", "where", "verdict")
    chosen, left = kept([result.passed for _, result in found])
    shown = [_result(*found[number]) for number in chosen]
    wrong = sum(not result.passed for _, result in found)
    title = f"Parity of {_many(len(found), 'output')}" + (f", {wrong} differ" if wrong else "")
    return _folded(title, table(f"Parity: where, how much, what is allowed{left}", columns, shown), open_=bool(wrong))


def _result(row: Row, result: ParityResult) -> tuple[Child, ...]:
    measured = [f"{name} {text.number(value, 'number')}" for name, value in result.measured.items()]
    equal = result.measured.get("max_abs_difference") == 0
    where = "" if result.where is None or equal else f"[{', '.join(map(str, result.where))}]"
    instead = f"; instead of {result.instead_of}" if result.instead_of else ""
    message = None if result.passed else lines([text.sentence(result.message)])
    verdict = [chip("pass" if result.passed else "fail"), message]
    name = f"{view.name(row)} on {row.planned.case}: {result.output}"
    return (name, result.kind, lines(measured), text.sentence(result.allowed + instead), where, verdict)


def _pictures(rows: Sequence[Row], identity: str) -> list[plots.Plot]:
    drawn = [(row, result) for row in rows for result in row.parity if result.picture is not None]
    return [
        pictures.render(result, f"{view.name(row)} on {row.planned.case}", f"{identity}e{number}")
        for number, (row, result) in enumerate(drawn[: pictures.MOST])
    ]


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _folded(title: str, inside: Markup, *, open_: bool = False) -> Markup:
    return tag("details", tag("summary", title), inside, open=open_)
