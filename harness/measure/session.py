"""A session: every launch of every case of a plan, each row's Record written the moment its launch ends."""

from __future__ import annotations

import datetime
import itertools
import os
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.component import Outputs, Work
from harness.machine import state
from harness.measure import slow
from harness.measure.calibration import Calibration
from harness.measure.effort import DEFAULT, Budget, Effort
from harness.measure.lane import Lane, Target
from harness.measure.launch import measure
from harness.measure.plan import replaced
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, pins
from harness.measure.records import SEEDS, packages, record_of
from harness.measure.reference import References, no_outputs
from harness.measure.resume import launches_of
from harness.measure.workload import Workload
from harness.record import Floor, Outcome, Plan, Planned, Record
from harness.registry import Registry
from harness.settings import Settings
from harness.store import Store

COMPONENT_SECONDS = 35.0
"""What rounds and single calls of a session may take for each component; parity, launches and first calls come on top."""

LEAST_SECONDS, MOST_SECONDS = 0.05, 0.6
"""Per row and launch, for rounds and single calls."""

ROUNDS_SHARE, CALLS_SHARE = 0.6, 0.3
"""Of that; the rest is what asking takes."""


@dataclass(frozen=True)
class Progress:
    """`done` of `total` launches are over; the next, or the last, is this one."""

    done: int
    total: int
    component: str
    case: str
    launch: int


def run(
    plan: Plan,
    registry: Registry,
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
    effort: Effort = DEFAULT,
    seeds: Sequence[int] = SEEDS,
    audio: Path | None = None,
    timed: bool = True,
    progress: Callable[[Progress], None] | None = None,
    floor: Callable[[Work, int, str], Floor | None] | None = None,
    calibration: Calibration | None = None,
    patience: float = PATIENCE_SECONDS,
    memory_limit: int | None = None,
    recorded: Sequence[Record] | None = None,
) -> list[Record]:
    """Measure what the plan names.

    settings: those the plan was made with (they pin the threads of rows that honour no `threads`). environment: further
    variables of the workers (the profile's). seconds: about how long it may take, `seconds_for(plan)` without; slow rows get
    fewer rounds, never none. timed: False for parity alone. patience: seconds that a single command to a worker may take.
    memory_limit: bytes of address space of a worker. recorded: what the session holds already, where it is resumed: the
    launches that are complete are not measured again.
    Records of an interrupted session are in the store.
    """
    session = _Session(
        plan=plan,
        registry=registry,
        references=References(registry, plan.machine, environment=pins(None, environment or {})),
        seeds=seeds if audio is None else seeds[:1],
        settings=settings or Settings(),
        environment=environment or {},
        audio=audio,
        memory_limit=memory_limit,
        store=store,
        floor=floor,
        records=list(recorded or ()),
    )
    rng, calibration = random.Random(int.from_bytes(os.urandom(8), "big")), calibration or Calibration()
    steps = _steps(plan, registry, share=effort.share, recorded=recorded or ())
    # What is resumed gets its part of the time: its launches are to be as long as those before.
    part = len(steps) / len(_steps(plan, registry, share=effort.share)) if recorded else 1.0
    deadline = time.monotonic() + (seconds_for(plan) if seconds is None else seconds) * part
    targets: dict[tuple[str, str], list[Target]] = {}
    waiting: dict[str, Lane] = {}  # lanes whose process goes on to the next case of this launch
    if store is not None and recorded is None:
        store.append(plan)
    try:
        for done, step in enumerate(steps):
            if progress is not None:
                progress(Progress(done, len(steps), *step.key, step.launch))
            if step.first:
                _dismiss(waiting)
            if step.key not in targets:
                targets = {key: found for key, found in targets.items() if key[0] == step.key[0]}
                targets[step.key] = session.targets(step)
            chosen = [target for target in targets[step.key] if step.launch < target.planned.launches]
            lanes = [Lane(target, patience, before=waiting.pop(target.lane_name, None), more=step.more) for target in chosen]
            budget = _budget(time.monotonic() + (deadline - time.monotonic()) / (len(steps) - done), len(lanes))
            since, started = state.counters(), datetime.datetime.now(datetime.UTC)
            try:
                measure(
                    lanes, step.launch, seeds=session.seeds, budget=budget, effort=effort, calibration=calibration, rng=rng, timed=timed
                )
                waiting |= {lane.target.lane_name: lane for lane in lanes if lane.waits}
            finally:
                # Also when interrupted: what was measured is kept.
                session.keep(lanes, step.number, started, state.state(since))
                _dismiss({lane.target.lane_name: lane for lane in lanes if not lane.waits})
    finally:
        _dismiss(waiting)
    if progress is not None and steps:
        progress(Progress(len(steps), len(steps), *steps[-1].key, steps[-1].launch))
    return session.records


def seconds_for(plan: Plan) -> float:
    """About how long a session of this plan should measure."""
    return COMPONENT_SECONDS * len({row.component for row in plan.planned})


@dataclass
class _Session:
    """What stays the same while a session runs, and the records so far."""

    plan: Plan
    registry: Registry
    references: References
    seeds: Sequence[int]
    settings: Settings
    environment: Mapping[str, str]
    audio: Path | None
    memory_limit: int | None
    store: Store | None
    floor: Callable[[Work, int, str], Floor | None] | None
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = {"python": platform.python_version(), "packages": packages(self.registry)}

    def targets(self, step: _Step) -> list[Target]:
        """The rows of a case with all that their lanes need, reference outputs included."""
        component, case = step.key
        workload = Workload(self.registry.components[component], case, self.audio)
        return [self._target(row, workload) for row in step.rows]

    def _target(self, row: Planned, workload: Workload) -> Target:
        found = target(
            row,
            workload,
            registry=self.registry,
            references=self.references,
            seeds=self.seeds,
            settings=self.settings.merged(dict(row.settings)),
            environment=self.environment,
        )
        return replace(found, audio=self.audio is not None, memory_limit=self.memory_limit)

    def keep(self, lanes: Sequence[Lane], launch: int, started: datetime.datetime, now: state.State) -> None:
        """Record what the lanes have, remember what was slow, free the inputs."""
        notes, self.references.notes = self.references.notes, []
        for lane in lanes:
            if lane.outcome.kind == "out of memory" and (beside := _held(lanes, lane)):
                lane.outcome = replace(lane.outcome, message=f"{lane.outcome.message}; {beside}")
            if lane.first or lane.outcome.kind != "measured":
                found = {**now.to_dict(), "busy": now.busy_reason() or "", "notes": [*lane.notes, *notes]}
                record = record_of(self.plan, lane, launch, started=started, state=found, environment=self.shared, floor=self.floor)
                self.records.append(record)
                if self.store is not None:
                    self.store.keep(record)
            lane.target.workload.forget()
        slow.remember(self.plan.machine, {slow.name_of(lane.target.planned): lane.seconds for lane in lanes if lane.seconds})


def target(
    row: Planned,
    workload: Workload,
    *,
    registry: Registry,
    references: References,
    seeds: Sequence[int],
    settings: Settings,
    environment: Mapping[str, str],
) -> Target:
    """What the lane of a row needs, reference outputs included. settings: the session's with the row's."""
    known = registry.implementations(row.component)
    implementation, entry = known[row.implementation], registry.entry(f"{row.component}.{row.implementation}")
    try:
        expected: Mapping[int, Outputs] | Outcome = references.outputs(row.component, workload, row.case, seeds, settings)
    except WorkerFailed as failure:
        expected = no_outputs(failure)
    return Target(
        planned=row,
        component=registry.components[row.component],
        implementation=implementation,
        workload=workload,
        implementation_value=entry.value,
        distribution=entry.distribution,
        replaced=replaced(implementation, row.variant),
        expected=expected,
        environment=pins(settings.threads, environment),
        affinity=settings.affinity or (),
        others=[registry.entry(f"{row.component}.{name}").value for name in known if name != row.implementation],
    )


@dataclass(frozen=True)
class _Step:
    """One launch of one case, recorded under `number`. first: no case before it in its process; more: another one after it."""

    key: tuple[str, str]
    rows: tuple[Planned, ...]
    launch: int
    number: int
    first: bool = True
    more: bool = False


def _steps(plan: Plan, registry: Registry, *, share: bool, recorded: Sequence[Record] = ()) -> list[_Step]:
    """The launches in order: of a component one after another, each over all its cases when they share processes."""
    groups = {key: tuple(rows) for key, rows in itertools.groupby(plan.planned, key=lambda row: (row.component, row.case))}
    before = {key: launches_of(rows, recorded) for key, rows in groups.items()}
    steps = []
    for component, pairs in itertools.groupby(groups, key=lambda key: key[0]):
        quick = {case.name for case in registry.components[component].cases if case.quick}
        keys = sorted(pairs, key=lambda key: key[1] not in quick)
        most = max(row.launches for key in keys for row in groups[key])
        order = [[(key, launch) for key in keys] for launch in range(most)]
        if not share:
            order = [[(key, launch)] for key in keys for launch in range(most)]
        for process in order:
            left = [(key, launch) for key, launch in process if launch >= before[key].whole]
            for place, (key, launch) in enumerate(left):
                number = before[key].next + launch - before[key].whole
                steps.append(_Step(key, groups[key], launch, number, first=place == 0, more=place < len(left) - 1))
    return steps


def _held(lanes: Sequence[Lane], short: Lane) -> str:
    """What was in memory beside a lane that found too little; empty where it was alone."""
    peaks = [lane.first["peak_bytes"] for lane in lanes if lane is not short and lane.first]
    few = "ask for fewer rows, or fewer values of a sweep, at once"
    return f"{len(peaks)} rows beside it held up to {sum(peaks) / 1e9:.1f} GB: {few}" if peaks else ""


def _dismiss(lanes: dict[str, Lane]) -> None:
    for lane in lanes.values():
        if lane.worker is not None:
            lane.worker.kill()
    lanes.clear()


def _budget(end: float, lanes: int) -> Callable[[], Budget]:
    def budget() -> Budget:
        seconds = min(MOST_SECONDS * lanes, max(LEAST_SECONDS * lanes, end - time.monotonic()))
        return Budget(ROUNDS_SHARE * seconds, CALLS_SHARE * seconds)

    return budget
