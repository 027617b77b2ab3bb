"""The sections beside the components: distance to the machine's limits, history, claims, machine, plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from harness.claims import STATUSES, Entry
from harness.history import Trend
from harness.limits import Limits
from harness.metrics import rejected_share
from harness.record import Record
from harness.report import ledger, text, view
from harness.report.html import roofline, trends
from harness.report.html.markup import Child, Markup, tag, with_code
from harness.report.html.parts import chip, figures, kept, lines, section, table
from harness.stats import Interval
from harness.verdict import Row, Verdicts


def limits(rows: Sequence[Row], ceilings: Limits | None) -> Markup:
    """How much of what the machine allows each row reaches."""
    shares = [(row, value) for row in rows if isinstance(value := row.metrics.get("limit_share"), Interval) and row.floor is not None]
    shares.sort(key=lambda found: -found[1].point)
    if not shares:
        reason = "its ceilings are not measured; `harness machine --limits` does it once"
        if ceilings:
            again = "`harness machine --limits` does it again, while nothing else runs"
            busy = f"its ceilings were measured while it was busy ({ceilings.busy}); {again}"
            reason = busy if ceilings.busy else "no row has a work model"
        unknown = f"How far from what this machine allows is unknown: {reason}."
        return section("limits", "Share of the limit", tag("p", with_code(unknown), class_="muted"))
    columns = ("row", "share of the limit", "least time the ceiling allows", "which ceiling")
    chosen, left = kept([True] * len(shares), "with less")
    rows_ = [
        (f"{row.planned.component}.{view.name(row)} on {row.planned.case}", text.measured("limit_share", value),
         text.seconds(row.floor.seconds) if row.floor else "", row.floor.ceiling if row.floor else "")
        for row, value in (shares[number] for number in chosen)
    ]  # fmt: skip
    drawn = roofline.render([row for row, _ in shares], ceilings) if ceilings else None
    caption = f"Share of the limit: the least time that the ceilings allow over the time taken{left}"
    listed = tag("details", tag("summary", f"{len(shares)} rows"), table(caption, columns, rows_), open=len(rows_) <= 12)
    return section("limits", "Share of the limit", figures([drawn]) if drawn else None, listed)


def history(found: Mapping[str, Sequence[Trend]], why_not: str, dashboards: str, here: str, judged: Collection[str]) -> Markup:
    """Trends by machine and component, with the commits at which a level changed. here: the machine that is judged.

    judged: the components of the page; the others of the history are folded away.
    """
    link = tag("p", tag("a", "asv's dashboards", href=dashboards), " draw every series of the history.") if dashboards else None
    parts: list[Child] = []
    for number, (machine, of_machine) in enumerate(found.items()):
        drawn = trends.render(of_machine, f"t{number}")
        steps = [step for trend in of_machine for step in trend.steps]
        columns = ("series", "change", "at commit", "after commit", "points behind it", "chance of it by noise")
        rows = [(f"{step.key.component}.{step.key.implementation} on {step.key.case}: {step.key.metric}", f"{step.change:+.1%}",
                  step.commit[:8], step.previous_commit[:8], str(step.points), f"{step.p:.2g}") for step in steps]  # fmt: skip
        changes = table("Changes of level", columns, rows) if steps else tag("p", "No level changed.", class_="muted")
        other = "" if machine == here else ": another machine, drawn but not judged here"
        near = [plot for plot in drawn if plot.title in judged] or drawn
        far = [plot for plot in drawn if plot not in near]
        more = f"{len(far)} more component{'s' if len(far) > 1 else ''} of the history"
        parts += [tag("h3", machine + other), figures(near), changes, tag("details", tag("summary", more), figures(far)) if far else None]
    if not parts:
        parts = [tag("p", f"There is no history yet: {why_not or 'nothing was recorded'}.", class_="muted")]
    about = "Time over the reference's in the same session, commit by commit; less is better."
    return section("history", "History", tag("p", about, class_="muted") if found else None, parts, link)


def claims(entries: Sequence[Entry]) -> Markup:
    """The ledger: what the source documents say, what was measured of it here."""
    counts = {status: sum(entry.status == status for entry in entries) for status in STATUSES}
    keys = [tag("button", chip(status, f"{count} {status}"), type="button", data_filter=status, aria_pressed="false")
            for status, count in counts.items() if count]  # fmt: skip
    segments = [tag("i", class_=f"s-{status.replace(' ', '-')}", style=f"flex-grow:{count}") for status, count in counts.items() if count]
    parts: list[Child] = [tag("div", segments, class_="shares", aria_hidden="true"), tag("div", keys, class_="keys", role="group",
                          aria_label="show claims of one status")]  # fmt: skip
    for source in dict.fromkeys(entry.claim.source for entry in entries):
        mine = [entry for entry in entries if entry.claim.source == source]
        rows = [
            ([tag("code", entry.claim.id), tag("span", text.sentence(entry.claim.says), class_="l")], entry.claim.bound,
             lines(ledger.measured(entry)) or text.NOTHING, chip(entry.status), text.sentence(entry.reason))
            for entry in mine
        ]  # fmt: skip
        parts.append(tag("details", tag("summary", f"{source}: {len(mine)} claims"),
                         table(f"Claims of {source}", ledger.COLUMNS, rows, class_="claims"), open=True))  # fmt: skip
    if not entries:
        parts = [tag("p", "This page was written without the ledger; `harness claims` shows it.", class_="muted")]
    return section("claims", "Claims", parts)


def machine(facts: Sequence[tuple[str, str]], records: Sequence[Record]) -> Markup:
    """What it was measured on, and how quiet it was."""
    blocks = [block for record in records for block in record.samples.blocks]
    busy = dict.fromkeys(str(record.state["busy"]) for record in records if record.state.get("busy"))
    commits = dict.fromkeys(f"{record.commit[:12] or 'no commit'}{' with changes' if record.dirty else ''}" for record in records)
    builds = dict.fromkeys(f"{record.build.distribution} {record.build.version}" for record in records if record.build.distribution)
    found = [*facts]
    if records:
        found += [("launches recorded", str(len(records))), ("measured code", ", ".join(commits)), ("distributions", ", ".join(builds)),
                  ("rejected as noisy", f"{rejected_share(blocks):.1%} of {len(blocks)} blocks"),
                  *(("busy while measuring", reason) for reason in busy)]  # fmt: skip
    pairs = [tag("div", tag("dt", label), tag("dd", text.sentence(value))) for label, value in found]
    return section("machine", "Machine and state", tag("dl", pairs) if pairs else tag("p", "Nothing is known of it.", class_="muted"))


def plan(verdicts: Verdicts) -> Markup:
    """What was to be measured, what was not and why, and what else there is to know."""
    planned = view.plan_lines(verdicts.plan) if verdicts.plan else ["nothing was planned"]
    notes = [note for note in view.notes(verdicts) if note.state is None]
    told = [tag("li", tag("b", note.where) if note.where else None, " ", note.message) for note in notes]
    return section("plan", "Plan and notes", tag("ul", [tag("li", line) for line in planned]), tag("h3", "Notes") if told else None,
                   tag("ul", told) if told else None)  # fmt: skip
