"""What the benchmarks of one asv session share: one measurement per component and case, read by every metric of every row."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness import history, lock, measure
from harness.context import Context, gather
from harness.files import write_atomically
from harness.history import naming
from harness.history.points import SeriesName
from harness.profile import worker_environment
from harness.record import Plan, Record
from harness.targets import Target

ROOT = Path(__file__).parent.parent
SECONDS = 30.0
"""About how long one measurement may take, beside loading and parity."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of asv and the parameters it runs over."""

    key: history.Key
    implementations: tuple[str, ...]
    cases: tuple[str, ...]
    unit: str
    version: int

    @property
    def name(self) -> str:
        return self.key.benchmark


class NotMeasured(Exception):
    """A benchmark that failed; asv shows the message with --show-stderr."""


def benchmarks() -> Iterator[Benchmark]:
    """Every benchmark, from what is registered and what targets bound."""
    tracked = naming.tracked(_targets())
    whole = _plan(())
    for name, component in _context().registry.components.items():
        rows = [naming.implementation(item) for item in whole.planned if item.component == name]
        rows += [item.implementation for item in whole.unavailable if item.component == name and item.implementation]
        cases = tuple(dict.fromkeys(item.case for item in whole.planned if item.component == name))
        stored: dict[str, tuple[SeriesName, ...]] = {naming.PARITY: ("upper",)}
        for metric, better in tracked.get(name, naming.always()).items():
            stored[naming.stored_name(metric, better)] = naming.series_of(metric)
        for metric, series in stored.items():
            for one in series:
                key = history.Key(name, metric, one, "", "")
                unit = "failed outputs" if metric == naming.PARITY else "x" if one == "ratio" else naming.unit(metric)
                yield Benchmark(key, tuple(dict.fromkeys(rows)), cases, unit, component.version)


def value(benchmark: Benchmark, implementation: str, case: str) -> float:
    """The number of one cell; NaN (asv: n/a) where nothing was measured, with the reason on stderr.

    NotMeasured (asv: failed) where it crashed, where its result was wrong, or where other code ran than asv will name.
    """
    component = benchmark.key.component
    taken = ROOT / ".harness" / "asv" / _session() / f"{component}.{case}.json"
    if not taken.exists():
        # Before measuring: a measurement that asv killed is not tried again by every other benchmark.
        write_atomically(taken, "{}")
        write_atomically(taken, json.dumps(_cells(component, case)))
    cells = json.loads(taken.read_text(encoding="utf-8"))
    if not cells:
        raise NotMeasured("the measurement that another benchmark began did not finish")
    if fault := cells["faults"].get(implementation):
        raise NotMeasured(fault)
    found: float | None = cells["values"].get(f"{benchmark.name} {implementation}")
    if found is None:
        reasons = cells["reasons"].get(f"{benchmark.key.metric} {implementation}") or cells["reasons"].get(implementation)
        print(f"{component}.{implementation} on {case}: {reasons or 'nothing was measured'}", file=sys.stderr)
        return math.nan
    return found


def _cells(component: str, case: str) -> dict[str, dict[str, Any]]:
    """Measure all implementations of a component on a case, interleaved; every number, fault and reason, by cell."""
    found = _context()
    plan = _plan((component,), case)
    environment = worker_environment(found.profile, found.settings)
    with lock.measuring(wait=True, tell=lambda text: print(text, file=sys.stderr)):
        records = measure.run(plan, found.registry, settings=found.settings, store=found.store, environment=environment, seconds=SECONDS)
    points, refused = history.points_of(records, _targets())
    tracked = naming.tracked(_targets()).get(component, naming.always())
    rows = {record.row: naming.implementation(record) for record in records}
    faults: dict[str, list[str]] = {}
    for record in records:
        # What an outside peer gets wrong is a number like any other.
        wrong = _faults(record) if record.role != "peer" else []
        faults.setdefault(naming.implementation(record), []).extend([*_wrong_code(record), *wrong])
    reasons = {item.implementation: item.reason for item in plan.unavailable if item.component == component}
    return {
        "values": {f"{point.key.benchmark} {point.key.implementation}": point.value for point in points if point.value is not None},
        "faults": {row: "\n".join(dict.fromkeys(found)) for row, found in faults.items() if found},
        "reasons": reasons
        | {f"{naming.stored_name(item.metric, tracked[item.metric])} {rows[item.row]}": item.reason for item in refused},
    }


def _wrong_code(record: Record) -> list[str]:
    """Why asv would store this number under a commit whose code did not run, if it would."""
    folder, commit = os.environ.get("ASV_ENV_DIR"), _commit_to_be_set()
    file = Path(record.build.file)
    if folder and record.build.file and not file.is_relative_to(folder):
        return [f"{file} ran, outside asv's environment for commit {os.environ.get('ASV_COMMIT')}"]
    if not folder and commit and (record.dirty or record.commit != commit):
        found = "uncommitted changes" if record.dirty else f"commit {record.commit[:8]}"
        return [f"asv would store this as commit {commit[:8]}, but {file} ran with {found}: check it out, clean and installed"]
    return []


@functools.cache
def _commit_to_be_set() -> str:
    """The commit that `asv run --set-commit-hash` was given (asv tells it to nobody), or nothing."""
    for process in psutil.Process().parents():
        arguments = process.cmdline()
        for number, argument in enumerate(arguments):
            if argument.startswith("--set-c"):
                name = argument.partition("=")[2] or arguments[number + 1]
                command = ["git", "-C", str(ROOT), "rev-parse", f"{name}^{{commit}}"]
                return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return ""


def _session() -> str:
    """A name that the benchmarks of one `asv run` over one commit share, and no other run: their common parent."""
    parent = psutil.Process(os.getppid())
    return f"{parent.pid}-{parent.create_time():.2f}-{os.environ.get('ASV_COMMIT', '')[:8]}".rstrip("-")


def _faults(record: Record) -> list[str]:
    where = f"{record.component}.{record.row} on {record.case}, launch {record.launch + 1}"
    if record.outcome.kind != "measured":
        return [f"{where}: {record.outcome.kind}: {record.outcome.message}"]
    wrong = [f"{where}: {result.message}" for result in record.parity if not result.passed]
    return wrong or ([f"{where}: compared with nothing"] if history.failing(record) else [])


@functools.cache
def _context() -> Context:
    # asv runs each benchmark in a folder of its own; the project's settings are here.
    with contextlib.chdir(ROOT):
        return gather()


@functools.cache
def _plan(patterns: tuple[str, ...], case: str = "") -> Plan:
    return _context().plan(patterns, cases=(case,) if case else ())


@functools.cache
def _targets() -> tuple[Target, ...]:
    """The targets of every profile: which series exist does not depend on the machine."""
    with contextlib.chdir(ROOT):
        return _context().targets(_plan(()))
