"""Where a gate runs: in head's own environment, so that components, cases and reference are head's, whatever is installed here."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.files import data_folder
from harness.gate.inventory import entry_of
from harness.gate.session import Sides
from harness.gate.sides import Side, build, project_distribution
from harness.measure.process import without_python
from harness.watchdog import die_with

SIDES = "HARNESS_GATE_SIDES"
"""Set for the program that runs inside head's environment: a JSON file with the sides that were built for it, and the process that did.

A file, for a variable holds no more than 128 KiB on Linux, and sides list their entry points.
"""


def build_sides(ref: str, note: Callable[[str], None]) -> Sides:
    """Head (the working tree), base (commit `ref`) and a second build of base, of the distribution in the current folder."""
    distribution, cache = project_distribution(), data_folder() / "sides"
    made = {name: build(distribution, of, name, cache=cache, note=note) for name, of in (("head", None), ("base", ref), ("copy", ref))}
    return Sides(**made)


def given_sides() -> Sides | None:
    """The sides that this program was started for, None where it was started by a user; it ends with the one that started it."""
    file = os.environ.get(SIDES)
    if file is None:
        return None
    given = json.loads(Path(file).read_text(encoding="utf-8"))
    die_with(given.pop("parent"))
    return Sides(**{name: _side(body) for name, body in given.items()})


def enter(sides: Sides, arguments: Sequence[str]) -> int:
    """Run `harness` with these arguments inside head's environment; its exit code."""
    head = sides.head
    with TemporaryDirectory(prefix="harness-gate-") as folder:
        given = Path(folder) / "sides.json"
        given.write_text(json.dumps({"parent": os.getpid(), **dataclasses.asdict(sides)}, default=str), encoding="utf-8")
        variables = {**without_python(), SIDES: str(given), "PYTHONPATH": os.pathsep.join(head.paths)}
        process = subprocess.Popen([str(head.python), "-P", "-m", "harness.cli", *arguments], env=variables)
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue  # the terminal interrupts both: the one inside says what was kept
            return code if code >= 0 else 128 - code


def _side(body: dict[str, object]) -> Side:
    fields = {**body, "python": Path(str(body["python"])), "folder": Path(str(body["folder"]))}
    fields["entries"] = {name: entry_of(entry) for name, entry in body["entries"].items()}  # type: ignore[attr-defined]
    for name in ("paths", "packages", "shared"):
        fields[name] = tuple(body[name])  # type: ignore[arg-type]
    return Side(**fields)  # type: ignore[arg-type]
