"""The harness's side of the proof: which callbacks, at which sizes of block, in fresh processes; controls first.

The empty callback takes turns with the one that is judged, window by window on the same kind of thread, in random order within each
pair: side by side the two would wait for each other where processors are few, and one after the other they would meet different
weather. A window is long against what wakes up now and then, and short against the minutes over which a machine changes.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.component import Implementation
from harness.machine.state import counters, state
from harness.measure.commit import commit_of
from harness.measure.plan import session_name
from harness.measure.process import WorkerFailed, WorkerProcess, pins
from harness.origin import native_hash
from harness.played import Figures, Played
from harness.realtime import figures
from harness.realtime.controls import Controlled, check
from harness.realtime.judging import row_of
from harness.realtime.playing import MOST_TURNS, NATIVE
from harness.record import Build, LeftOut, Plan, Planned, Record, Samples
from harness.registry import Registry, no_native, unavailable
from harness.settings import ConfigurationError, Settings
from harness.verdict import Problem, Row, Verdicts

FRAMES, SAMPLE_RATE = (64, 128, 256, 512), 48000
MOST_FRAMES = 8192
WINDOW_SECONDS = 1.0
LEAST_WINDOWS = 8
"""With fewer pairs of windows no test over them could say anything."""


@dataclass(frozen=True)
class Proof:
    """The outcome: verdicts as of any session, what the detectors saw of their controls, and what is worth keeping.

    records: none where a detector did not see its control: then nothing that was counted says anything.
    """

    verdicts: Verdicts
    controls: tuple[Controlled, ...]
    records: tuple[Record, ...] = ()


Progress = Callable[[str, float], None]


def plan(registry: Registry, patterns: Sequence[str], settings: Settings, *, machine: str, profile: str) -> Plan:
    """Every selected callback at every size of block, or at settings.audio_buffer alone; ConfigurationError where there is none."""
    _check_system()
    planned: list[Planned] = []
    missing: list[LeftOut] = []
    sizes = FRAMES if settings.audio_buffer is None else (settings.audio_buffer,)
    if max(sizes) > MOST_FRAMES:
        raise ConfigurationError(f"audio_buffer: expected 16 to {MOST_FRAMES} with --only realtime, found {max(sizes)}")
    chosen = [(name, item) for name, items in registry.select(patterns).items() for item in items]
    for name, item in [(name, item) for name, item in chosen if item.realtime is not None]:
        if reason := unavailable(item) or no_native(item.requires.realtime):
            missing.append(LeftOut(name, item.name, "", reason))
            continue
        own = settings.only((*item.settings, "sample_rate"))
        for size in sizes:
            given = Settings(sample_rate=SAMPLE_RATE).merged(own).merged({"audio_buffer": size}).given()
            planned.append(Planned(name, item.name, item.role, own.variant(), given, f"{size} frames", 1))
    if not planned:
        reasons = "; ".join(f"{one.component}.{one.implementation}: {one.reason}" for one in missing)
        raise ConfigurationError(f"no real-time callback to prove: {reasons or 'none of the selected implementations declares one'}")
    return Plan(*session_name(), machine, profile, tuple(planned), tuple(missing))


def prove(plan: Plan, registry: Registry, *, seconds: float, environment: Mapping[str, str] | None = None, progress: Progress) -> Proof:
    """Play the controls, then what is planned, for `seconds` of each callback; judge it.

    environment: the profile's, for the workers.
    """
    environment = preloaded(pins(1, environment or {}))
    progress("controls", 0.0)
    try:
        with WorkerProcess("the controls", environment) as worker:
            seen = check(worker.ask("realtime", rate=float(SAMPLE_RATE)))
        problems = tuple(Problem("invalid", f"control: {one.problem}") for one in seen if one.problem)
    except WorkerFailed as failure:
        seen, problems = (), (Problem("invalid", f"the controls did not run: {failure.outcome.message}"),)
    records: list[Record] = []
    rows: list[Row] = []
    notes: dict[str, None] = {}
    for number, item in enumerate(plan.planned):
        progress(f"{item.component}.{item.row}, {item.case}", number / len(plan.planned))
        record, said = _prove(item, plan, registry, seconds, environment)
        records.append(record)
        rows.append(row_of(item, record))
        notes |= dict.fromkeys(said)
    return Proof(Verdicts(plan, tuple(rows), problems, tuple(notes)), seen, () if problems else tuple(records))


def preloaded(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the library that counts in front of what is preloaded already."""
    before = environment.get("LD_PRELOAD", os.environ.get("LD_PRELOAD", ""))
    return {**environment, "LD_PRELOAD": ":".join(filter(None, (str(_watch()), before)))}


def _check_system() -> None:
    if sys.platform != "linux":
        raise ConfigurationError("the real-time proof needs Linux: absolute sleep, usage per thread, a preloaded library")
    if reason := no_native(NATIVE):
        raise ConfigurationError(f"the real-time proof needs its audio thread: {reason}")


def _watch() -> Path:
    """The library to preload, beside the native module."""
    found = importlib.util.find_spec(NATIVE)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("_watch.so")


def _prove(
    item: Planned, plan: Plan, registry: Registry, seconds: float, environment: Mapping[str, str]
) -> tuple[Record, list[str]]:
    """One callback at one size of block, in a fresh process; and what to know beside its figures."""
    name = f"{item.component}.{item.implementation}"
    record, before = _begun(item, plan, registry), counters()
    try:
        with WorkerProcess(name, environment) as worker:
            answer = worker.ask(
                "realtime",
                2 * MOST_TURNS * seconds + 60,
                implementation=registry.entry(name).value,
                settings=dict(item.settings),
                seconds=seconds,
                window_seconds=min(WINDOW_SECONDS, seconds / LEAST_WINDOWS),
                seed=random.getrandbits(32),
            )
    except WorkerFailed as failure:
        return dataclasses.replace(record, outcome=failure.outcome), []
    subject = figures.of(answer["subject"], tuple(answer["flags"]), results=answer["results"])
    empty = figures.of(answer["empty"], results=False)
    played = Played(subject, empty, answer["latency"], answer["subject"]["frames"], answer["subject"]["rate"])
    busy = state(before).busy_reason()
    noise = [f"{item.case}: the machine was busy: {busy}"] if busy else []
    record = dataclasses.replace(record, played=played, state={"busy": busy} if busy else {})
    return record, [*noise, *_notes(subject, empty, answer["memory"])]


def _begun(item: Planned, plan: Plan, registry: Registry) -> Record:
    """The record of a launch of which nothing is measured yet."""
    component, entry = registry.components[item.component], registry.entry(f"{item.component}.{item.implementation}")
    module = importlib.util.find_spec(entry.value.partition(":")[0])
    file = (module.origin or "") if module else ""
    native = entry.item.requires.realtime if isinstance(entry.item, Implementation) else None
    build = Build(entry.distribution, entry.version, native_hash(native) if native else "", file)
    commit = commit_of(file)
    return Record(
        session=plan.session, launch=0, component=item.component, contract=component.version, implementation=item.implementation,
        role=item.role, case=item.case, unit=component.unit.name, unit_audio_seconds=component.unit.audio_seconds, clock="wall",
        settings=item.settings, variant=item.variant, build=build, machine=plan.machine, profile=plan.profile, state={},
        started=session_name()[1], samples=Samples(), commit=commit.name, commit_date_ms=commit.date_ms, dirty=commit.dirty,
    )  # fmt: skip


def _notes(subject: Figures, empty: Figures, memory: str) -> list[str]:
    said = []
    if not (subject.realtime and empty.realtime):
        said.append(f"no real-time priority ({subject.why}): the audio thread shares its processor with everything else")
    if memory:
        said.append(f"memory is not locked ({memory})")
    if not (subject.watched and empty.watched):
        said.append("the audio thread was not watched: allocations and locks were not counted")
    return said
