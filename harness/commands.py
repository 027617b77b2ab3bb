"""The commands of `harness`: a few lines each over the same functions that pytest and asv use; each returns an exit code."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from harness import options as asked

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from harness.context import Context
    from harness.record import Record
    from harness.store import Store
    from harness.verdict import Verdicts

USAGE, INCOMPLETE, DEFECT = 2, 5, 6

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
    from harness import history, lightweight, limits, lock
    from harness.machine import describe, state
    from harness.report import checks
    from harness.report.console import console, progress, render_pairs, say

    context, screen = context_of(options), console()
    chosen = context.profile
    lines = describe(context.machine, state.state())
    lines.append(("profile", f"{chosen.name} (chosen {chosen.chosen}; {' < '.join(chosen.lineage)})"))
    lines += [(f"setting {name}", f"{value}  (from {context.settings_from[name]})") for name, value in context.settings.given().items()]
    found = limits.cached(context.machine)
    if options.limits:
        with lock.measuring(tell=say), progress("measuring limits") as note:
            found = limits.measure_limits(context.machine, note, environment=context.profile.environment)
    render_pairs([*lines, *(limits.describe(found) if found else [("limits", "not measured; `harness machine --limits`")])], screen)
    for line in lightweight.block(context.settings, context.machine):
        screen.print(line, markup=False, highlight=False)
    if options.asv:
        render_pairs(checks.registration(history.register_machine(context.machine)), screen)
    return 0


def judge(options: argparse.Namespace) -> int:
    """Judge a session, or asv history, under the profile's targets of today."""
    from harness.report import terminal
    from harness.report.console import console

    asked.check_judge(options)
    asked.check_files(options)
    context, screen = context_of(options), console()
    if options.history:
        return _judge_history(options, context, screen)
    sessions = context.store.sessions()
    if not options.names and not sessions:
        sys.stderr.write(f"harness: nothing is recorded in {context.store.folder}; `harness run` measures\n")
        return INCOMPLETE
    plan, records = context.store.read(options.names[0] if options.names else sessions[-1])
    gc.freeze()  # a session can hold a million objects, none of them garbage: not to be looked through while they are judged
    verdicts = context.judge(plan, records, context.targets(plan) if plan else (), rejudge=options.profile is not None, stored=True)
    terminal.render(verdicts, screen)
    return conclude(options, verdicts, context, records)


def claims(options: argparse.Namespace) -> int:
    """The ledger, with what the recorded sessions say of it, and what its commands show."""
    from harness import publishing, registry, showing, shown
    from harness.claims import load
    from harness.files import write_atomically
    from harness.report import ledger
    from harness.report.console import console, quote, say
    from harness.store import Store, default_folder

    asked.check_files(options)
    store, trouble = Store(default_folder()), list[str]()
    if options.show is not None:
        root = showing.checkout()
        for number, command in enumerate(commands := showing.commands(load(), options.show), 1):
            say(f"{number} of {len(commands)}: {command}")
            found = showing.run(command, root, quote)
            with tried(trouble):
                shown.keep(store.folder, found)
    entries = publishing.entries(store, registry.discover())
    ledger.render(entries, console())
    for path, render in ((options.markdown, ledger.markdown), (options.json, ledger.as_json)):
        if path is not None:
            with tried(trouble):
                write_atomically(path, render(entries))
    return told(trouble, 0)


def context_of(options: argparse.Namespace) -> Context:
    from harness import context

    return context.gather(profile_name=options.profile, given=asked.settings(options))


def _judge_history(options: argparse.Namespace, context: Context, screen: Console) -> int:
    """The targets over what asv history holds of this machine, and the changes of level in it."""
    from harness import history, past
    from harness.report import terminal, trend

    try:
        folder = options.results or history.results_dir()
    except history.NoHistory as error:
        raise history.NoHistory(f"{error}, or name its results with --results FOLDER") from None
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
    return conclude(options, found.verdicts, context)


def conclude(
    options: argparse.Namespace, verdicts: Verdicts, context: Context | None = None, records: Sequence[Record] = ()
) -> int:
    """Write the reports that were asked for; the exit code, which is never 0 where one could not be written.

    context, records: what a page shows beside the verdicts.
    """
    from harness import report
    from harness.report import github
    from harness.verdict import exit_code

    trouble: list[str] = []
    for kind in asked.REPORTS:
        path = getattr(options, kind)
        if path is not None:
            with tried(trouble):
                report.write(kind, verdicts, path)
    if options.html is not None:
        with tried(trouble):
            _write_page(options.html, verdicts, context, records)
    with tried(trouble):
        github.emit(verdicts, os.environ, sys.stdout)
    return told(trouble, exit_code(verdicts))


def _write_page(path: Path, verdicts: Verdicts, context: Context | None, records: Sequence[Record]) -> None:
    from harness import publishing
    from harness.files import write_atomically
    from harness.report import html

    made = html.Page(verdicts, records) if context is None else publishing.page(context, verdicts, records)
    write_atomically(path, html.render(made))


@contextlib.contextmanager
def tried(trouble: list[str]) -> Iterator[None]:
    """What cannot be written is a line of `trouble`: what comes after it is still done."""
    from harness.settings import ConfigurationError

    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the output has left: nothing that writing elsewhere would mend
    except ConfigurationError as error:
        trouble.append(str(error))
    except OSError as error:
        trouble.append(refusal(error))


def refusal(error: OSError) -> str:
    """What the system would not do, in a line."""
    return f"{error.filename or 'the system'}: {error.strerror or error}"


def alone(options: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Measure while no other process of this user does."""
    from harness import lock
    from harness.report.console import say

    return lock.measuring(wait=options.wait, tell=say)


def not_kept(store: Store, measured: int) -> list[str]:
    """What to say of records that a full disk could not take, nothing where all are kept."""
    return [f"{len(store.unsaved)} of {measured} records are not kept: {store.trouble}"] if store.unsaved else []


def told(trouble: Sequence[str], code: int) -> int:
    """Say what could not be written; the exit code, which is then never 0."""
    from harness.report.console import say

    for line in trouble:
        say(line)
    return code or (USAGE if trouble else 0)
