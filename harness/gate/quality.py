"""How often is the gate wrong, on this machine? Verdicts over specimens whose slow-down is known, counted."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from harness import measure, registry, stats
from harness.gate import compare, selftest, session
from harness.gate.expected import expected
from harness.gate.margins import Margins
from harness.gate.session import Sides
from harness.gate.sides import Side, build, project_distribution
from harness.measure.process import WorkerProcess, pins
from harness.settings import Settings

CASES = selftest.CASES
SLOWER = (0.0, 0.03, 0.05, 0.10)
VERDICT_SECONDS = 120.0
ROUNDS = 41


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One verdict over a specimen. slower: the share by which head's calls take longer. busy: beside a process that uses a CPU.

    state: of seconds per call. other: the worst state of its other metrics, none of which is slower. seconds: it took.
    """

    machine: str
    when: str
    case: str
    slower: float
    busy: bool
    state: str
    other: str
    seconds: float
    launches: int


@dataclasses.dataclass(frozen=True)
class Rate:
    """The verdicts of one cell: a case, a slow-down, idle or busy. share, low, high: by state (Clopper and Pearson)."""

    case: str
    slower: float
    busy: bool
    n: int
    states: Mapping[str, tuple[float, float, float]]
    false_alarms: int
    median_seconds: float


def run(file: Path, n: int, *, machine: str, profile: str, note: Callable[[str, float], None]) -> list[Rate]:
    """Add verdicts to `file` until each cell has `n`, idle and busy; the rates of all that this machine has in it."""
    with TemporaryDirectory(prefix="harness-quality-") as folder:
        bench = _Bench(Path(folder), machine, profile)
        cells = [(busy, case, slower) for busy in (False, True) for case in CASES for slower in SLOWER]
        counts = Counter((one.busy, one.case, one.slower) for one in read(file, machine))
        # All cells of one number first: an interrupted run leaves them equally long.
        owed = [cell for number in range(n) for cell in random.sample(cells, len(cells)) if counts[cell] <= number]
        for done, (busy, case, slower) in enumerate(owed):
            note(f"{case}, {slower:.0%} slower{', beside a busy process' if busy else ''}", done / len(owed))
            with _neighbour() if busy else contextlib.nullcontext():
                _append(file, bench.verdict(case, slower, busy=busy))
    return rates(read(file, machine))


def read(file: Path, machine: str) -> list[Verdict]:
    """What a file holds of this machine; an unfinished last line is left out."""
    if not file.exists():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    found = [Verdict(**json.loads(line)) for line in whole.split("\n") if line]
    return [one for one in found if one.machine == machine]


def rates(found: Iterable[Verdict]) -> list[Rate]:
    """Error rates by cell."""
    cells: dict[tuple[bool, str, float], list[Verdict]] = {}
    for one in found:
        cells.setdefault((one.busy, one.case, one.slower), []).append(one)
    return [_rate(case, slower, busy, cell) for (busy, case, slower), cell in sorted(cells.items())]


def wrong(rate: Rate) -> bool:
    """Whether a cell holds an error that the gate must never make."""
    if not rate.slower:
        return rate.states["fail"][0] > 0 or rate.false_alarms > 0
    return rate.slower >= 0.05 and rate.states["pass"][0] > 0


def _rate(case: str, slower: float, busy: bool, cell: Sequence[Verdict]) -> Rate:
    states = {}
    for state in ("pass", "fail", "inconclusive", "invalid"):
        interval = stats.proportion(sum(one.state == state for one in cell), len(cell))
        states[state] = (interval.point, interval.low or 0.0, interval.high if interval.high is not None else 1.0)
    alarms = sum(one.other == "fail" for one in cell)
    return Rate(case, slower, busy, len(cell), states, alarms, stats.median([one.seconds for one in cell]))


class _Bench:
    """Built specimens: head for each slow-down, base, and a second build of base."""

    def __init__(self, folder: Path, machine: str, profile: str) -> None:
        self._repository, self._cache = selftest.specimen(folder / "repository"), folder / "sides"
        self._base, self._copy = (self._build(name, "HEAD") for name in ("base", "copy"))
        factors = self._factors()
        self._heads = {}
        for slower in SLOWER:
            selftest.demand(self._repository, extra={times: slower * factors[times] for times in CASES.values()})
            self._heads[slower] = self._build("head", None)
        # The specimen is installed nowhere: this program finds it where its workers do.
        sys.path.insert(0, str(self._base.folder))
        self._registry = registry.discover()
        self._whole = measure.plan(
            self._registry, Settings(), [f"{selftest.NAME}.kernel"], machine=machine, profile=profile, cases=tuple(CASES)
        )
        self._machine = machine

    def verdict(self, case: str, slower: float, *, busy: bool) -> Verdict:
        """Gate one specimen."""
        head = self._heads[slower]
        one = expected(self._whole, head, self._base).plan
        plan = dataclasses.replace(one, planned=tuple(row for row in one.planned if row.case == case))
        started = time.monotonic()
        found = session.run(
            plan,
            Sides(head, self._base, self._copy),
            self._registry,
            settings=Settings(),
            environment={},
            margins=Margins(),
            seconds=VERDICT_SECONDS,
        )
        seconds = time.monotonic() - started
        states = {metric: decision.state for (_, metric), decision in found.decisions.items()}
        order = ("fail", "invalid", "inconclusive", "pass")
        other = min((state for metric, state in states.items() if metric != compare.SECONDS), key=order.index, default="pass")
        launches = len({(record.session, record.launch) for record in [*found.screening, *found.fresh]})
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        state = states.get(compare.SECONDS, "inconclusive")
        return Verdict(self._machine, when, case, slower, busy, state, other, round(seconds, 2), launches)

    def _build(self, name: str, ref: str | None) -> Side:
        return build(project_distribution(self._repository), ref, name, cache=self._cache, note=lambda _: None)

    def _factors(self) -> dict[int, float]:
        """Sines more, per share of a whole call: a call also costs what does not grow with them."""
        selftest.demand(self._repository, extra=dict.fromkeys(CASES.values(), 1.0))
        double = self._build("head", None)
        return {times: _factor(self._base, double, times) for times in CASES.values()}


def _factor(single: Side, double: Side, times: int) -> float:
    import numpy as np

    name = f"{selftest.NAME}.kernel"
    workers = [WorkerProcess(name, pins(1, {}), paths=side.paths, python=str(side.python)) for side in (single, double)]
    try:
        for worker in workers:
            worker.ask("prepare", inputs={"0": {"x": np.linspace(-1.0, 1.0, 2048), "times": times}}, seed=1)
            worker.ask("load", implementation=f"{selftest.NAME}.kernel:IMPLEMENTATION", settings={})
        calls = max(1, 200 // times)
        took = [[worker.ask("block", calls=calls)["cpu_ns"] for worker in workers] for _ in range(ROUNDS if times < 1000 else ROUNDS // 4)]
        one, two = (min(column) for column in zip(*took, strict=True))
    finally:
        for worker in workers:
            worker.kill()
    return float(one / (two - one))


def _append(file: Path, verdict: Verdict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write((json.dumps(dataclasses.asdict(verdict)) + "\n").encode())


@contextlib.contextmanager
def _neighbour() -> Iterator[None]:
    """A process that keeps one CPU busy."""
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _spin() -> None:
    while True:
        pass
