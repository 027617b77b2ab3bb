"""`harness run`: measure a plan, or what is left of one, then judge, report and record it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness import options as asked
from harness.commands import INCOMPLETE, alone, conclude, context_of, not_kept, told, tried

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from harness.context import Context
    from harness.realtime.session import Proof
    from harness.record import Plan, Record
    from harness.store import Store
    from harness.targets import Target


def run(options: argparse.Namespace) -> int:
    """Plan, parity, measure, judge, report, record; or go on with a plan whose session did not end."""
    from harness.report.console import console

    asked.check_run(options)
    asked.check_files(options)
    screen = console()
    if options.resume is not None:
        return _resume(options, screen)
    context = context_of(options)
    if options.only == "settings":
        with alone(options):
            return _flip_settings(options.patterns, context, screen)
    if options.only == "realtime":
        with alone(options):
            return _prove_realtime(options, context, screen)
    plan = _planned(options, context)
    if options.only == "parity":
        code = _measure(options, context, plan, screen)
        return code or _fuzz(context, plan, screen)
    with alone(options):
        return _measure(options, context, plan, screen)


def _planned(options: argparse.Namespace, context: Context) -> Plan:
    """What the command line asks for."""
    from harness import measure

    sweep, one = asked.sweep(options.sweep), options.only == "parity"
    plan = context.plan(
        options.patterns,
        cases=options.case or (),
        thorough=options.thorough,
        sweep=sweep,
        audio=options.input,
        launches=1 if one else options.launches,
    )
    asked.check_honoured([*sweep, *asked.settings(options).given()], plan)
    if one:
        return plan
    return dataclasses.replace(plan, origin=measure.origin(plan, context.registry, context.settings, thorough=options.thorough))


def _resume(options: argparse.Namespace, screen: Console) -> int:
    """Measure what a session that did not end left of its plan, with the settings it was begun with."""
    from harness import context, measure
    from harness.report.console import say
    from harness.settings import ConfigurationError, Settings
    from harness.store import Store, default_folder

    store = Store(default_folder())
    session = options.resume or next(reversed(store.sessions()), "")
    if not session:
        say(f"nothing is recorded in {store.folder}; `harness run` measures")
        return INCOMPLETE
    with alone(options):
        plan, done = store.read(session)
        if plan is None or plan.session != session:
            why = "it has no plan" if plan is None else f"its plan calls it {plan.session!r}"
            raise ConfigurationError(f"session {session} cannot be resumed: {why}; measure anew without --resume")
        begun, options.thorough = (plan.origin.settings, plan.origin.thorough) if plan.origin else ({}, False)
        here = context.gather(profile_name=plan.profile, given=Settings().merged(begun))
        measure.check_same(plan, here.registry, here.machine.name, here.settings)
        asked.check_audio(options.input, plan)
        if measure.complete(plan, done):
            say(f"session {session} is complete: nothing is left to measure")
        store.mend(session)
        return _measure(options, here, plan, screen, done)


def _measure(options: argparse.Namespace, context: Context, plan: Plan, screen: Console, recorded: Sequence[Record] | None = None) -> int:
    """Measure what is left of a plan, judge all of it, report, record; what cannot be written is said, and is no success."""
    from harness import history
    from harness.report import terminal
    from harness.report.console import say
    from harness.settings import ConfigurationError

    results = history.results_dir() if options.record else None
    targets = None if options.only == "parity" else context.targets(plan)
    terminal.render_plan(plan, screen)
    records, interrupted = _measured(options, context, plan, recorded)
    verdicts = context.judge(plan, records, targets)
    terminal.render(verdicts, screen, plan=False, recorded=results is not None)
    code = conclude(options, verdicts, context, records) or (INCOMPLETE if interrupted else 0)
    trouble = not_kept(context.store, len(records))
    if results is not None and not trouble:
        with tried(trouble):
            try:
                became = _record(context, targets or (), results, records, screen)
            except OSError as error:
                raise ConfigurationError(
                    f"--record: {error.filename or results}: {error.strerror or error}; the history is as it was, what was measured is "
                    f"kept in session {plan.session}: make the folder writable, and the next `harness run --record` writes both"
                ) from None
            if not became:
                say("--record: nothing of this session became history")
                code = code or INCOMPLETE
    return told(trouble, code)


def _measured(
    options: argparse.Namespace, context: Context, plan: Plan, recorded: Sequence[Record] | None
) -> tuple[Sequence[Record], bool]:
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
                recorded=recorded,
            )
        return records, False
    except KeyboardInterrupt:
        if plan.session not in context.store.sessions():
            raise
        sys.stderr.write("harness: interrupted; judging what was measured\n")
        context.store.settle()
        return [*context.store.read(plan.session)[1], *context.store.unsaved], True


def _seconds(plan: Plan, *, thorough: bool) -> float:
    """About how long a session may take: who asks for more launches, or for the long cases, has time for them."""
    from harness import measure

    more = max(item.launches for item in plan.planned) / measure.LAUNCHES
    return measure.seconds_for(plan) * max(1.0, more) * (12 if thorough else 1)


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
    # What none of the chosen implementations honours is dead only where no other one does, either.
    flips = [flip for flip in flips if flip.implementation or flip.setting not in _honoured(context, flip.component)]
    render_pairs(checks.flips(flips), screen)
    if not flips:
        sys.stderr.write("harness: nothing selected here honours a setting that must show\n")
        return INCOMPLETE
    return int(not all(flip.shown for flip in flips))


def _honoured(context: Context, component: str) -> set[str]:
    """The settings that implementations of a component honour which can run here."""
    from harness.registry import unavailable

    return {name for item in context.registry.implementations(component).values() if unavailable(item) is None for name in item.settings}


def _prove_realtime(options: argparse.Namespace, context: Context, screen: Console) -> int:
    """Play callbacks on a real audio thread beside an empty one, report, keep what was seen; what is not proved is not green."""
    from harness.realtime import judging, session
    from harness.report import realtime, terminal
    from harness.report.console import progress, say
    from harness.store import PROOFS, Store

    names = {"machine": context.machine.name, "profile": context.profile.name}
    plan = session.plan(context.registry, options.patterns, context.settings, **names)
    terminal.render_plan(plan, screen)
    seconds = judging.LEAST_SECONDS if options.seconds is None else options.seconds
    try:
        with progress("playing in real time") as show:
            found = session.prove(plan, context.registry, seconds=seconds, environment=context.profile.environment, progress=show)
    except KeyboardInterrupt:
        say("interrupted; half a proof is none, and nothing of it is kept: run it again")
        return INCOMPLETE
    realtime.render(found.verdicts, found.controls, screen)
    code = conclude(options, found.verdicts, context)
    trouble: list[str] = []
    with tried(trouble):
        _keep_proof(Store(context.store.folder / PROOFS), plan, found)
    return told(trouble, code)


def _keep_proof(store: Store, plan: Plan, proof: Proof) -> None:
    """For `harness claims`. Without records there is nothing to keep: detectors that miss their controls saw nothing."""
    if proof.records:
        store.append(plan)
        for record in proof.records:
            store.append(record)


def _record(context: Context, targets: Sequence[Target], folder: Path, measured: Sequence[Record], screen: Console) -> bool:
    """Project every record of this machine into asv history: all of them, since those of one commit are pooled.

    Whether anything of what was measured now is in it: asked for and not done must not look done.
    """
    from harness import history
    from harness.report import checks
    from harness.report.console import render_pairs, say

    records = [record for session in context.store.sessions() for record in context.store.read(session)[1]]
    projected = history.project(records, folder, context.machine, targets)
    written = [("history", str(path)) for path in projected.files]
    render_pairs([*(written or [("history", "nothing was written")]), *checks.refused(projected.refused)], screen)
    for path in projected.set_aside:
        say(f"{path}: a damaged file of the history was set aside under this name; until it is restored or deleted nothing is green")
    points = {(point.commit, point.key.component, point.key.case) for point in projected.points}
    return any(not record.dirty and (record.commit, record.component, record.case) in points for record in measured)
