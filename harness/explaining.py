"""`harness explain`: where the time and the memory of a row go, and what changed since a commit or beside another row."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness import options as asked
from harness.commands import alone, context_of
from harness.settings import ConfigurationError

if TYPE_CHECKING:
    from harness.context import Context
    from harness.gate.session import Sides
    from harness.profiling import Explanation, Subject
    from harness.record import Planned
    from harness.verdict import Answer, Verdicts

FAILED_SECONDS, FAILED_LONGEST, FAILED_PATIENCE = 4.0, 10.0, 60.0
"""After a failed gate: of sampling, for each side; the longest call that is explained; for any single command."""

OF_CALLS = ("seconds_per_call", "throughput_per_second", "latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds")
"""Metrics that a profile of calls explains; the bytes of `peak_bytes` are in the memory profile."""


def explain(options: argparse.Namespace) -> int:
    """Profile one row, alone or against another one."""
    from harness.gate import door
    from harness.measure.process import WorkerFailed
    from harness.profiling import Unsampled
    from harness.report import explanation
    from harness.report.console import console, progress, say

    asked.check_explain(options)
    sides = door.given_sides()
    context, screen = context_of(options), console()
    row = _row(context, options.row, options.case)
    other = _implementation(context, row, options.against) if options.against else None
    if options.against and other is None and sides is None:
        return door.enter(_build(options.against, row.component), options.arguments)
    against = _side(context, row, sides, "base") if sides is not None else _subject(context, other) if other is not None else None
    try:
        with alone(options), progress("explaining") as show:
            found = _explained(context, row, against, sides, seconds=options.seconds, note=show)
    except WorkerFailed as failure:
        say(f"nothing to explain: {failure.outcome.message}; `harness run {row.component}.{row.implementation}` judges it")
        return 1
    except Unsampled as error:
        raise ConfigurationError(str(error)) from None
    explanation.render(found, screen)
    folder = options.output or _folder(row, options.against)
    for path in explanation.write(found, folder):
        screen.print(f"  {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def after_gate(verdicts: Verdicts, context: Context, sides: Sides, folder: Path, note: Callable[[str], None]) -> Verdicts:
    """The verdicts, with what a profile of both sides says of the row that became worse most; files of it are in `folder`.

    What cannot be found out is said there, too; no state changes.
    """
    from harness.report import explanation

    rows = list(verdicts.rows)
    for place, answer in guilty(verdicts)[:1]:
        row = rows[place]
        where = folder / _name(row.planned)
        try:
            found = _explained(
                context,
                row.planned,
                _side(context, row.planned, sides, "base"),
                sides,
                seconds=FAILED_SECONDS,
                longest=FAILED_LONGEST,
                patience=FAILED_PATIENCE,
                memory_too=answer.metric == "peak_bytes",
                note=note,
            )
            explanation.write(found, where)
            said = explanation.summary(found) if answer.metric != "peak_bytes" else explanation.memory_summary(found)
            text = f"where: {said}; flame graphs in {where}"
        except (Exception, KeyboardInterrupt) as error:  # whatever it is, the verdict stands and is to be shown
            text = f"not explained: {str(error) or 'interrupted'}"
        told = dataclasses.replace(answer, notes=(*answer.notes, text))
        rows[place] = dataclasses.replace(row, answers=tuple(told if one is answer else one for one in row.answers))
    return dataclasses.replace(verdicts, rows=tuple(rows))


def guilty(verdicts: Verdicts) -> list[tuple[int, Answer]]:
    """(place of the row, its answer) of regressions that a profile can explain: of time before memory, the largest first."""
    from harness.stats import Interval

    found: list[tuple[float, int, Answer]] = []
    for place, row in enumerate(verdicts.rows):
        bad = [answer for answer in row.of("regression") if answer.state == "fail" and answer.metric in (*OF_CALLS, "peak_bytes")]
        # A slower call is the cause, its latency a consequence.
        bad.sort(key=lambda answer: (*OF_CALLS, "peak_bytes").index(answer.metric))
        if bad and isinstance(bad[0].value, Interval):
            found.append((bad[0].value.point, place, bad[0]))
    return [(place, answer) for _, place, answer in sorted(found, key=lambda one: (one[2].metric == "peak_bytes", -one[0]))]


def _explained(
    context: Context,
    row: Planned,
    against: Subject | None,
    sides: Sides | None,
    *,
    note: Callable[[str], None],
    **options: Any,
) -> Explanation:
    """The row as it is installed, or as head has it; `profiling.explain` says what the options are."""
    from harness import profiling
    from harness.measure.workload import Workload

    component = context.registry.components[row.component]
    subject = _subject(context, row) if sides is None else _side(context, row, sides, "head")
    return profiling.explain(
        subject,
        Workload(component, row.case),
        title=f"{row.component}.{row.row} on {row.case}",
        unit=component.unit.name,
        against=against,
        note=note,
        **options,
    )


def _build(ref: str, component: str) -> Sides:
    """The working tree and a commit of the distribution in the current folder, as the gate builds them."""
    from harness.files import data_folder
    from harness.gate.session import Sides
    from harness.gate.sides import BuildFailed, build, project_distribution
    from harness.report.console import progress

    cache = data_folder() / "sides"
    try:
        distribution = project_distribution()
        with progress("building") as show:
            base = build(distribution, ref, "base", cache=cache, note=show)
            return Sides(build(distribution, None, "head", cache=cache, note=show), base, base)
    except (BuildFailed, ConfigurationError) as failure:
        raise ConfigurationError(f"--against {ref}: no implementation of {component}, and no commit to compare with: {failure}") from None


def _row(context: Context, name: str, case: str | None) -> Planned:
    """The row that `component.implementation` names, on a case; its variants need their settings."""
    component, dot, implementation = name.partition(".")
    registry = context.registry
    if not dot or implementation not in registry.implementations(component):
        registry.select([name])  # says what is known, or why it is broken
        raise ConfigurationError(f"expected one component.implementation, found {name!r}; `harness list {name}` shows them")
    quick = next(one.name for one in registry.components[component].cases if one.quick)
    plan = context.plan([name], cases=(case or quick,))
    for row in plan.planned:
        if row.implementation == implementation:
            return row
    reasons = [out.reason for out in plan.unavailable if out.implementation == implementation]
    raise ConfigurationError(f"{name} cannot run here: {reasons[0] if reasons else 'it has no row under these settings'}")


def _implementation(context: Context, row: Planned, against: str) -> Planned | None:
    """The row of another implementation of the component, on the same case; None where `against` names none (then it is a commit)."""
    name = against.removeprefix(f"{row.component}.")
    if name not in context.registry.implementations(row.component):
        return None
    if name == row.implementation:
        raise ConfigurationError(f"--against {against}: expected another implementation than the one that is explained, or a commit")
    return _row(context, f"{row.component}.{name}", row.case)


def _subject(context: Context, row: Planned) -> Subject:
    """A row as it is installed here."""
    from harness.measure.process import pins
    from harness.profiling import Subject

    settings = context.settings.merged(dict(row.settings))
    return Subject(
        name=row.row,
        implementation=context.registry.implementations(row.component)[row.implementation],
        value=context.registry.entry(f"{row.component}.{row.implementation}").value,
        settings=row.settings,
        environment=pins(settings.threads, context.profile.environment),
        affinity=settings.affinity or (),
    )


def _side(context: Context, row: Planned, sides: Sides, which: Literal["head", "base"]) -> Subject:
    """The row as one side of a comparison has it."""
    side = sides.head if which == "head" else sides.base
    entry = side.entries.get(f"{row.component}.{row.implementation}")
    if entry is None or entry.broken or entry.unavailable:
        reason = "it is not registered there" if entry is None else entry.broken or entry.unavailable
        raise ConfigurationError(f"{row.component}.{row.implementation} cannot run in {which} ({side.commit[:12]}): {reason}")
    return dataclasses.replace(_subject(context, row), name=which, value=entry.value, paths=side.paths, python=str(side.python))


def _folder(row: Planned, against: str | None) -> Path:
    """Where the files go that nobody named a place for: beside the records."""
    from harness.store import default_folder

    beside = f"-against-{re.sub(r'[^A-Za-z0-9._-]', '-', against)}" if against else ""
    return default_folder().parent / "explain" / f"{_name(row)}{beside}"


def _name(row: Planned) -> str:
    return re.sub(r"[^A-Za-z0-9._=-]", "-", f"{row.component}.{row.row}-{row.case}").strip("-")
