"""The page: everything a session says, in one file that needs no network, for a wide screen and a phone, in light and dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from harness.claims import Entry
from harness.history import Trend
from harness.limits import Limits
from harness.metrics import Key, key
from harness.record import Record
from harness.report import realtime, view
from harness.report.html import component, context
from harness.report.html.markup import Child, Markup, raw, tag, with_code
from harness.report.html.parts import SIGNS, chip, section, table
from harness.report.html.sheet import need
from harness.verdict import Row, Verdicts, exit_code

__all__ = ["Page", "need", "render"]


@dataclass(frozen=True)
class Page:
    """What a page is made of: verdicts, and what explains them.

    records: of the session, for what verdicts hold no more (single calls, noise). trends: by machine; no_history says why there are
    none. facts: labels and values of the machine and its state. dashboards: where asv's site lies, seen from the page.
    """

    verdicts: Verdicts
    records: Sequence[Record] = ()
    claims: Sequence[Entry] = ()
    trends: Mapping[str, Sequence[Trend]] = field(default_factory=dict)
    no_history: str = ""
    facts: Sequence[tuple[str, str]] = ()
    limits: Limits | None = None
    dashboards: str = ""


def render(page: Page) -> str:
    """The page as one HTML document, ending with a line break."""
    verdicts, blocks, groups = page.verdicts, view.blocks(page.verdicts), view.groups(page.verdicts)
    names = {name: f"c{number}" for number, name in enumerate(dict.fromkeys(block.component for block in blocks))}
    records: dict[Key, list[Record]] = {}
    for record in page.records:
        if not record.control and record.outcome.kind == "measured":
            records.setdefault(key(record), []).append(record)
    rows = {name: [row for block in blocks if block.component == name for row in block.rows] for name in names}
    notes, of = view.notes(verdicts), dict[str, list[view.Note]]()
    for note in notes:
        if note.state:
            of.setdefault(note.where.partition(".")[0], []).append(note)
    parts: list[Child] = [_overview(verdicts, notes, rows, names)]
    for name, identity in names.items():
        mine = [group for group in groups if group.component == name], [block for block in blocks if block.component == name]
        parts.append(component.render(name, identity, *mine, notes=of.get(name, ()), records=records))
    parts += [section(f"r{number}", one.title, table(one.title, one.columns, [_states(line) for line in one.lines]))
              for number, one in enumerate(realtime.tables(verdicts))]  # fmt: skip
    here = verdicts.plan.machine if verdicts.plan else ""
    parts += [
        context.limits(verdicts.rows, page.limits), context.history(page.trends, page.no_history, page.dashboards, here, names),
        context.claims(page.claims), context.machine(page.facts, page.records), context.plan(verdicts),
    ]  # fmt: skip
    return _document(page, [_navigation(page, names, rows), tag("main", parts, id="main")])


def _document(page: Page, body: Child) -> str:
    script, style = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    # Nothing is loaded, and no other script runs: what a plugin wrote is text even where a browser would see more in it.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    state = view.WORDS[exit_code(page.verdicts)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{state}: {page.verdicts.plan.session if page.verdicts.plan else 'no session'}"),
        tag("style", raw(style)),
    )
    skip = tag("a", "Skip to the verdicts", href="#main", class_="skip")
    whole = tag("body", skip, _banner(page), body, _footer(), tag("script", raw(script)))
    return f"<!doctype html>\n{tag('html', head, whole, lang='en')}\n"


def _banner(page: Page) -> Markup:
    plan, state = page.verdicts.plan, _state(page.verdicts)
    said, _, code = view.summary(page.verdicts).rpartition("; ")
    title, _, rest = said.partition(": ")
    where = f"{plan.started[:16].replace('T', ' ')} UTC · {plan.machine} · profile {plan.profile} · session {plan.session}" if plan else ""
    heading = tag("h1", tag("span", SIGNS.get(state, "!"), class_="sign", aria_hidden="true"), tag("span", title, class_="title"))
    return tag("header", tag("p", "Audio performance harness", class_="brand"), heading, tag("p", f"{rest} · {code}", class_="lead"),
               tag("p", where, class_="where") if where else None, class_=f"banner s-{state}")  # fmt: skip


def _state(verdicts: Verdicts) -> str:
    return {0: "pass", 3: "inconclusive", 4: "invalid"}.get(exit_code(verdicts), "fail")


def _navigation(page: Page, names: Mapping[str, str], rows: Mapping[str, Sequence[Row]]) -> Markup:
    def link(identity: str, *children: Child) -> Markup:
        return tag("li", tag("a", children, href=f"#{identity}"))

    own = [link(identity, _dot(component.state_of(rows[name])), name) for name, identity in names.items()]
    others = [link(name, name.capitalize()) for name in ("limits", "history", "claims", "machine", "plan")]
    site = tag("li", tag("a", "asv dashboards", href=page.dashboards)) if page.dashboards else None
    return tag("nav", tag("ul", link("overview", "Overview"), own, others, site), aria_label="Sections")


def _overview(verdicts: Verdicts, notes: Sequence[view.Note], rows: Mapping[str, Sequence[Row]], names: Mapping[str, str]) -> Markup:
    cards = tag("ul", [tag("li", _card(name, identity, rows[name])) for name, identity in names.items()], class_="cards")
    causes = [note for note in notes if note.state]
    steps = [tag("li", with_code(step)) for step in view.next_steps(verdicts)]
    return section(
        "overview", "Overview", cards if names else None,
        [tag("h3", "Why it is not green"), component.notes_list(causes)] if causes else None,
        [tag("h3", "What to do next"), tag("ul", steps, class_="steps")] if steps else None,
    )  # fmt: skip


def _card(name: str, identity: str, rows: Sequence[Row]) -> Markup:
    """A component at a glance: its state, what is fastest in it, its bounds. A row of another contract is ranked behind all others."""
    fastest = max(
        ((value.point, row, base) for row in rows if row.planned.role == "optimized" for base, value in view.speedups(row)[:1]),
        key=lambda found: (found[1].planned.exact, found[0]), default=None,
    )  # fmt: skip
    answers = [answer for row in rows for answer in row.of("target") if answer.target]
    met = sum(answer.state == "pass" for answer in answers)
    speed = None
    if fastest:
        point, row, base = fastest
        speed = tag("span", tag("b", f"{point:.3g}x", class_="big"), f" {view.name(row)} over {base}")
    targets = f"{met} of {len(answers)} targets met" if answers else "no targets"
    top = tag("span", tag("b", name), chip(component.state_of(rows)), class_="top")
    return tag("a", top, speed, tag("span", targets, class_="muted"), href=f"#{identity}")


def _states(line: Sequence[str]) -> list[Child]:
    return [*line[:-1], chip(line[-1]) if line[-1] in SIGNS else line[-1]]


def _dot(state: str) -> Markup:
    return tag("span", SIGNS.get(state, "·"), class_=f"dot s-{state.replace(' ', '-')}", title=state, role="img", aria_label=state)


def _footer() -> Markup:
    how = ": one file, no network. Intervals are 95 % over launches of a process; parity was checked in the same run, around the timing."
    return tag("footer", "Written by ", tag("code", "harness"), how)
