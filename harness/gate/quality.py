"""How often is the gate wrong, on this machine? Verdicts over specimens whose slow-down is known, counted, beside those of its peers."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.metadata
import math
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import psutil

from harness.gate import trial
from harness.gate.peers import PEERS, children_cpu_seconds
from harness.gate.tally import CASES, Rate, Verdict, append, mend, rates, read, specimens
from harness.gate.trial import GATE, Judgement, Specimen, Trials
from harness.measure.commit import commit_of

SLOWER = (0.0, *trial.SLOWER)
SLOWED_SHARE = 3
"""A claim of no false alarm in N needs N verdicts on equal code; of slow-downs, one verdict for three of those says as much as is asked."""

PEER_VERDICTS = 20
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(1000000): pass"
"""A program that keeps one CPU busy as long as the one that started it lives."""


class Note(Protocol):
    """Told what is done now, and the share that is done, None where unknown."""

    def __call__(self, note: str, share: float | None = None) -> None: ...


@dataclass(frozen=True)
class Quality:
    """What is known of the gate as it is now. verdicts: of all machines. specimens: of this one. owed: verdicts that are missing.
    older: those of another gate, not counted.
    """

    verdicts: Sequence[Verdict]
    specimens: Sequence[Specimen]
    owed: int
    older: int

    @property
    def rates(self) -> list[Rate]:
        return rates(self.verdicts)

    @property
    def together(self) -> list[Rate]:
        """The same over all kernels."""
        return rates(dataclasses.replace(one, case="all") for one in self.verdicts)


@dataclass(frozen=True)
class Job:
    """A verdict that is owed. asks: GATE, or a package of PEERS."""

    asks: str
    case: str
    slower: float
    busy: bool

    def __str__(self) -> str:
        return f"{self.asks}: {self.case}, {self.slower:.0%} slower{', beside a busy process' if self.busy else ''}"


def run(file: Path, n: int, *, machine: str, profile: str, note: Note, seconds: float | None = None) -> Quality:
    """Add verdicts to `file` until each cell has its number (see `wanted`), idle and busy, or `seconds` are over.

    Ends whenever it is interrupted, and goes on where it ended: each verdict is in the file when it is given.
    """
    code = trial.fingerprint()
    mend(file)
    known = read(file, code)
    owed = list(jobs(known, n))
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    if owed:
        with TemporaryDirectory(prefix="harness-quality-") as folder:
            stamp, trials = _Stamp(machine, code), Trials(Path(folder), machine=machine, profile=profile)
            for case in CASES:
                if time.monotonic() < deadline and not any(one.case == case for one in specimens(file, machine, code)):
                    note(f"calibrating the slow-downs of {case}")
                    append(file, *({**stamp.fields(), **dataclasses.asdict(one)} for one in trials.calibrate(case)))
            if time.monotonic() < deadline:
                trials.slow_down(specimens(file, machine, code))
            gates = sorted((one for one in known if one.tool == GATE), key=lambda one: one.machine == machine)
            given = {(one.case, one.slower, one.busy): one.seconds for one in gates}  # by this machine, where it gave one
            for done, job in enumerate(owed):
                if time.monotonic() >= deadline:
                    break
                note(str(job), done / len(owed))
                said = _verdicts(trials, job, stamp, given)
                append(file, *map(dataclasses.asdict, said))
                if job.asks == GATE:
                    given[job.case, job.slower, job.busy] = said[0].seconds
    every = read(file)
    found = [one for one in every if one.code == code]
    return Quality(found, specimens(file, machine, code), len(list(jobs(found, n))), len(every) - len(found))


def wanted(asks: str, slower: float, n: int) -> int:
    """How many verdicts a cell is to have: n of the gate on equal code, a third of that on each slow-down, 20 at most of a peer."""
    most = n if not slower else -(-n // SLOWED_SHARE)
    return most if asks == GATE else min(PEER_VERDICTS, -(-n // SLOWED_SHARE))


def jobs(found: Iterable[Verdict], n: int) -> Iterator[Job]:
    """What is owed. All cells grow together, in random order, so that whatever ends the run leaves each the same share of its number;
    a peer's turn comes right after the gate's.
    """
    counts = Counter((one.tool, one.case, one.slower, one.busy) for one in found)
    cells = [(case, slower, busy) for busy in (False, True) for case in CASES for slower in SLOWER]
    for number in range(1, n + 1):
        for cell in random.sample(cells, len(cells)):
            for asks in (GATE, *random.sample(list(PEERS), len(PEERS))):
                key = (PEERS.get(asks, (GATE,))[0], *cell)
                if counts[key] < -(-number * wanted(asks, cell[1], n) // n):
                    counts[key] += 1
                    yield Job(asks, *cell)


class _Stamp:
    """Where, when and by what a line was written."""

    def __init__(self, machine: str, code: str) -> None:
        commit = commit_of(__file__)
        self._fixed: dict[str, Any] = {
            "machine": machine,
            "code": code,
            "commit": f"{commit.name[:12] or 'none'}{' with changes' if commit.name and commit.dirty else ''}",
            "versions": {
                "Python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in ("numpy", "audio-perf-harness", *PEERS)},
            },
        }

    def fields(self) -> dict[str, Any]:
        return {**self._fixed, "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}


def _verdicts(trials: Trials, job: Job, stamp: _Stamp, given: Mapping[tuple[str, float, bool], float]) -> list[Verdict]:
    """What a tool says; a tool that breaks has said so, and the run goes on. given: the seconds of the gate's own last verdicts."""
    budget = None if job.asks == GATE else given[job.case, job.slower, job.busy]
    with _neighbour() if job.busy else contextlib.nullcontext() as used:
        started, cpu = time.monotonic(), children_cpu_seconds()
        try:
            said = [trials.gate(job.case, job.slower)] if budget is None else trials.peer(job.asks, job.case, job.slower, budget)
        except Exception as error:  # counted as what it is
            reason = f"{type(error).__name__}: {error}"[:2000]
            said = [Judgement(tool, "error", reason=reason) for tool in PEERS.get(job.asks, (GATE,))]
        seconds, cpu = time.monotonic() - started, children_cpu_seconds() - cpu
        share = None if used is None else round(used() / seconds, 3)
    return [
        Verdict(
            **stamp.fields(),
            **dataclasses.asdict(one),
            case=job.case,
            slower=job.slower,
            busy=job.busy,
            seconds=round(seconds, 3),
            cpu_seconds=round(cpu, 3),
            budget_seconds=budget,
            neighbour=share,
        )
        for one in said
    ]


@contextlib.contextmanager
def _neighbour() -> Iterator[Callable[[], float]]:
    """A process that keeps one CPU busy, whichever the system gives it; called, how many CPU seconds it has used since."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", SPIN], stderr=subprocess.DEVNULL)  # an interrupt reaches it too
    try:
        clock = psutil.Process(process.pid)

        def spent() -> float:
            times = clock.cpu_times()
            return float(times.user + times.system)

        while not (begun := spent()):
            time.sleep(0.01)
        yield lambda: spent() - begun
    finally:
        process.kill()
        process.wait()
