"""What a gate sets out to compare: head's rows that base has too; what only one of them has is said, and never silently green."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.gate.decide import LAUNCHES
from harness.gate.sides import Entry, Side
from harness.metrics import Key, key
from harness.record import Plan, Planned
from harness.verdict import Problem


@dataclass(frozen=True)
class Expected:
    """plan: the rows of head that are measured. alone: those that base lacks, with what to say of them."""

    plan: Plan
    alone: dict[Key, str]
    problems: tuple[Problem, ...]


def expected(plan: Plan, head: Side, base: Side, patterns: Sequence[str] = ()) -> Expected:
    """The gate's plan, out of all that could be measured here (`plan`): the optimized rows of head's own distribution."""
    own = [row for row in plan.planned if row.role == "optimized" and _name(row) in head.entries]
    rows = tuple(dataclasses.replace(row, launches=LAUNCHES) for row in own)
    mine = {item.name: item for item in head.entries.values()}
    gone = [item for item in plan.unavailable if f"{item.component}.{item.implementation}" in mine]
    new = f"new: {base.commit[:12]} has no such row, so it has nothing to regress from"
    alone = {key(row): new for row in rows if not _known(row, base)}
    return Expected(
        dataclasses.replace(plan, planned=rows, unavailable=tuple(gone)),
        alone,
        (*_contracts(rows, head, base), *_missing(rows, head, base, patterns)),
    )


def _known(row: Planned, base: Side) -> bool:
    entry = base.entries.get(_name(row))
    if entry is None or not set(row.settings) <= set(entry.settings):
        return False
    if not row.variant:
        return entry.plain
    return any(dict(variant) == dict(row.variant) for variant in entry.variants) or set(row.variant) <= set(entry.settings)


def _contracts(rows: Sequence[Planned], head: Side, base: Side) -> Iterator[Problem]:
    """Components of the distribution that promise something else now: their times are not those of the same work."""
    for name in dict.fromkeys(row.component for row in rows):
        now, before = head.entries.get(name), base.entries.get(name)
        if now is None or before is None:
            continue
        if before.broken:
            yield Problem("invalid", f"component {name} cannot be read in base ({before.broken}): nothing can be compared with it")
        elif now.version != before.version:
            yield Problem(
                "invalid",
                f"component {name} has contract version {now.version} in head and {before.version} in base: they do other work; "
                "compare with a commit of the same contract",
            )


def _missing(rows: Sequence[Planned], head: Side, base: Side, patterns: Sequence[str]) -> Iterator[Problem]:
    """What base has and head has not is code that was lost, or renamed: it would be a regression that nobody sees."""
    compared = {_name(row) for row in rows}
    for entry in base.entries.values():
        if not _selected(entry.name, patterns) or entry.broken or entry.unavailable:
            continue
        if entry.kind == "component":
            now = head.entries.get(entry.name)
            lost = [case for case in entry.cases if now is not None and case not in now.cases]
            if now is None or now.broken:
                yield Problem("missing", f"component {entry.name}: base has it, head {_why(now)}")
            elif lost and now.version == entry.version:
                yield Problem("missing", f"component {entry.name}: base has the cases {', '.join(lost)}, head has not; raise its version")
        elif entry.role == "optimized" and entry.name not in compared:
            yield Problem("missing", f"{entry.name}: base runs it here, head {_why(head.entries.get(entry.name))}")


def _why(entry: Entry | None) -> str:
    if entry is None:
        return "does not have it (removed, or renamed)"
    return f"cannot: {entry.broken or entry.unavailable or 'it is not selected'}"


def _selected(name: str, patterns: Sequence[str]) -> bool:
    heads = (name, name.partition(".")[0])
    return not patterns or any(fnmatch.fnmatchcase(head, pattern) for head in heads for pattern in patterns)


def _name(row: Planned) -> str:
    return f"{row.component}.{row.implementation}"
