"""`harness gate`: build head and base, compare them inside head's own environment, judge and report; or test the gate itself."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness import options as asked
from harness.commands import INCOMPLETE, alone, conclude, context_of, not_kept, told

if TYPE_CHECKING:
    from harness.gate.session import Sides
    from harness.record import Planned

BUDGET_MINUTES = 20.0


def gate(options: argparse.Namespace) -> int:
    """Has anything become worse since a commit?"""
    from harness.gate import door
    from harness.gate.sides import BuildFailed
    from harness.report.console import progress, say
    from harness.verdict import Problem, Verdicts

    asked.check_gate(options)
    asked.check_files(options)
    if options.self_test:
        return _self_test()
    if options.quality is not None:
        with alone(options):
            return _quality(options)
    sides = door.given_sides()
    if sides is not None:
        with alone(options):
            return _compare(options, sides)
    try:
        with progress("building") as show:
            built = door.build_sides(options.base, show)
    except BuildFailed as failure:
        message = f"nothing can be compared: {failure}"
        say(message)
        return conclude(options, Verdicts(None, (), (Problem("invalid", message),)))
    return door.enter(built, options.arguments)


def _compare(options: argparse.Namespace, sides: Sides) -> int:
    """The comparison itself, in head's environment."""
    from harness import explaining, limits
    from harness.gate import compare, session
    from harness.gate.changed import same_code
    from harness.gate.expected import expected
    from harness.gate.margins import Margins
    from harness.metrics import key
    from harness.report import terminal
    from harness.report.console import console, progress
    from harness.store import Store

    context, screen = context_of(options), console()
    whole = context.plan(options.patterns, cases=options.case or ())
    owed = expected(whole, sides.head, sides.base, options.patterns)
    both = [row for row in owed.plan.planned if key(row) not in owed.alone]
    same = [] if options.all else [row for row in both if same_code(row, sides.head, sides.base)]
    plan = dataclasses.replace(owed.plan, planned=tuple(row for row in owed.plan.planned if row not in same))
    targets = context.targets(plan)
    terminal.render_plan(plan, screen)
    store = Store(context.store.folder.parent / "gate")
    ceilings, margins = limits.cached(context.machine), Margins(context.profile.margins)
    with progress("comparing") as show:
        found = session.run(
            dataclasses.replace(plan, planned=in_turn(plan.planned)),
            sides,
            context.registry,
            settings=context.settings,
            environment=context.profile.environment,
            margins=margins,
            seconds=60 * (BUDGET_MINUTES if options.budget is None else options.budget),
            alone=owed.alone,
            store=store,
            floor=limits.floor(ceilings) if ceilings else None,
            progress=lambda p: show(f"{p.row.component}.{p.row.row} on {p.row.case}: {p.doing}", p.done / max(1, p.total)),
            patience=options.patience,
        )
    verdicts = compare.verdicts(
        plan,
        found.screening,
        found=found.decisions,
        targets=targets,
        profiles=context.profile.lineage,
        alone=owed.alone,
        base=options.base,
        same=same,
        problems=(*owed.problems, *found.problems),
        notes=compare.controls(found.decisions),
    )
    if not options.no_explain and explaining.guilty(verdicts):
        with progress("explaining") as show:
            verdicts = explaining.after_gate(verdicts, context, sides, context.store.folder.parent / "explain", show)
    terminal.render(verdicts, screen, plan=False)
    code = conclude(options, verdicts, context, compare.of_head(found.screening))
    return told(not_kept(store, len(found.screening) + len(found.fresh)), code)


def in_turn(rows: Iterable[Planned]) -> tuple[Planned, ...]:
    """Components take turns, a case each: what a budget leaves unmeasured is the later cases of all, never whole components."""
    cases: dict[str, dict[str, list[Planned]]] = {}
    for row in rows:
        cases.setdefault(row.component, {}).setdefault(row.case, []).append(row)
    turns = itertools.zip_longest(*(of.values() for of in cases.values()), fillvalue=())
    return tuple(row for turn in turns for group in turn for row in group)


def _quality(options: argparse.Namespace) -> int:
    """How often the gate is wrong on this machine; 1 where it called equal code slower, or passed what is 5 % slower or more."""
    from harness.files import write_atomically
    from harness.gate import quality, tally
    from harness.machine import describe, state
    from harness.report import errors
    from harness.report.console import console, progress
    from harness.store import default_folder

    context, file = context_of(options), default_folder().parent / "gate-quality.jsonl"
    seconds = None if options.budget is None else 60 * options.budget
    with progress("judging") as show:
        found = quality.run(file, options.quality, machine=context.machine.name, profile=context.profile.name, note=show, seconds=seconds)
    errors.render(found, console())
    if options.markdown is not None:
        command = f"harness gate --quality {options.quality} --markdown {options.markdown}"
        lines = describe(context.machine, state.state())
        write_atomically(options.markdown, errors.markdown(found, lines, command))
    if any(tally.wrong(one) for one in found.rates):
        return 1
    return INCOMPLETE if found.owed else 0


def _self_test() -> int:
    """Show that the gate can be red: it must find each defect that is built into a specimen, and nothing where there is none."""
    from harness.gate import selftest
    from harness.report import checks
    from harness.report.console import console, progress, render_pairs

    with progress("testing the gate") as show:
        found = list(selftest.self_test(show))
    render_pairs(checks.self_tested(found), console())
    return int(any(one.problem for one in found))
