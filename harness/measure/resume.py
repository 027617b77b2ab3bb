"""Resuming a session that did not end: what is left of its plan, and whether it would still measure the same code."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import harness
from harness.measure.commit import commit_of
from harness.record import Origin, Plan, Planned, Record
from harness.registry import Registry
from harness.settings import ConfigurationError, Settings


@dataclass(frozen=True)
class Launches:
    """Of one case: how many launches have a record of every row that was due, and the number that the next one gets.

    A launch that was torn apart while its records were written is measured again as a whole, under a number of its own: its
    rows would not have run side by side otherwise, and what was recorded of it stays.
    """

    whole: int
    next: int


def launches_of(rows: Sequence[Planned], records: Iterable[Record]) -> Launches:
    """The launches of the case that `rows` share."""
    counts = {_line(row): 0 for row in rows}
    numbers = {-1}
    for record in records:
        if (line := _line(record)) in counts and not record.control:
            counts[line] += 1
            numbers.add(record.launch)
    most = max(row.launches for row in rows)
    whole = min(most, *(most if counts[_line(row)] >= row.launches else counts[_line(row)] for row in rows))
    return Launches(whole, max(numbers) + 1)


def complete(plan: Plan, records: Sequence[Record]) -> bool:
    """Whether nothing is left to measure."""
    cases: dict[tuple[str, str], list[Planned]] = {}
    for row in plan.planned:
        cases.setdefault((row.component, row.case), []).append(row)
    return all(launches_of(rows, records).whole >= max(row.launches for row in rows) for rows in cases.values())


def origin(plan: Plan, registry: Registry, settings: Settings, *, thorough: bool) -> Origin:
    """What a plan stands on now."""
    names = sorted({f"{row.component}.{row.implementation}" for row in plan.planned})
    return Origin(settings.given(), _code(names, registry), thorough)


def check_same(plan: Plan, registry: Registry, machine: str, settings: Settings) -> None:
    """ConfigurationError says why a session cannot be resumed here and now."""
    begun = f"session {plan.session} cannot be resumed"
    if plan.origin is None:
        raise ConfigurationError(f"{begun}: it was not begun by a `harness run` that takes times; measure anew without --resume")
    if plan.machine != machine:
        raise ConfigurationError(f"{begun}: it was measured on {plan.machine}, this machine is {machine}; measure anew without --resume")
    usable = {entry.name for entry in registry.entries if entry.item}
    gone = sorted({f"{row.component}.{row.implementation}" for row in plan.planned} - usable)
    if gone:
        raise ConfigurationError(f"{begun}: no longer registered, or broken: {', '.join(gone)}; measure anew without --resume")
    now = origin(plan, registry, settings, thorough=plan.origin.thorough)
    changes = [*_changes(plan.origin.code, now.code), *_changes(_texts(plan.origin.settings), _texts(now.settings))]
    if changes:
        raise ConfigurationError(f"{begun}: since it began these changed: {'; '.join(changes)}; measure anew without --resume")


def _changes(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return [f"{name} ({then.get(name, 'nothing')}, now {now.get(name, 'nothing')})" for name in names]


def _texts(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"setting {name}": json.dumps(value) for name, value in settings.items()}


def _code(names: Iterable[str], registry: Registry) -> dict[str, str]:
    found = {"python": platform.python_version(), "numpy": np.__version__, "harness": _digest(Path(harness.__file__), "**/*")}
    for name in names:
        component = name.partition(".")[0]
        files = [_file(registry, entry) for entry in (component, name)]
        commit = commit_of(str(files[-1]))
        parts = [f"code {'+'.join(dict.fromkeys(map(_digest, files)))}", f"commit {commit.name[:12] or 'none'}"]
        requires = registry.implementations(component)[name.partition(".")[2]].requires
        found[name] = ", ".join([*parts, *(f"{package} {_version(package)}" for package in requires.packages)])
    return found


def _file(registry: Registry, name: str) -> Path:
    return Path(str(importlib.import_module(registry.entry(name).value.partition(":")[0]).__file__))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _digest(file: Path, pattern: str = "*") -> str:
    """Of the code beside a module."""
    state = hashlib.sha256()
    for path in sorted(file.parent.glob(pattern)):
        if path.suffix in (".py", ".so", ".pyd"):
            state.update(str(path.relative_to(file.parent)).encode() + path.read_bytes())
    return state.hexdigest()[:12]


def _line(item: Planned | Record) -> str:
    return json.dumps([item.component, item.row, item.case, dict(item.settings)], sort_keys=True)
