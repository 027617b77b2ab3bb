"""Parity on adversarial inputs: Hypothesis draws them, workers run them, the smallest failing one is kept and tried first."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import wire
from harness.component import Component, Inputs
from harness.files import write_atomically
from harness.measure.plan import reference_settings, replaced
from harness.measure.process import WorkerFailed, WorkerProcess
from harness.parity import compare
from harness.record import Planned
from harness.registry import Registry
from harness.settings import ConfigurationError, Settings

FAILURES = Path(".harness") / "failures"


@dataclass(frozen=True)
class Failure:
    """The smallest input found on which a row differs from the reference; `path` is where it is kept."""

    inputs: Inputs
    message: str
    path: Path


@dataclass(frozen=True)
class Fuzzed:
    """`examples` inputs were tried, kept ones first, until a failure or the end of the time."""

    row: Planned
    examples: int
    failure: Failure | None


class _Differs(Exception):
    """Tells Hypothesis that this input fails."""


class _TimeOver(KeyboardInterrupt):
    """Ends a search at once: Hypothesis lets interrupts through, also while it shrinks."""


def fuzz(
    registry: Registry,
    row: Planned,
    *,
    examples: int = 100,
    seconds: float = 20.0,
    environment: Mapping[str, str] | None = None,
    folder: Path = FAILURES,
    seed: int = 0,
    patience: float = 20.0,
) -> Fuzzed:
    """Look for an input on which `row` and the reference differ, or only one of them refuses, crashes or hangs."""
    component = registry.components[row.component]
    if component.strategy is None:
        raise ConfigurationError(f"component {component.name} has no strategy of adversarial inputs")
    with _Pair(registry, row, environment or {}, patience) as pair:
        tried = 0
        for path, inputs in _kept(folder, row):
            tried += 1
            if message := pair.difference(inputs):
                return Fuzzed(row, tried, Failure(inputs, message, path))
        found, drawn = _search(component, pair, examples=examples, end=time.monotonic() + seconds, seed=seed)
    if found is None:
        return Fuzzed(row, tried + drawn, None)
    inputs, message = found
    return Fuzzed(row, tried + drawn, Failure(inputs, message, _keep(folder, row, inputs, message)))


def _search(component: Component, pair: _Pair, *, examples: int, end: float, seed: int) -> tuple[tuple[Inputs, str] | None, int]:
    import hypothesis

    assert component.strategy is not None
    found: list[tuple[Inputs, str]] = []
    tried = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(component.strategy())
    def check(inputs: Inputs) -> None:
        nonlocal tried
        if time.monotonic() > end:
            raise _TimeOver
        tried += 1
        if message := pair.difference(inputs):
            found.append((inputs, message))
            raise _Differs(message)

    with contextlib.suppress(_Differs, _TimeOver, hypothesis.errors.Flaky):
        check()
    return (found[-1] if found else None), tried


class _Pair:
    """The row and the reference, each in a worker that is started anew after it has died."""

    def __init__(self, registry: Registry, row: Planned, environment: Mapping[str, str], patience: float) -> None:
        self._registry, self._row, self._environment, self._patience = registry, row, environment, patience
        self._component = registry.components[row.component]
        self._replaced = replaced(registry.implementations(row.component)[row.implementation], row.variant)
        reference = registry.reference(row.component)
        settings = Settings().merged(row.settings)
        self._sides = {
            row.row: (f"{row.component}.{row.implementation}", settings),
            "reference": (f"{row.component}.{reference.name}", reference_settings(reference, settings)),
        }
        self._workers: dict[str, WorkerProcess] = {}

    def __enter__(self) -> _Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()

    def difference(self, inputs: Inputs) -> str:
        """What is wrong with the row on these inputs, or ""."""
        reference, expected = self._call("reference", inputs)
        refusal, outputs = self._call(self._row.row, inputs)
        name = f"{self._row.component}.{self._row.row}"
        if outputs is None or expected is None:
            if outputs is None and expected is None and not (reference.fatal or refusal.fatal):
                return ""
            return f"{name}: {refusal.text or 'returned outputs'}; the reference: {reference.text or 'returned outputs'}"
        results = compare(expected, outputs, self._component.policy, replaced=self._replaced, inputs=inputs)
        failed = [result.message for result in results if not result.passed]
        if refusal.text:
            failed.append(refusal.text)
        return f"{name}: {'; '.join(failed)}" if failed else ""

    def _call(self, side: str, inputs: Inputs) -> tuple[_Refusal, Mapping[str, np.ndarray] | None]:
        try:
            answer = self._worker(side).ask("run", self._patience, inputs=dict(inputs))
        except WorkerFailed as failure:
            self._workers.pop(side).kill()
            return _Refusal(f"{failure.outcome.kind}: {failure.outcome.message}", fatal=True), None
        if "refused" in answer:
            return _Refusal(f"refused: {answer['refused']}"), None
        return _Refusal(f"changed {answer['mutated']}" if answer["mutated"] else ""), answer["outputs"]

    def _worker(self, side: str) -> WorkerProcess:
        if side not in self._workers:
            name, settings = self._sides[side]
            worker = self._workers[side] = WorkerProcess(name, self._environment)
            worker.ask("load", implementation=self._registry.entry(name).value, settings=settings.given())
        return self._workers[side]


@dataclass(frozen=True)
class _Refusal:
    """Why there are no outputs; `fatal` when the process died or hung, which no input may do."""

    text: str
    fatal: bool = False


def _stem(row: Planned) -> str:
    return re.sub(r"[^A-Za-z0-9=,]+", "_", row.row).strip("_")


def _keep(folder: Path, row: Planned, inputs: Inputs, message: str) -> Path:
    """Write the inputs as numbers (npz) and their names (json); nothing in them can execute."""
    arrays: list[np.ndarray] = []
    body = {"row": row.row, "settings": dict(row.settings), "message": message, "inputs": wire.encode(dict(inputs), arrays)}
    text = json.dumps(body, indent=1)
    digest = hashlib.sha256(json.dumps(body["inputs"]).encode() + b"".join(array.tobytes() for array in arrays)).hexdigest()[:12]
    path = folder / row.component / f"{_stem(row)}-{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_suffix(".npz"), "wb") as file:
        np.savez(file, *arrays, allow_pickle=False)
    write_atomically(path, text)
    return path


def _kept(folder: Path, row: Planned) -> Iterator[tuple[Path, Inputs]]:
    """The kept failures of this row. A damaged file is a ConfigurationError that names it."""
    for path in sorted((folder / row.component).glob(f"{_stem(row)}-*.json")):
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
                arrays = [file[f"arr_{number}"] for number in range(len(file.files))]
            if body["row"] == row.row:
                yield path, wire.decode(body["inputs"], arrays)
        except (OSError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile) as error:
            raise ConfigurationError(f"{path}: expected a kept failure (json beside npz), found {error}; delete it") from None
