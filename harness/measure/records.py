"""From a lane to its Record."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from harness.component import Work
from harness.measure.commit import commit_of
from harness.measure.lane import Lane
from harness.measure.process import WorkerFailed
from harness.record import Build, Floor, Plan, Record, Samples, Timing
from harness.registry import Registry

SEEDS = (0, 1, 2)
"""The family of inputs of each case."""


def record_of(
    plan: Plan,
    lane: Lane,
    launch: int,
    *,
    started: datetime.datetime,
    state: Mapping[str, object],
    environment: Mapping[str, str],
    floor: Callable[[Work, int, str], Floor | None] | None,
) -> Record:
    """The record of a lane as far as it came. environment: what all workers share."""
    target, row = lane.target, lane.target.planned
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
        state={**state, "rejected_share": rejected},
        started=started.isoformat(timespec="seconds"),
        samples=samples(lane),
        outcome=lane.outcome,
        parity=lane.parity,
        exact=row.exact,
        floor=_floor(lane, floor) if floor is not None else None,
        commit=commit.name,
        commit_date_ms=commit.date_ms,
        dirty=commit.dirty,
        environment={**environment, **target.environment, **_environment(lane.state)},
        control=target.control,
    )


def _floor(lane: Lane, floor: Callable[[Work, int, str], Floor | None]) -> Floor | None:
    """A row that computes in another precision on purpose is held against that precision's ceiling.

    One of another size or mode does other work than the case says, so there is no share of a limit to tell.
    """
    target = lane.target
    if {"model_size", "mode"} & target.planned.variant.keys():
        return None
    try:
        least = target.workload.work(SEEDS[0])
    except WorkerFailed as failure:
        lane.notes.append(failure.outcome.message)
        return None
    if least is None:
        return None
    work = least.at(target.planned.variant.get("precision", least.precision))
    device = target.implementation.requires.device or ("mlx" if lane.clock == "mlx" else "cpu")
    return floor(work, int(target.environment["OMP_NUM_THREADS"]), device)


def samples(lane: Lane) -> Samples:
    """What a lane has measured so far."""
    devices = (lane.state or lane.first).get("device_peak", {})
    cold = lane.first if lane.fresh else {}
    return Samples(
        load=Timing(lane.loaded["wall_ns"] / 1e9, lane.loaded["cpu_ns"] / 1e9) if lane.loaded else None,
        cold=Timing(lane.first["wall_ns"] / 1e9, lane.first["cpu_ns"] / 1e9) if cold else None,
        cold_chunks=tuple(arrival / 1e9 for arrival in cold.get("arrivals_ns", ())),
        blocks=tuple(lane.blocks),
        calls=tuple(lane.calls),
        slices=tuple(lane.slices),
        chunks=tuple(lane.chunks),
        chunk_seconds=tuple(lane.chunk_seconds),
        first_chunks=tuple(lane.first_chunks),
        memory=tuple(lane.memory),
        peak_bytes=cold.get("peak_bytes"),
        base_bytes=lane.loaded.get("base_bytes") if lane.fresh else None,
        loaded_bytes=lane.loaded.get("loaded_bytes") if lane.fresh else None,
        device_peak_bytes=max(devices.values()) if devices else None,
        produced=lane.produced,
        weight_bytes=lane.first.get("weight_bytes"),
    )


def _environment(worker: Mapping[str, Any]) -> dict[str, str]:
    """What really ran, as the worker says: versions, affinity, and each BLAS and OpenMP with its kernel and threads."""
    if not worker:
        return {}
    pools = "; ".join(f"{p['library']} {p['version']} {p['kernel']} x{p['threads']}" for p in worker["pools"])
    return {"python": worker["python"], "numpy": worker["numpy"], "affinity": "+".join(map(str, worker["affinity"])), "pools": pools}


def packages(registry: Registry) -> str:
    """Of the packages that registered implementations need, those that are installed: what tells two environments apart."""
    items = [item for component in registry.components for item in registry.implementations(component).values()]
    names = {package.partition(".")[0] for item in items for package in item.requires.packages}
    return "+".join(sorted(name for name in names if importlib.util.find_spec(name) is not None))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution) if distribution else ""
    except importlib.metadata.PackageNotFoundError:
        return ""
