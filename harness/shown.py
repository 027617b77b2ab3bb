"""What a command showed of a claim: how it ended, and the figures that it told. On disk: one file of JSON per run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.figures import Figure
from harness.files import write_atomically
from harness.settings import ConfigurationError

FOLDER = "claims"
"""Beside the sessions of launches."""


@dataclass(frozen=True)
class Counts:
    """How many tests a command of pytest ran: passed, failed (or could not start), skipped."""

    passed: int
    failed: int
    skipped: int


@dataclass(frozen=True)
class Shown:
    """One run of a command. started: ISO 8601, UTC. exit: its status, negative for the signal that ended it. last: its last line."""

    command: str
    started: str
    seconds: float
    machine: str
    commit: str
    dirty: bool
    exit: int
    last: str
    figures: tuple[Figure, ...] = ()
    tests: Counts | None = None


def keep(folder: Path, shown: Shown) -> Path:
    """Write it beside the sessions of `folder`; the file."""
    name = f"{shown.started[:19].replace(':', '')}-{hashlib.sha256(shown.command.encode()).hexdigest()[:8]}.json"
    path = folder / FOLDER / name
    write_atomically(path, json.dumps(dataclasses.asdict(shown), allow_nan=False, indent=1) + "\n")
    return path


def kept(folder: Path) -> Iterator[Shown]:
    """All that are kept beside the sessions of `folder`, oldest first; ConfigurationError names the file that cannot be read."""
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            yield msgspec.json.decode(path.read_bytes(), type=Shown)
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"{path}: expected what `harness claims --show` writes, found: {error}; delete the file") from None


def figures_of(path: Path) -> tuple[Figure, ...]:
    """The figures that a program told into this file; none without it. ValueError where a line is none."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return tuple(msgspec.json.decode(line, type=Figure) for line in lines)
