"""The commands of `harness`: a few lines each over the same functions that pytest and asv use; each returns an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness import options as asked

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from harness.context import Context
    from harness.record import Plan, Record
    from harness.targets import Target
    from harness.verdict import Verdicts

USAGE, INCOMPLETE = 2, 5

Command = Callable[[argparse.Namespace], int]


def list_(options: argparse.Namespace) -> int:
    """What is registered, and why any of it cannot be used."""
    from harness import registry
    from harness.report import listing

    found = registry.discover()
    if not found.entries:
        sys.stderr.write("harness: nothing is registered: no installed distribution has entry points in the group harness.components\n")
        return INCOMPLETE
    selection = found.select(options.patterns) if found.components or options.patterns else {}
    reasons = {f"{name}.{item.name}": registry.unavailable(item) for name, items in selection.items() for item in items}
    sys.stdout.write(listing.render(found, selection, reasons, cases=options.cases))
    return 0


def machine(options: argparse.Namespace) -> int:
    """Identity, profile, settings, state, and the measured ceilings."""
    from harness import history, limits
    from harness.machine import describe, state
    from harness.report import checks
    from harness.report.console import console, progress, render_pairs

    context, screen = _context(options), console()
    chosen = context.profile
    lines = describe(context.machine, state.state())
    lines.append(("profile", f"{chosen.name} (chosen {chosen.chosen}; {' < '.join(chosen.lineage)})"))
    lines += [(f"setting {name}", f"{value}  (from {context.settings_from[name]})") for name, value in context.settings.given().items()]
    found = limits.cached(context.machine)
    if options.limits:
        with progress("measuring limits") as note:
            found = limits.measure_limits(context.machine, note, environment=context.profile.environment)
    render_pairs([*lines, *(limits.describe(found) if found else [("limits", "not measured; `harness machine --limits`")])], screen)
    if options.asv:
        render_pairs(checks.registration(history.register_machine(context.machine)), screen)
    return 0


def run(options: argparse.Namespace) -> int:
    """Plan, parity, measure, judge, report, record."""
    from harness import history, measure
    from harness.report import terminal
    from harness.report.console import console

    asked.check_run(options)
    asked.check_files(options)
    context, screen = _context(options), console()
    if options.only == "settings":
        return _flip_settings(options.patterns, context, screen)
    results = history.results_dir() if options.record else None
    sweep, one = asked.sweep(options.sweep), options.only == "parity"
    plan = measure.plan(
        context.registry,
        context.settings,
        options.patterns,
        machine=context.machine.name,
        profile=context.profile.name,
        cases=options.case or (),
        thorough=options.thorough,
        sweep=sweep,
        audio=options.input,
        launches=1 if one else options.launches,
    )
    asked.check_honoured([*sweep, *asked.settings(options).given()], plan)
    targets = () if one else context.targets(plan)
    terminal.render_plan(plan, screen)
    records, interrupted = _measured(options, context, plan)
    verdicts = context.judge(plan, records, targets)
    terminal.render(verdicts, screen, plan=False)
    code = _conclude(options, verdicts) or (INCOMPLETE if interrupted else 0)
    if results is not None and not _record(context, targets, results, records, screen):
        sys.stderr.write("harness: --record: nothing of this session became history\n")
        code = code or INCOMPLETE
    return code or (_fuzz(context, plan, screen) if one else 0)


def judge(options: argparse.Namespace) -> int:
    """Judge a session, or asv history, under the profile's targets of today."""
    from harness.report import terminal
    from harness.report.console import console

    asked.check_judge(options)
    asked.check_files(options)
    context, screen = _context(options), console()
    if options.history:
        return _judge_history(options, context, screen)
    sessions = context.store.sessions()
    if not options.names and not sessions:
        sys.stderr.write(f"harness: nothing is recorded in {context.store.folder}; `harness run` measures\n")
        return INCOMPLETE
    plan, records = context.store.read(options.names[0] if options.names else sessions[-1])
    verdicts = context.judge(plan, records, context.targets(plan) if plan else (), rejudge=options.profile is not None, stored=True)
    terminal.render(verdicts, screen)
    return _conclude(options, verdicts)


def publish(_: argparse.Namespace) -> int:
    """asv's site of the history."""
    from harness import history
    from harness.report import checks
    from harness.report.console import console, render_pairs

    folder = history.project_folder()
    render_pairs(checks.published(history.publish(folder)), console())
    return 0


def claims(options: argparse.Namespace) -> int:
    """The ledger, with what the recorded sessions say of it."""
    from harness import registry
    from harness.claims import ledger, load
    from harness.context import installed_of
    from harness.record import Store, default_folder, write_atomically
    from harness.report import ledger as report
    from harness.report.console import console

    asked.check_files(options)
    store = Store(default_folder())
    sessions = [(plan, records) for plan, records in map(store.read, store.sessions()) if plan is not None]
    found = registry.discover()
    entries = ledger(load(), sessions, found.components, installed=installed_of(found))
    report.render(entries, console())
    if options.markdown is not None:
        write_atomically(options.markdown, report.markdown(entries))
    return 0


def _context(options: argparse.Namespace) -> Context:
    from harness import context

    return context.gather(profile_name=options.profile, given=asked.settings(options))


def _measured(options: argparse.Namespace, context: Context, plan: Plan) -> tuple[Sequence[Record], bool]:
    """The records of a session, of an interrupted one those that it left; and whether it was interrupted."""
    from harness import limits, measure
    from harness.report.console import progress

    ceilings = limits.cached(context.machine)
    try:
        with progress("measuring") as show:
            records = measure.run(
                plan,
                context.registry,
                settings=context.settings,
                store=context.store,
                environment=context.profile.environment,
                audio=options.input,
                timed=options.only != "parity",
                progress=lambda p: show(f"{p.component} {p.case}, launch {p.launch + 1}", p.done / p.total),
                floor=limits.floor(ceilings) if ceilings else None,
                seeds=measure.SEEDS if options.seed is None else (options.seed,),
                seconds=_seconds(plan, thorough=options.thorough),
                effort=measure.THOROUGH if options.thorough else measure.DEFAULT,
            )
        return records, False
    except KeyboardInterrupt:
        if plan.session not in context.store.sessions():
            raise
        sys.stderr.write("harness: interrupted; judging what was measured\n")
        return context.store.read(plan.session)[1], True


def _seconds(plan: Plan, *, thorough: bool) -> float:
    """About how long a session may take: who asks for more launches, or for the long cases, has time for them."""
    from harness import measure

    more = max(item.launches for item in plan.planned) / measure.LAUNCHES
    return measure.SESSION_SECONDS * max(1.0, more) * (4 if thorough else 1)


def _fuzz(context: Context, plan: Plan, screen: Console) -> int:
    """Parity on adversarial inputs, for every row that is ours."""
    from harness import measure
    from harness.report import checks
    from harness.report.console import progress, render_pairs
    from harness.settings import label

    # One search per row: the case does not matter, the strategy makes the inputs.
    rows = {(item.component, label(item.row, item.settings)): item for item in plan.planned if item.role == "optimized"}
    rows = {key: item for key, item in rows.items() if context.registry.components[item.component].strategy is not None}
    found = []
    with progress("fuzzing") as show:
        for number, item in enumerate(rows.values()):
            show(f"{item.component}.{item.row}", number / len(rows))
            found.append(measure.fuzz(context.registry, item, environment=context.profile.environment))
    render_pairs(checks.fuzzed(found), screen)
    untried = [f"{one.row.component}.{one.row.row}" for one in found if not one.examples]
    if untried:
        sys.stderr.write(f"harness: no adversarial input was tried in time: {', '.join(untried)}\n")
    return int(any(one.failure for one in found)) or (INCOMPLETE if untried else 0)


def _flip_settings(patterns: Sequence[str], context: Context, screen: Console) -> int:
    """Turn each setting where its component says it must show; dead ones fail."""
    from harness import measure
    from harness.report import checks
    from harness.report.console import progress, render_pairs

    with progress("flipping settings"):
        chosen = context.registry.select(patterns)
        flips = measure.flip_settings(context.registry, chosen, settings=context.settings, environment=context.profile.environment)
    render_pairs(checks.flips(flips), screen)
    if not flips:
        sys.stderr.write("harness: no component selected here names a setting that must show\n")
        return INCOMPLETE
    return int(not all(flip.shown for flip in flips))


def _record(context: Context, targets: Sequence[Target], folder: Path, measured: Sequence[Record], screen: Console) -> bool:
    """Project every record of this machine into asv history: all of them, since those of one commit are pooled.

    Whether anything of what was measured now is in it: asked for and not done must not look done.
    """
    from harness import history
    from harness.report import checks
    from harness.report.console import render_pairs

    records = [record for session in context.store.sessions() for record in context.store.read(session)[1]]
    projected = history.project(records, folder, context.machine, targets)
    written = [("history", str(path)) for path in projected.files]
    render_pairs([*(written or [("history", "nothing was written")]), *checks.refused(projected.refused)], screen)
    points = {(point.commit, point.key.component, point.key.case) for point in projected.points}
    return any(not record.dirty and (record.commit, record.component, record.case) in points for record in measured)


def _judge_history(options: argparse.Namespace, context: Context, screen: Console) -> int:
    """The targets over what asv history holds of this machine, and the changes of level in it."""
    from harness import history, past
    from harness.report import terminal, trend

    folder = options.results or history.results_dir()
    what = past.selection(context, options.names)
    for machine in past.others(folder, options.machine, context.machine.name):
        trend.render(machine, past.trends_of(folder, machine, what, options.commit), screen, judged=False)
    try:
        found = past.judge(context, folder, what, options.commit)
    except history.NothingStored as error:
        sys.stderr.write(f"harness: {error}\n")
        return INCOMPLETE
    if options.machine in (None, "all", context.machine.name):
        trend.render(context.machine.name, found.trends, screen)
    terminal.render(found.verdicts, screen)
    return _conclude(options, found.verdicts)


def _conclude(options: argparse.Namespace, verdicts: Verdicts) -> int:
    """Write the reports that were asked for; the exit code."""
    from harness import report
    from harness.report import github
    from harness.verdict import exit_code

    for kind in asked.REPORTS:
        path = getattr(options, kind)
        if path is not None:
            report.write(kind, verdicts, path)
    github.emit(verdicts, os.environ, sys.stdout)
    return exit_code(verdicts)
