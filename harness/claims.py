"""The ledger of the source documents' claims: each with what was measured here, and one status.

A claim with a bound is judged as a target is: same noise, parity and interval rules (`harness.verdict.judge`). One about an audio thread
is judged as the real-time proof is (`harness.realtime.judging`). What no session records is shown by a command, and judged by what
`harness claims --show` kept of it (`harness.shown`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.installed import Installed
from harness.metrics import METRICS, SPEEDUP, Value, key
from harness.realtime.judging import ASKED, LEAST_SECONDS, row_of
from harness.record import Plan, Record
from harness.settings import ConfigurationError, show
from harness.shown import Counts, Shown
from harness.stats import Interval
from harness.targets import Target
from harness.verdict import Answer, Row, answer_target, judge

Status = Literal["held", "not held", "contradicts itself", "unreachable", "needs hardware", "not yet measured"]
STATUSES: tuple[Status, ...] = ("held", "not held", "contradicts itself", "unreachable", "needs hardware", "not yet measured")

Session = tuple[Plan, Sequence[Record]]

PROOF = "realtime"
"""The metric of a claim that all of the real-time proof has to hold for; one of its questions alone goes by its own name."""

PROGRAMS = ("harness", "pytest", "python")
"""What a command that shows a claim begins with; it runs in the interpreter of this one."""


@dataclass(frozen=True)
class Claim:
    """One statement of a source document; claims.toml says what each field means."""

    id: str
    source: str
    says: str
    component: str
    metric: str
    check: Literal["here", "hardware", "model"]
    known: str = ""
    at_most: float | None = None
    at_least: float | None = None
    implementation: str | None = None
    case: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    contradiction: str = ""
    shown_by: str = ""

    @property
    def bound(self) -> str:
        """What would show it: `rtf <= 0.1`; the metric alone where nothing is bounded."""
        if self.at_most is None and self.at_least is None:
            return self.metric
        return _target(self).words


@dataclass(frozen=True)
class Entry:
    """A claim with its status and the reason; value, row, machine and date where something was measured.

    how: measured, modelled, computed or simulated (`harness.figures.How`). seen: what was found, in words, where it is no number.
    """

    claim: Claim
    status: Status
    reason: str
    value: Value | None = None
    row: str = ""
    machine: str = ""
    date: str = ""
    how: str = "measured"
    seen: str = ""


def load(path: Path | None = None) -> tuple[Claim, ...]:
    """The claims of a ledger file (the project's own without a path); ConfigurationError where an entry cannot be."""
    path = path or Path(__file__).with_name("claims.toml")
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a readable TOML file, found: {error}") from None
    claims: list[Claim] = []
    for number, entry in enumerate(entries, 1):
        place = f"{path}: claim {number} ({entry.get('id', 'no id')})"
        try:
            claim = Claim(**{**entry, "profiles": tuple(entry.get("profiles", ()))})
        except TypeError as error:
            raise ConfigurationError(f"{place}: {str(error).removeprefix('Claim.__init__() ')}") from None
        if claim.check not in ("here", "hardware", "model"):
            raise ConfigurationError(f"{place}: check: expected here, hardware or model, found {claim.check!r}")
        if claim.shown_by and claim.shown_by.split()[0] not in PROGRAMS:
            raise ConfigurationError(f"{place}: shown_by: expected a command of {', '.join(PROGRAMS)}, found {claim.shown_by!r}")
        if claim.at_most is not None and claim.at_least is not None:
            raise ConfigurationError(f"{place}: expected at most one of at_most and at_least, found both")
        if claim.id in {other.id for other in claims}:
            raise ConfigurationError(f"{place}: the id is taken")
        claims.append(claim)
    return tuple(claims)


def ledger(
    claims: Iterable[Claim],
    sessions: Iterable[Session],
    components: Collection[str],
    *,
    proofs: Iterable[Session] = (),
    shown: Iterable[Shown] = (),
    installed: Installed | None = None,
) -> tuple[Entry, ...]:
    """One entry per claim, by document. sessions: oldest first; the newest that decides counts. components: the registered names.

    proofs: of real time, oldest first; they alone say anything of an audio thread. shown: what commands showed, oldest first; they count
    where no session decides. installed: what old sessions are held against; without it they are believed as they are.
    """
    kept = _Kept(list(sessions)[::-1], list(proofs)[::-1], list(shown)[::-1], installed)
    return tuple(_entry(claim, kept, components) for claim in sorted(claims, key=lambda claim: claim.source))


@dataclass(frozen=True)
class _Kept:
    """All that was kept, newest first."""

    sessions: Sequence[Session]
    proofs: Sequence[Session]
    shown: Sequence[Shown]
    installed: Installed | None


def _entry(claim: Claim, kept: _Kept, components: Collection[str]) -> Entry:
    if claim.metric in (PROOF, *ASKED):
        found = _proved(claim, kept.proofs, kept.installed)
    else:
        found = _newest(claim, kept.sessions, kept.installed)
    if found is None or found.status == "not yet measured":
        found = _shown(claim, kept.shown) or found
    if claim.contradiction:
        return replace(found or Entry(claim, "contradicts itself", ""), status="contradicts itself", reason=claim.contradiction)
    if found and found.status != "not yet measured":
        return found
    if claim.check == "hardware":
        needs = f"on {' or '.join(claim.profiles)}" if claim.profiles else "on the hardware it speaks of"
        return Entry(claim, "needs hardware", f"{claim.bound} {needs}")
    if found:
        return found
    return Entry(claim, "not yet measured", _why_not(claim, components))


def _why_not(claim: Claim, components: Collection[str]) -> str:
    if claim.shown_by:
        return f"harness claims --show {claim.id} shows it: {claim.shown_by}"
    if claim.component not in components:
        return f"component not registered: {claim.component}"
    if claim.metric in (PROOF, *ASKED):
        return f"no proof of {LEAST_SECONDS:g} s is recorded: harness run {claim.component} --only realtime"
    if not _measurable(claim):
        return "a behaviour: no metric shows it" if claim.metric == "behaviour" else f"nothing measures {claim.metric} yet"
    what = claim.implementation or "an optimized implementation"
    where = f" on {claim.case}" if claim.case else ""
    return f"no session has {claim.metric} of {what}{where}: harness run {claim.component} {_measured_by(claim)}"


def _measured_by(claim: Claim) -> str:
    """The options of `harness run` that measure it."""
    case = f"--case {claim.case}" if claim.case else "--thorough"
    setting, swept, least = claim.metric.removeprefix(SPEEDUP).partition("=")
    return f"{case} --sweep {setting}={least},{show(claim.settings[setting])}" if swept and setting in claim.settings else case


def _measurable(claim: Claim) -> bool:
    return claim.metric in METRICS or claim.metric.startswith(SPEEDUP)


def _newest(claim: Claim, sessions: Sequence[Session], installed: Installed | None) -> Entry | None:
    """What the newest session says that decides; else the newest that measured it at all."""
    undecided = None
    for plan, records in sessions:
        # Of other hardware than the claim speaks of nothing follows.
        if claim.component not in {item.component for item in plan.planned} or (
            plan.profile not in claim.profiles if claim.profiles else claim.check == "hardware"
        ):
            continue
        entry = _of_session(claim, plan, records, installed)
        if entry and entry.status != "not yet measured":
            return entry
        undecided = undecided or entry
    return undecided


def _proved(claim: Claim, proofs: Sequence[Session], installed: Installed | None) -> Entry | None:
    """What the real-time proofs say: it has to hold at every size of block; of each the newest proof that decides counts."""
    found: dict[str, dict[str, tuple[Plan, Row, Answer]]] = {}
    for plan, records in proofs:
        by_key = {key(record): record for record in records}
        for item in plan.planned:
            record = by_key.get(key(item))
            if record is None or item.component != claim.component or claim.implementation not in (None, item.implementation):
                continue
            if installed and installed.other_contract(item.component, {record.contract}):
                continue
            row = row_of(item, record)
            asked = [one for one in row.answers if claim.metric in (one.metric, PROOF) or one.question == "run"]
            answer = max(reversed(asked), key=_badness)  # of equals not whether it ran
            if answer.state == "pass" and record.played and record.played.subject.seconds < 0.99 * LEAST_SECONDS:
                continue
            cases = found.setdefault(item.row, {})
            if item.case not in cases or (cases[item.case][2].state == "inconclusive" and answer.state != "inconclusive"):
                cases[item.case] = (plan, row, answer)
    if not found:
        return None
    worst = [max(cases.values(), key=lambda one: _badness(one[2])) for cases in found.values()]
    plan, row, answer = min(worst, key=lambda one: _badness(one[2]))
    return _judged(claim, plan, row, answer)


def _badness(answer: Answer) -> int:
    return ("pass", "inconclusive", "fail", "invalid").index(answer.state)


def _of_session(claim: Claim, plan: Plan, records: Sequence[Record], installed: Installed | None) -> Entry | None:
    own = replace(plan, planned=tuple(item for item in plan.planned if item.component == claim.component), unavailable=(), left_out=())
    mine = [record for record in records if record.component == claim.component]
    # A component's own metrics (what its policy names) are known from its rows alone.
    described = claim.at_most is None and claim.at_least is None
    rows = judge(own, mine, () if described else (_target(claim),), ("any",), machine=plan.machine, installed=installed).rows
    if not _measurable(claim) and not any(claim.metric in row.metrics for row in rows):
        return None
    if described:
        return next((_described(claim, plan, row) for row in rows if row.planned.role == "optimized" and claim.metric in row.metrics), None)
    answers: dict[str, list[tuple[Row, Answer]]] = {}
    for row in rows:
        for answer in row.of("target"):
            if answer.target is not None:
                answers.setdefault(f"{row.planned.row} {sorted(row.planned.settings.items())}", []).append((row, answer))
    if not answers:
        return None
    # It has to hold on every case, and for one implementation: that shows it can be done.
    worst = [max(cases, key=lambda one: _badness(one[1])) for cases in answers.values()]
    row, answer = min(worst, key=lambda one: _badness(one[1]))
    return _judged(claim, plan, row, answer)


def _judged(claim: Claim, plan: Plan, row: Row, answer: Answer) -> Entry:
    status: Status = "held" if answer.state == "pass" else "not held" if answer.state == "fail" else "not yet measured"
    if answer.state == "fail" and any(note.startswith("unreachable") for note in answer.notes):
        status = "unreachable"
    reason = "; ".join(answer.notes) if answer.state in ("pass", "fail") else answer.message
    return Entry(claim, status, reason, answer.value, f"{row.planned.row} on {row.planned.case}", plan.machine, plan.started)


def _shown(claim: Claim, shown: Sequence[Shown]) -> Entry | None:
    """What the newest run of the claim's command says that decides; else the newest at all."""
    entries = [_of_command(claim, one) for one in shown if one.command == claim.shown_by]
    return next((entry for entry in entries if entry.status != "not yet measured"), entries[0] if entries else None)


def _of_command(claim: Claim, shown: Shown) -> Entry:
    blank = Entry(claim, "not yet measured", "", row=claim.shown_by, machine=shown.machine, date=shown.started)
    ended = f"{claim.shown_by} ended with status {shown.exit}: {shown.last}"
    if claim.metric == "behaviour":
        return replace(blank, **_behaved(shown, ended))
    if shown.exit != 0:
        return replace(blank, reason=ended)
    told = [figure for figure in shown.figures if figure.metric == claim.metric]
    if not told:
        return replace(blank, reason=f"{claim.shown_by} told no figure of {claim.metric}")
    figure = told[-1]
    value = Interval(figure.value, figure.low, figure.high, 1)
    status, reason = _of_figure(claim, value, limit=figure.limit)
    return replace(blank, status=status, reason=reason, value=value, row=figure.of, how=figure.how)


def _of_figure(claim: Claim, value: Interval, *, limit: bool) -> tuple[Status, str]:
    if claim.at_most is None and claim.at_least is None:
        return "not yet measured", "it states no bound to judge by"
    match answer_target(_target(claim), value).state:
        case "pass":
            return ("not yet measured", "nothing forbids it, and nothing reaches it yet") if limit else ("held", claim.shown_by)
        case "fail":
            return ("unreachable" if limit else "not held"), claim.shown_by
        case _:
            return "not yet measured", f"undecided: the bound lies inside the interval; again: {claim.shown_by}"


def _behaved(shown: Shown, ended: str) -> dict[str, Any]:
    """Fields of an Entry. A command of pytest says by its tests, one of the harness by its status; of another, failure says nothing."""
    if (tests := shown.tests) is not None:
        seen = _counted(tests)
        if tests.failed:
            return {"status": "not held", "reason": ended, "seen": seen}
        if shown.exit or tests.skipped or not tests.passed:
            return {"reason": f"{ended}: all of its tests have to run and pass", "seen": seen}
        return {"status": "held", "reason": "", "seen": seen}
    if shown.exit == 0:
        return {"status": "held", "reason": "", "seen": shown.last}
    return {"status": "not held" if shown.exit == 1 and shown.command.startswith("harness ") else "not yet measured", "reason": ended}


def _counted(tests: Counts) -> str:
    counts = {"passed": tests.passed, "failed": tests.failed, "skipped": tests.skipped}
    return "tests: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _described(claim: Claim, plan: Plan, row: Row) -> Entry:
    where = f"{row.planned.row} on {row.planned.case}"
    return Entry(claim, "not yet measured", "it states no bound to judge by", row.metrics[claim.metric], where, plan.machine, plan.started)


def _target(claim: Claim) -> Target:
    return Target(
        component=claim.component, profile="any", metric=claim.metric, source=claim.source, kind="stated", at_most=claim.at_most,
        at_least=claim.at_least, implementation=claim.implementation, case=claim.case, settings=claim.settings, origin=f"claim {claim.id}",
    )  # fmt: skip
