"""A session: every launch of every case of a plan, each row's Record written the moment its launch ends."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import itertools
import os
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.component import Outputs, Work
from harness.machine import state
from harness.measure import slow
from harness.measure.calibration import Calibration
from harness.measure.commit import commit_of
from harness.measure.lane import Lane, Target
from harness.measure.launch import measure
from harness.measure.plan import replaced
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, pins
from harness.measure.reference import References, no_outputs
from harness.record import Build, Floor, Outcome, Plan, Planned, Record, Samples, Store, Timing
from harness.registry import Registry
from harness.settings import Settings

SEEDS = (0, 1, 2)
"""The family of inputs of each case."""

SESSION_SECONDS = 140.0
LEAST_SECONDS, MOST_SECONDS = 0.05, 0.6
"""Per row and launch, for rounds and single calls."""


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
    seconds: float = SESSION_SECONDS,
    seeds: Sequence[int] = SEEDS,
    audio: Path | None = None,
    timed: bool = True,
    progress: Callable[[Progress], None] | None = None,
    floor: Callable[[Work, int, str], Floor | None] | None = None,
    calibration: Calibration | None = None,
    patience: float = PATIENCE_SECONDS,
    memory_limit: int | None = None,
) -> list[Record]:
    """Measure what the plan names.

    settings: those the plan was made with (they pin the threads of rows that honour no `threads`). environment: further
    variables of the workers (the profile's). seconds: about how long the session may take; slow rows get fewer rounds,
    never none. timed: False for parity alone. patience: seconds that a single command to a worker may take.
    memory_limit: bytes of address space of a worker. Records of an interrupted session are in the store.
    """
    rng = random.Random(int.from_bytes(os.urandom(8), "big"))
    calibration = calibration or Calibration()
    seeds = seeds if audio is None else seeds[:1]
    references = References(registry, plan.machine, environment=pins(None, environment or {}), audio=audio)
    groups = [list(rows) for _, rows in itertools.groupby(plan.planned, key=lambda row: (row.component, row.case))]
    total = sum(max(row.launches for row in rows) for rows in groups)
    deadline = time.monotonic() + seconds
    here = {"python": platform.python_version(), "packages": _packages(registry)}
    common: dict[str, Any] = {"seeds": seeds, "settings": settings or Settings(), "environment": environment or {}}
    common |= {"audio": audio, "memory_limit": memory_limit}
    done: int = 0
    records: list[Record] = []
    if store is not None:
        store.append(plan)
    for rows in groups:
        targets = [_target(row, registry, references, **common) for row in rows]
        for launch in range(max(row.launches for row in rows)):
            if progress is not None:
                progress(Progress(done, total, rows[0].component, rows[0].case, launch))
            lanes = [Lane(target, patience) for target in targets if launch < target.planned.launches]
            slot = max(0.0, deadline - time.monotonic()) / (total - done)
            budget = _budget(time.monotonic() + slot, len(lanes))
            since, started, notes = state.counters(), datetime.datetime.now(datetime.UTC), len(references.notes)
            try:
                measure(lanes, launch, seeds=seeds, seconds=budget, calibration=calibration, rng=rng, timed=timed)
            finally:
                # Also when interrupted: what was measured is kept.
                now = state.state(since)
                for lane in lanes:
                    if not lane.cold and lane.outcome.kind == "measured":
                        continue
                    found = {**now.to_dict(), "busy": now.busy_reason() or "", "notes": [*lane.notes, *references.notes[notes:]]}
                    records.append(_record(plan, lane, launch, started=started, found=found, here=here, floor=floor))
                    if store is not None:
                        store.append(records[-1])
                for lane in lanes:
                    if lane.worker is not None:
                        lane.worker.kill()
                slow.remember(plan.machine, {slow.name_of(lane.target.planned): lane.seconds for lane in lanes if lane.seconds})
            done += 1
    if progress is not None:
        progress(Progress(total, total, groups[-1][0].component, groups[-1][0].case, 0))
    return records


def _target(
    row: Planned,
    registry: Registry,
    references: References,
    *,
    seeds: Sequence[int],
    settings: Settings,
    environment: Mapping[str, str],
    audio: Path | None,
    memory_limit: int | None,
) -> Target:
    implementation = registry.implementations(row.component)[row.implementation]
    asked = settings.merged(dict(row.settings))
    try:
        expected: Mapping[int, Outputs] | Outcome = references.outputs(row.component, row.case, seeds, asked)
    except WorkerFailed as failure:
        expected = no_outputs(failure)
    return Target(
        planned=row,
        component=registry.components[row.component],
        implementation=implementation,
        component_value=registry.entry(row.component).value,
        implementation_value=registry.entry(f"{row.component}.{row.implementation}").value,
        distribution=registry.entry(f"{row.component}.{row.implementation}").distribution,
        replaced=replaced(implementation, row.variant),
        expected=expected,
        environment=pins(asked.threads, environment),
        affinity=asked.affinity or (),
        audio=str(audio) if audio else None,
        memory_limit=memory_limit,
    )


def _device(lane: Lane) -> str:
    """What computes: "cpu", "cuda", "mps" or "mlx"."""
    return lane.target.implementation.requires.device or ("mlx" if lane.clock == "mlx" else "cpu")


def _budget(end: float, lanes: int) -> Callable[[], float]:
    return lambda: min(MOST_SECONDS * lanes, max(LEAST_SECONDS * lanes, end - time.monotonic()))


def _record(
    plan: Plan,
    lane: Lane,
    launch: int,
    *,
    started: datetime.datetime,
    found: Mapping[str, object],
    here: Mapping[str, str],
    floor: Callable[[Work, int, str], Floor | None] | None,
) -> Record:
    target, row = lane.target, lane.target.planned
    threads = int(target.environment["OMP_NUM_THREADS"])
    file = str(lane.loaded.get("file", ""))
    commit = commit_of(file)
    rejected = sum(not block.quiet for block in lane.blocks) / len(lane.blocks) if lane.blocks else 0.0
    return Record(
        session=plan.session,
        launch=launch,
        component=row.component,
        contract=target.component.version,
        implementation=row.implementation,
        role=row.role,
        case=row.case,
        unit=target.component.unit.name,
        unit_audio_seconds=target.component.unit.audio_seconds,
        clock=lane.clock,
        settings=row.settings,
        variant=row.variant,
        build=Build(target.distribution, _version(target.distribution), str(lane.loaded.get("native", "")), file),
        machine=plan.machine,
        profile=plan.profile,
        state={**found, "rejected_share": rejected},
        started=started.isoformat(timespec="seconds"),
        samples=samples(lane),
        outcome=lane.outcome,
        parity=lane.parity,
        exact=row.exact,
        floor=floor(_work(lane.work, row), threads, _device(lane)) if floor is not None and lane.work else None,
        commit=commit.name,
        commit_date_ms=commit.date_ms,
        dirty=commit.dirty,
        environment={**here, **target.environment, **_environment(lane.state)},
        control=target.control,
    )


def _work(least: Mapping[str, Any], row: Planned) -> Work:
    """The least work of a call; a row that computes in another precision on purpose is held against that precision's ceiling."""
    return Work(**{**least, "precision": row.variant.get("precision", least["precision"])})


def samples(lane: Lane) -> Samples:
    """What a lane has measured so far."""
    devices = (lane.state or lane.cold).get("device_peak", {})
    return Samples(
        load=Timing(lane.loaded["wall_ns"] / 1e9, lane.loaded["cpu_ns"] / 1e9) if lane.loaded else None,
        cold=Timing(lane.cold["wall_ns"] / 1e9, lane.cold["cpu_ns"] / 1e9) if lane.cold else None,
        blocks=tuple(lane.blocks),
        calls=tuple(lane.calls),
        chunks=tuple(lane.chunks),
        peak_bytes=lane.cold.get("peak_bytes"),
        base_bytes=lane.loaded.get("base_bytes"),
        loaded_bytes=lane.loaded.get("loaded_bytes"),
        device_peak_bytes=max(devices.values()) if devices else None,
        produced=lane.cold.get("produced"),
    )


def _environment(worker: Mapping[str, Any]) -> dict[str, str]:
    """What really ran, as the worker says: versions, affinity, and each BLAS and OpenMP with its kernel and threads."""
    if not worker:
        return {}
    pools = "; ".join(f"{p['library']} {p['version']} {p['kernel']} x{p['threads']}" for p in worker["pools"])
    return {"python": worker["python"], "numpy": worker["numpy"], "affinity": "+".join(map(str, worker["affinity"])), "pools": pools}


def _packages(registry: Registry) -> str:
    """Of the packages that registered implementations need, those that are installed: what tells two environments apart."""
    items = [item for component in registry.components for item in registry.implementations(component).values()]
    names = {package.partition(".")[0] for item in items for package in item.requires.packages}
    return "+".join(sorted(name for name in names if importlib.util.find_spec(name) is not None))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution) if distribution else ""
    except importlib.metadata.PackageNotFoundError:
        return ""
