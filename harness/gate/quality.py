"""How often is the gate wrong, on this machine? Verdicts over specimens whose slow-down is known, counted, beside those of its peers."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import os
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
from typing import Any

from harness import stats
from harness.gate import selftest, trial
from harness.gate.peers import PEERS, children_cpu_seconds
from harness.gate.trial import GATE, Judgement, Note, Specimen, Trials
from harness.measure.commit import commit_of
from harness.settings import ConfigurationError

CASES = tuple(selftest.CASES)
SLOWER = (0.0, *trial.SLOWER)
SLOWED_SHARE = 3
"""A claim of no false alarm in N needs N verdicts on equal code; of slow-downs, one verdict for three of those says as much as is asked."""

PEER_VERDICTS = 20
STATES = ("fail", "pass", "inconclusive", "invalid", "error")
ORDER = (GATE, *(tool for tools in PEERS.values() for tool in tools))

SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(1000000): pass"
"""A program that keeps one CPU busy as long as the one that started it lives."""


@dataclass(frozen=True)
class Verdict:
    """One verdict over a specimen. slower: the share by which head's calls take longer. busy: beside a process that uses a CPU.

    state: of seconds per call, "error" where the tool gave none. other: the worst state of its other metrics, none of which is
    slower. found: the slow-down that the tool read. seconds, cpu_seconds: it took; budget_seconds: a peer was given to sample in.
    neighbour: CPU seconds of the busy process per second. code: fingerprint of the gate.
    """

    machine: str
    when: str
    case: str
    slower: float
    busy: bool
    state: str
    other: str
    seconds: float
    launches: int | None
    tool: str = GATE
    found: float | None = None
    cpu_seconds: float | None = None
    budget_seconds: float | None = None
    neighbour: float | None = None
    reason: str = ""
    code: str = ""
    commit: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Rate:
    """The verdicts of one cell: a tool on a case and a slow-down, idle or busy. states: share, low, high (Clopper and Pearson).

    others: how often the worst of the other metrics had a state. found: the median slow-down read.
    """

    tool: str
    case: str
    slower: float
    busy: bool
    n: int
    states: Mapping[str, tuple[float, float, float]]
    others: Mapping[str, int]
    median_seconds: float
    median_cpu_seconds: float | None
    found: float | None

    @property
    def false_alarms(self) -> int:
        return self.others.get("fail", 0)


@dataclass(frozen=True)
class Quality:
    """What is known on one machine of the gate as it is now. owed: verdicts that are missing. older: those of another gate, not counted."""

    machine: str
    verdicts: Sequence[Verdict]
    specimens: Sequence[Specimen]
    owed: int
    older: int

    @property
    def rates(self) -> list[Rate]:
        return rates(self.verdicts)


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
    _mend(file)
    owed = list(jobs(read(file, machine, code), n))
    deadline = None if seconds is None else time.monotonic() + seconds
    if owed:
        stamp = _Stamp(machine, code)
        with TemporaryDirectory(prefix="harness-quality-") as folder:
            known = specimens(file, machine, code)
            trials = Trials(
                Path(folder),
                known,
                machine=machine,
                profile=profile,
                note=note,
                keep=lambda one: _append(file, {**stamp.fields(), **dataclasses.asdict(one)}),
            )
            given = {(one.case, one.slower, one.busy): one.seconds for one in read(file, machine, code) if one.tool == GATE}
            for done, job in enumerate(owed):
                if deadline is not None and time.monotonic() >= deadline:
                    break
                note(str(job), done / len(owed))
                for verdict in _verdicts(trials, job, stamp, given):
                    _append(file, dataclasses.asdict(verdict))
                    if verdict.tool == GATE:
                        given[job.case, job.slower, job.busy] = verdict.seconds
    found, every = read(file, machine, code), read(file, machine)
    return Quality(machine, found, specimens(file, machine, code), len(list(jobs(found, n))), len(every) - len(found))


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


def read(file: Path, machine: str, code: str | None = None) -> list[Verdict]:
    """The verdicts that a file holds of this machine, and of this gate; an unfinished last line is left out."""
    return [Verdict(**line) for line in _lines(file, machine, code) if "state" in line]


def specimens(file: Path, machine: str, code: str) -> list[Specimen]:
    """The slow-downs as they were built and measured here; of each the latest."""
    names = [field.name for field in dataclasses.fields(Specimen)]
    found = [Specimen(**{name: line[name] for name in names}) for line in _lines(file, machine, code) if "share" in line]
    return list({(one.case, one.slower): one for one in found}.values())


def rates(found: Iterable[Verdict]) -> list[Rate]:
    """Error rates by cell; those of tools and slow-downs side by side."""
    cells: dict[tuple[bool, int, float, int], list[Verdict]] = {}
    for one in found:
        cells.setdefault((one.busy, _place(CASES, one.case), one.slower, _place(ORDER, one.tool)), []).append(one)
    return [_rate(cell) for _, cell in sorted(cells.items())]


def wrong(rate: Rate) -> bool:
    """Whether a cell holds an error that the gate must never make."""
    if rate.tool != GATE:
        return False
    if not rate.slower:
        return rate.states["fail"][0] > 0 or rate.false_alarms > 0
    return rate.slower >= 0.05 and rate.states["pass"][0] > 0


def _rate(cell: Sequence[Verdict]) -> Rate:
    states, first = {}, cell[0]
    for state in STATES:
        interval = stats.proportion(sum(one.state == state for one in cell), len(cell))
        states[state] = (interval.point, interval.low or 0.0, interval.high if interval.high is not None else 1.0)
    return Rate(
        first.tool,
        first.case,
        first.slower,
        first.busy,
        len(cell),
        states,
        Counter(one.other for one in cell),
        stats.median([one.seconds for one in cell]),
        _median(one.cpu_seconds for one in cell),
        _median(one.found for one in cell),
    )


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
    import psutil

    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", SPIN])
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


def _lines(file: Path, machine: str, code: str | None) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    found = []
    for number, text in enumerate(file.read_bytes().split(b"\n")[:-1], 1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{file}, line {number}: expected a verdict as JSON, found {error}; mend or remove the line") from None
        if line["machine"] == machine and code in (None, line.get("code", "")):
            found.append(line)
    return found


def _mend(file: Path) -> None:
    """Cut off a last line that an interruption left unfinished, or the next one would become a part of it."""
    whole = file.read_bytes().rpartition(b"\n") if file.exists() else (b"", b"", b"")
    if whole[2]:
        os.truncate(file, len(whole[0] + whole[1]))


def _append(file: Path, line: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write((json.dumps(line) + "\n").encode())


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return stats.median(known) if known else None
