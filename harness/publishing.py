"""`harness publish`, and what every page is made of: verdicts with the records, history, ledger and machine that explain them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import options as asked

if TYPE_CHECKING:
    from harness.claims import Entry
    from harness.context import Context
    from harness.history import Trend
    from harness.record import Plan, Record
    from harness.registry import Registry
    from harness.report.html import Page
    from harness.store import Store
    from harness.verdict import Verdicts


def publish(options: argparse.Namespace) -> int:
    """The page of a session, or of what the history says of HEAD, with asv's site beside it; each links to the other."""
    from harness import context, history
    from harness.files import write_atomically
    from harness.report import checks, html
    from harness.report.console import console, render_pairs

    html.need()
    asked.check_folder(options.output)
    here = context.gather()
    site, why = None, ""
    folder, usual = _folder(here, options.output)
    try:
        site = history.publish(history.project_folder(), folder / "asv", back="../index.html")
    except history.NoHistory as error:
        why = str(error)
    found = _session(here, options.session) or _stored(here)
    if found is None:
        raise history.NoHistory(f"{why}; no session is recorded either: `harness run` measures one")
    verdicts, records = found
    made = page(here, verdicts, records, dashboards="asv/index.html" if site else "")
    write_atomically(folder / "index.html", html.render(made))
    server = "asv preview" if usual and site else f"python -m http.server -d {folder}"
    lines = [("page", str(folder / "index.html")), *(checks.published(site, server) if site else [("history", f"none yet: {why}")])]
    render_pairs(lines, console())
    return 0


def page(context: Context, verdicts: Verdicts, records: Sequence[Record] = (), *, dashboards: str = "") -> Page:
    """The page of verdicts on this machine. dashboards: where asv's site lies, seen from it."""
    from harness import limits
    from harness.machine import describe, state
    from harness.report.html import Page

    chosen = context.profile
    facts = describe(context.machine, state.state())
    facts.append(("profile", f"{chosen.name} (chosen {chosen.chosen}; {' < '.join(chosen.lineage)})"))
    facts += [(f"setting {name}", f"{value} (from {context.settings_from[name]})") for name, value in context.settings.given().items()]
    trends, why = _trends(context)
    return Page(verdicts, records, entries(context.store, context.registry), trends, why, facts, limits.cached(context.machine), dashboards)


def entries(store: Store, registry: Registry) -> tuple[Entry, ...]:
    """The ledger of claims, over every recorded session, every real-time proof, and what commands showed."""
    from harness import shown
    from harness.claims import ledger, load
    from harness.context import installed_of
    from harness.store import PROOFS, Store

    launched, played = (_sessions(kept) for kept in (store, Store(store.folder / PROOFS)))
    ran = shown.kept(store.folder)
    return ledger(load(), launched, registry.components, proofs=played, shown=ran, installed=installed_of(registry))


def _sessions(store: Store) -> list[tuple[Plan, list[Record]]]:
    """Oldest first."""
    return [(plan, records) for plan, records in map(store.read, store.sessions()) if plan is not None]


def _folder(context: Context, wanted: Path | None) -> tuple[Path, bool]:
    """Where the page goes, and whether asv would look there too: its html_dir, without a project of asv beside the records."""
    from harness import history

    try:
        usual = history.html_dir()
    except history.NoHistory:
        usual = context.store.folder.parent / "site"
    return (usual if wanted is None else wanted).absolute(), wanted is None


def _session(context: Context, name: str | None) -> tuple[Verdicts, Sequence[Record]] | None:
    """The verdicts of a recorded session, by default of the newest, under the targets of today."""
    sessions = context.store.sessions()
    if name is None and not sessions:
        return None
    plan, records = context.store.read(name or sessions[-1])
    return context.judge(plan, records, context.targets(plan) if plan else (), stored=True), records


def _stored(context: Context) -> tuple[Verdicts, Sequence[Record]] | None:
    """What the history holds of this machine, where no session is recorded: on a fresh checkout, say."""
    from harness import history, past

    try:
        return past.judge(context, history.results_dir(), past.selection(context, ()), None).verdicts, ()
    except (history.NoHistory, history.NothingStored):
        return None


def _trends(context: Context) -> tuple[Mapping[str, Sequence[Trend]], str]:
    """The trends of every machine that the project's history knows, this one first; or why there are none."""
    from harness import history, past

    try:
        folder = history.results_dir()
    except history.NoHistory as error:
        return {}, str(error)
    here, what = context.machine.name, past.selection(context, ())
    names = sorted(history.machines(folder), key=lambda name: (name != here, name))
    found = {name: trends for name in names if (trends := past.trends_of(folder, name, what, None))}
    return found, "" if found else f"{folder} holds no measured commit; `harness run --record` on a clean commit writes one"
