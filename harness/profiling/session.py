"""Profile one row, alone or beside another: timed without a profiler first, then sampled, then its operators and its memory."""

from __future__ import annotations

import contextlib
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.component import Implementation, Inputs
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, WorkerProcess
from harness.measure.workload import Workload
from harness.metrics import Absent
from harness.profiling import inside, memory, operators, sampler
from harness.profiling.operators import Operator
from harness.profiling.sampler import Unsampled
from harness.profiling.stacks import Profile, Stack, parse, profile
from harness.record import Outcome
from harness.stats import median

SEEDS = (0, 1, 2)
SLOW_SECONDS = 1.0
"""A call that takes longer is made on one of the inputs alone, and as seldom as can be."""

ROUNDS, BLOCK_SECONDS, TIMING_SECONDS = 9, 0.02, 3.0
SLICES = 2
"""Rows that are compared are sampled in turns, so that a busy minute meets both."""

LEAST_SAMPLED_CALLS = 1.5
SPARE_SECONDS = 60.0
"""How long a worker calls on, should the profiler never end."""


@dataclass(frozen=True)
class Subject:
    """A row that is profiled. name: as it is shown. value: of its entry point.

    environment, affinity, paths, python: of its worker, as for any other (`WorkerProcess`).
    """

    name: str
    implementation: Implementation
    value: str
    settings: Mapping[str, Any]
    environment: Mapping[str, str]
    affinity: Sequence[int] = ()
    paths: Sequence[str] | None = None
    python: str | None = None

    @property
    def own(self) -> str:
        """What the files of its package begin with; nothing for a peer, whose library is what is looked at."""
        return "" if self.implementation.role == "peer" else self.value.partition(":")[0].partition(".")[0]


@dataclass(frozen=True)
class Explanation:
    """What was found. unit: of work ("frame"); calls make `units` of them. before: of what it is compared with.

    operators: by what they take, of `traced` calls. trace: torch's own time line, a Chrome trace.
    """

    title: str
    unit: str
    units: float
    calls: Profile
    before: Profile | None
    operators: tuple[Operator, ...] | Absent
    traced: int
    trace: str
    memory: Profile | Absent
    memory_before: Profile | Absent | None
    notes: tuple[str, ...] = ()


@dataclass
class _Running:
    """A subject whose worker is loaded and warm. inputs: by seed, what it is called with; seconds: of a call; units: it makes."""

    subject: Subject
    worker: WorkerProcess
    patience: float
    inputs: Mapping[str, Inputs]
    seconds: float
    units: float
    timed: list[float] = field(default_factory=list)
    samples: dict[Stack, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def explain(
    subject: Subject,
    workload: Workload,
    *,
    title: str,
    unit: str,
    against: Subject | None = None,
    seconds: float = 4.0,
    longest: float = math.inf,
    patience: float = PATIENCE_SECONDS,
    memory_too: bool = True,
    note: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """Profile a row on a case; beside `against`, what it takes less or more than that.

    seconds: of sampling, for each row. longest: seconds of a call beyond which nothing is done. patience: for any single command
    to a worker. WorkerFailed: a row raised, crashed, hung. Unsampled: there are no samples, and why.
    """
    sampler.program()  # before anything is started
    subjects = [subject] if against is None else [against, subject]
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="harness-explain-") as folder:
        running = []
        for one in subjects:
            note(f"loading {one.name}")
            running.append(stack.enter_context(_started(one, workload, longest, patience)))
        note("timing")
        _time([one for one in running if not one.timed])
        slices = SLICES if against and seconds >= SLICES else 1
        for number in range(slices):
            for place, now in enumerate(running):
                note(f"sampling {now.subject.name}")
                _sample(now, seconds / slices, Path(folder) / f"stop-{place}-{number}")
        found = [_profile(one) for one in running]
        if "torch" in subject.implementation.requires.packages:
            note("torch.profiler")
        table, traced, trace = _operators(running[-1], Path(folder))
    held: list[Profile | Absent] = []
    for one in subjects:
        note(f"memory of {one.name}")
        held.append(_memory(one, workload, patience) if memory_too else Absent("not asked for"))
    notes = tuple(dict.fromkeys(text for one in found for text in one.notes))
    before, held_before = (found[0], held[0]) if against else (None, None)
    return Explanation(title, unit, running[-1].units, found[-1], before, table, traced, trace, held[-1], held_before, notes)


@contextlib.contextmanager
def _started(subject: Subject, workload: Workload, longest: float, patience: float) -> Iterator[_Running]:
    inputs = {str(seed): workload.inputs(seed) for seed in SEEDS}
    with _worker(subject, {}) as worker:
        worker.ask("prepare", patience, inputs=inputs, seed=random.randrange(1 << 62))
        _load(worker, subject, patience)
        seeds: Sequence[int] = SEEDS[:1]
        answer = worker.ask("outputs", patience, seeds=list(seeds))
        if answer["wall_ns"][0] > longest * 1e9:
            raise Unsampled(f"a call takes {answer['wall_ns'][0] / 1e9:.0f} s, which is longer than is waited for here ({longest:g} s)")
        slow = answer["wall_ns"][0] > SLOW_SECONDS * 1e9
        if not slow:
            seeds = SEEDS
            answer = worker.ask("outputs", patience, seeds=list(seeds))
        seconds = min(answer["wall_ns"]) / 1e9
        made = [workload.produced(seed, outputs) for seed, outputs in zip(seeds, answer["outputs"], strict=True)]
        units = sum(made) / len(made) or 1.0  # of nothing, the call itself
        chosen = {str(seed): inputs[str(seed)] for seed in seeds}
        yield _Running(subject, worker, patience, chosen, seconds, units, timed=[seconds] if slow else [])


def _worker(subject: Subject, more: Mapping[str, str]) -> WorkerProcess:
    environment = {**subject.environment, inside.VALUE: subject.value, **more}
    return WorkerProcess(subject.name, environment, paths=subject.paths, python=subject.python)


def _load(worker: WorkerProcess, subject: Subject, patience: float) -> None:
    affinity = list(subject.affinity) or None
    worker.ask("load", patience, implementation=f"{inside.__name__}:PROFILED", settings=dict(subject.settings), affinity=affinity)


def _time(running: Sequence[_Running]) -> None:
    """Seconds per call without a profiler, in blocks that take turns; on the clock that judges the row."""
    end = time.monotonic() + TIMING_SECONDS * len(running)
    for number in range(ROUNDS):
        for one in random.sample(list(running), len(running)):
            calls = max(1, round(BLOCK_SECONDS / max(one.seconds, 1e-7)))
            answer = one.worker.ask("block", one.patience, calls=calls)
            clock = "cpu_ns" if one.subject.implementation.clock == "cpu" else "wall_ns"
            one.timed.append(answer[clock] / 1e9 / calls)
        if number and time.monotonic() > end:
            return


def _sample(one: _Running, seconds: float, stop: Path) -> None:
    """Let the worker call on while py-spy looks at it from outside."""
    seconds = max(seconds, LEAST_SAMPLED_CALLS * one.seconds)
    most = seconds + sampler.START_SECONDS + SPARE_SECONDS
    asked = {inside.ASK: "spin", "stop": str(stop), "seconds": most, "cases": dict(one.inputs)}
    one.worker.tell("run", one.patience, inputs=asked)
    trouble: Unsampled | None = None
    try:
        found = sampler.sample(one.worker.pid, seconds)
    except Unsampled as error:
        trouble = error
    finally:
        stop.touch()
    _answered(one.worker.answer(most + one.patience), one.subject.name)  # a worker that has crashed explains itself
    if trouble is not None:
        raise trouble
    one.notes += found.notes
    for stack, count in parse(found.folded).items():
        one.samples[stack] = one.samples.get(stack, 0.0) + count


def _profile(one: _Running) -> Profile:
    """Its samples, in milliseconds per unit of work."""
    total = 1e3 * median(one.timed) / one.units
    try:
        return profile(one.subject.name, one.samples, total, own=one.subject.own, notes=one.notes)
    except ValueError as error:
        raise Unsampled(str(error)) from None


def _operators(one: _Running, folder: Path) -> tuple[tuple[Operator, ...] | Absent, int, str]:
    """(torch's operators, of how many calls, their time line)."""
    if "torch" not in one.subject.implementation.requires.packages:
        return Absent("it does not use torch"), 0, ""
    asked = {inside.ASK: "operators", "folder": str(folder), "seconds": operators.TRACED_SECONDS, "cases": dict(one.inputs)}
    try:
        _answered(one.worker.ask("run", one.patience, inputs=asked), one.subject.name)
        traced, table = operators.read(folder)
        return table, traced, (folder / operators.TRACE).read_text(encoding="utf-8")
    except (WorkerFailed, OSError, ValueError) as error:
        return Absent(f"torch.profiler gave nothing: {error}"), 0, ""


def _memory(subject: Subject, workload: Workload, patience: float) -> Profile | Absent:
    """What load() and one call hold at their peak, in a process of its own: memray slows every allocation."""
    if reason := memory.missing():
        return Absent(reason)
    with tempfile.TemporaryDirectory(prefix="harness-explain-") as folder:
        file = Path(folder) / "allocations"
        try:
            with _worker(subject, {inside.ALLOCATIONS: str(file)}) as worker:
                _load(worker, subject, patience)
                asked = {inside.ASK: "once", "cases": {str(SEEDS[0]): workload.inputs(SEEDS[0])}}
                _answered(worker.ask("run", patience, inputs=asked), subject.name)
                if problem := worker.close(patience):
                    return Absent(f"memray could not finish: {problem}")
            folders = [*(subject.paths or sys.path), *_environment(subject)]
            return memory.read(file, subject.name, folders, own=subject.own)
        except (WorkerFailed, OSError) as error:
            return Absent(f"memray gave nothing: {error}")


def _environment(subject: Subject) -> Sequence[str]:
    """Where the modules of an interpreter of its own are."""
    return () if subject.python is None else [str(path) for path in Path(subject.python).parents[1].glob("lib/python*/site-packages")]


def _answered(answer: Mapping[str, Any], name: str) -> None:
    if "refused" in answer:
        raise WorkerFailed(Outcome("raised", f"{name}: a call under the profiler: {answer['refused']}"))
