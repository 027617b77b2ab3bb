"""A gate's session: head, base, a second build of base and a slowed-down base take turns, launch by launch, until it is decided."""

from __future__ import annotations

import dataclasses
import datetime
import os
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.component import Work
from harness.gate import compare
from harness.gate.decide import LAUNCHES, Decision, Series, decide
from harness.gate.effort import EFFORT, budget
from harness.gate.margins import Margins
from harness.gate.sides import Side
from harness.machine import state
from harness.measure.calibration import Calibration
from harness.measure.lane import Lane, Target
from harness.measure.launch import measure
from harness.measure.plan import session_name
from harness.measure.process import PATIENCE_SECONDS, pins
from harness.measure.records import SEEDS, record_of
from harness.measure.reference import References
from harness.measure.session import target
from harness.measure.workload import Workload
from harness.metrics import Key, key
from harness.record import Floor, Plan, Planned, Record
from harness.registry import Registry
from harness.settings import Settings
from harness.store import Store
from harness.verdict import Problem


@dataclass(frozen=True)
class Sides:
    """What is compared. copy: a second build of base."""

    head: Side
    base: Side
    copy: Side

    def of(self, lane: str) -> Side:
        """The side whose files a lane runs."""
        return {compare.HEAD: self.head, compare.COPY: self.copy}.get(lane, self.base)


@dataclass(frozen=True)
class Progress:
    """done: rows on cases decided, of `total`; the current one, and why it is measured."""

    done: int
    total: int
    row: Planned
    doing: str


@dataclass
class Outcome:
    """What a session found. decisions: by row and metric. problems: files that a side should not have run, rows left out by the budget."""

    screening: list[Record] = field(default_factory=list)
    fresh: list[Record] = field(default_factory=list)
    decisions: dict[tuple[Key, str], Decision] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def run(
    plan: Plan,
    sides: Sides,
    registry: Registry,
    *,
    settings: Settings,
    environment: Mapping[str, str],
    margins: Margins,
    seconds: float,
    alone: Collection[Key] = (),
    store: Store | None = None,
    floor: Callable[[Work, int, str], Floor | None] | None = None,
    calibration: Calibration | None = None,
    progress: Callable[[Progress], None] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Outcome:
    """Compare every row of the plan that both sides have; rows are launched again until each metric is decided, or `seconds` are over.

    plan: head's rows on their cases, LAUNCHES launches each. alone: those of them that base lacks. registry: what is registered
    in head's environment. What was measured before an interruption is in the store.
    """
    quietness = calibration or Calibration(runs=2)
    bench = _Bench(plan, sides, registry, settings, environment, margins, alone, store, floor, quietness, patience)
    outcome = Outcome()
    if store is not None:
        store.append(plan)
    deadline = time.monotonic() + seconds
    launched: dict[Key, int] = {}
    confirmed: dict[Key, int] = {}

    def tell(row: Planned, doing: str, done: int) -> None:
        if progress is not None:
            progress(Progress(done, len(plan.planned), row, doing))

    for done, row in enumerate(plan.planned):
        while launched.get(key(row), 0) < LAUNCHES and time.monotonic() < deadline:
            tell(row, f"launch {launched.get(key(row), 0) + 1}", done)
            found = bench.launch(row, launched.get(key(row), 0))
            launched[key(row)] = launched.get(key(row), 0) + 1
            outcome.screening += found
            if any(record.outcome.kind != "measured" or not all(p.passed for p in record.parity) for record in found):
                break  # what is broken or wrong is not launched again
    while True:
        found_series = compare.series(outcome.screening, outcome.fresh)
        outcome.decisions = _decisions(found_series, decide(found_series, margins))
        wanted = _wanted(outcome.decisions)
        rows = [row for row in plan.planned if key(row) in wanted]
        if not rows or time.monotonic() >= deadline:
            break
        for row in rows:
            if time.monotonic() >= deadline:
                break
            tell(row, wanted[key(row)], len(plan.planned) - len(rows))
            if wanted[key(row)] == "confirmation":
                for _ in range(1 if confirmed.get(key(row)) else LAUNCHES):
                    outcome.fresh += bench.launch(row, confirmed.get(key(row), 0), fresh=True)
                    confirmed[key(row)] = confirmed.get(key(row), 0) + 1
            else:
                outcome.screening += bench.launch(row, launched[key(row)])
                launched[key(row)] += 1
    outcome.problems = [*bench.strays(), *_late(plan, launched)]
    return outcome


@dataclass
class _Bench:
    """Launches one row on its case, all four lanes side by side."""

    plan: Plan
    sides: Sides
    registry: Registry
    settings: Settings
    environment: Mapping[str, str]
    margins: Margins
    alone: Collection[Key]
    store: Store | None
    floor: Callable[[Work, int, str], Floor | None] | None
    calibration: Calibration
    patience: float
    stray: dict[str, str] = field(default_factory=dict)
    ran: dict[str, set[str]] = field(default_factory=dict)
    confirmations: dict[Key, Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.references = References(self.registry, self.plan.machine, environment=pins(None, self.environment))
        self.rng = random.Random(int.from_bytes(os.urandom(8), "big"))
        self._targets: tuple[Planned | None, list[Target]] = (None, [])

    def launch(self, row: Planned, number: int, *, fresh: bool = False) -> list[Record]:
        """The records of one launch; they are in the store when this returns, or when it is interrupted."""
        plan = self._confirmation(row) if fresh else self.plan
        lanes = [Lane(target, self.patience) for target in self._of(row)]
        since, started = state.counters(), datetime.datetime.now(datetime.UTC)
        records: list[Record] = []
        try:
            seconds = lambda: budget([lane.seconds for lane in lanes if not lane.done])  # noqa: E731
            measure(lanes, number, seeds=SEEDS, budget=seconds, effort=EFFORT, calibration=self.calibration, rng=self.rng)
        finally:
            now = state.state(since)
            for lane in lanes:
                if lane.worker is not None:
                    lane.worker.kill()
                self._note_files(lane)
                if lane.first or lane.outcome.kind != "measured":
                    records.append(self._record(plan, lane, number, started, now))
            if self.store is not None:
                for record in records:
                    self.store.keep(record)
        return records

    def strays(self) -> list[Problem]:
        """Sides that ran files outside their folder, or the same files."""
        found = [Problem("invalid", f"{lane} ran {file}, outside its folder: nothing was compared") for lane, file in self.stray.items()]
        pairs = ((compare.HEAD, compare.BASE), (compare.BASE, compare.COPY), (compare.HEAD, compare.COPY))
        for one, other in pairs:
            same = sorted(self.ran.get(one, set()) & self.ran.get(other, set()))
            if same:
                found.append(Problem("invalid", f"{one} and {other} ran the same files ({same[0]}): nothing was compared"))
        return found

    def _confirmation(self, row: Planned) -> Plan:
        """The plan of the launches that confirm what a row showed: a session of its own, begun when it is first asked for."""
        if key(row) not in self.confirmations:
            session, started = session_name()
            plan = dataclasses.replace(self.plan, session=session, started=started, planned=(row,))
            self.confirmations[key(row)] = plan
            if self.store is not None:
                self.store.append(plan)
        return self.confirmations[key(row)]

    def _of(self, row: Planned) -> list[Target]:
        if self._targets[0] is not row:
            for made in self._targets[1][:1]:
                made.workload.forget()
            self._targets = row, self._make(row)
        return self._targets[1]

    def _make(self, row: Planned) -> list[Target]:
        workload = Workload(self.registry.components[row.component], row.case)
        own = target(
            row,
            workload,
            registry=self.registry,
            references=self.references,
            seeds=SEEDS,
            settings=self.settings.merged(dict(row.settings)),
            environment=self.environment,
        )
        return [self._on(own, lane) for lane in ((compare.HEAD,) if key(row) in self.alone else compare.LANES)]

    def _on(self, own: Target, lane: str) -> Target:
        side = self.sides.of(lane)
        entry = side.entries[f"{own.planned.component}.{own.planned.implementation}"]
        return dataclasses.replace(
            own,
            implementation_value=entry.value,
            paths=side.paths,
            python=str(side.python),
            control=lane,
            slowdown=slowdown(self.margins) if lane == compare.INJECTED else {},
        )

    def _note_files(self, lane: Lane) -> None:
        files = lane.loaded.get("files", ())
        side = self.sides.of(lane.target.control)
        self.ran.setdefault(lane.target.control, set()).update(files)
        for file in side.stray(files):
            self.stray.setdefault(lane.target.control, file)

    def _record(self, plan: Plan, lane: Lane, number: int, started: datetime.datetime, now: state.State) -> Record:
        side = self.sides.of(lane.target.control)
        found = {**now.to_dict(), "busy": now.busy_reason() or "", "notes": list(lane.notes)}
        record = record_of(plan, lane, number, started=started, state=found, environment={}, floor=self.floor)
        return dataclasses.replace(record, commit=side.commit, dirty=side.dirty)


def slowdown(margins: Margins) -> dict[str, tuple[float, float]]:
    """What the positive control adds to each kind of measurement: what its metric's margin calls for."""
    of = {
        "block": compare.SECONDS,
        "whole": compare.WHOLE,
        "calls": "latency_p95_seconds",
        "tail": "latency_p99_seconds",
        "cold": "cold_seconds",
        "load": "load_seconds",
        "bytes": "peak_bytes",
    }
    return {what: margins.injected(metric) for what, metric in of.items()}


def _decisions(found: Sequence[Series], decisions: Sequence[Decision]) -> dict[tuple[Key, str], Decision]:
    return {(one.key, one.metric): decision for one, decision in zip(found, decisions, strict=True)}


def _wanted(decisions: Mapping[tuple[Key, str], Decision]) -> dict[Key, str]:
    """What each row needs next; a candidate for failure is confirmed before anything else is measured of it."""
    found: dict[Key, str] = {}
    for (of, _), decision in decisions.items():
        if decision.more and found.get(of) != "confirmation":
            found[of] = decision.more
    return found


def _late(plan: Plan, launched: Mapping[Key, int]) -> Iterable[Problem]:
    never = [row for row in plan.planned if not launched.get(key(row))]
    if never:
        names = ", ".join(dict.fromkeys(f"{row.component}.{row.row} on {row.case}" for row in never))
        yield Problem("missing", f"the budget ended before these were measured: {names}; give more with --budget, or name fewer")
