"""A history as asv keeps it: a folder per machine, read and written.

    <results>/benchmarks.json                      what is tracked: name, parameters, unit, version
    <results>/<machine>/machine.json               whose times these are
    <results>/<machine>/<commit8>-<env_name>.json  one commit in one environment
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.files import write_atomically
from harness.history.points import Damaged, HistoryError, Point
from harness.history.results import MACHINE_VERSION, NAME, PARAMETERS, VERSION, file_name, grouped, load, read_file, with_points

CORRUPT = ".corrupt"


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that nothing overwrites what may still be saved of it; where it lies now."""
    names = itertools.chain([path.name + CORRUPT], (f"{path.name}{CORRUPT}-{number}" for number in itertools.count(2)))
    target = next(target for target in map(path.with_name, names) if not target.exists())
    path.rename(target)
    return target


def set_aside_damaged(results_dir: Path, machine: str) -> list[Path]:
    """Set aside what could not be read of the files that a projection reads and replaces; where each lies now."""
    folder, moved = results_dir / machine, []
    checks: list[tuple[Path, Any]] = [(path, lambda path: read_file(path, machine)) for path in result_files(folder)]
    checks += [(folder / "machine.json", lambda path: load(path, MACHINE_VERSION)), (results_dir / "benchmarks.json", _check_benchmarks)]
    for path, check in checks:
        try:
            if path.is_file():
                check(path)
        except Damaged:
            moved.append(set_aside(path))
    return moved


def _check_benchmarks(path: Path) -> None:
    for name, body in load(path, VERSION).items():
        params = body.get("params", [[], []]) if isinstance(body, dict) else None
        right = isinstance(params, list) and len(params) == len(PARAMETERS) and all(isinstance(axis, list) for axis in params)
        if NAME.fullmatch(name) and not right:
            raise Damaged(path, f"expected parameters of {name}, found {str(body)[:60]!r}; remove or restore it")


def left_out(results_dir: Path, machine: str) -> list[str]:
    """Files of this machine's history that were set aside, or that cannot be read: what is judged without them is not the whole."""
    folder = results_dir / machine
    found = [f"{path}: set aside as damaged; restore it under its name, or delete it" for path in sorted(folder.glob(f"*.json{CORRUPT}*"))]
    for path in result_files(folder):
        try:
            read_file(path, machine)
        except Damaged as damage:
            found.append(str(damage))
    return found


def read(results_dir: Path, machine: str, *, whole: bool = True) -> list[Point]:
    """All points of one machine, oldest commit first; benchmarks whose names are not ours are left alone.

    whole: a damaged file is an error; otherwise it is left out, and `left_out` names it.

    The order is that of the repository around the folder, where it knows every commit (a rebase gives a whole branch one
    date), else that of the dates. HistoryError names the file that is damaged.
    """
    points: list[Point] = []
    for path in result_files(results_dir / machine):
        try:
            points += read_file(path, machine)
        except Damaged:
            if whole:
                raise
    commits = git(results_dir, "rev-list", "--topo-order", "--reverse", "--all", "HEAD").split()
    place = {commit: number for number, commit in enumerate(commits)}
    known = all(point.commit in place for point in points)
    return sorted(points, key=lambda point: (place[point.commit] if known else point.date_ms, point.commit))


def write(results_dir: Path, machine: Mapping[str, str], python: str, env_name: str, points: Sequence[Point]) -> list[Path]:
    """Write points into asv's files: a cell that is given replaces what was stored, every other stays; returns the result files.

    machine: the entry of machine.json. HistoryError where the folder belongs to another machine.
    """
    check_machine(results_dir, machine)
    folder = results_dir / machine["machine"]
    if not (folder / "machine.json").is_file():
        write_atomically(folder / "machine.json", json.dumps({**machine, "version": MACHINE_VERSION}, indent=4, sort_keys=True) + "\n")
    written = []
    for commit, of_commit in grouped(points, lambda point: point.commit).items():
        path = folder / file_name(commit, env_name)
        write_atomically(path, with_points(path, machine, python, env_name, of_commit))
        written.append(path)
    if points:
        _write_benchmarks(results_dir / "benchmarks.json", points)
    return written


def result_files(folder: Path) -> list[Path]:
    """The result files of one machine's folder."""
    return sorted(path for path in folder.glob("*.json") if path.name != "machine.json")


def check_machine(results_dir: Path, machine: Mapping[str, str]) -> None:
    """HistoryError when the folder's machine.json describes another machine than `machine`; silence where there is none yet."""
    path = results_dir / machine["machine"] / "machine.json"
    if not path.is_file():
        return
    found = load(path, MACHINE_VERSION)
    differing = [name for name in sorted({*found, *machine} - {"version"}) if found.get(name) != machine.get(name)]
    if differing:
        details = "; ".join(f"{name}: here {machine.get(name)!r}, in the file {found.get(name)!r}" for name in differing)
        raise HistoryError(
            f"{path}: machine.json differs from this machine ({details}); times of another machine are never compared: "
            "move that folder away, or run `harness machine --asv` and measure again"
        )


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder; nothing where there is no git, no repository or no answer."""
    with contextlib.suppress(OSError):
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False).stdout.strip()
    return ""


def _write_benchmarks(path: Path, points: Sequence[Point]) -> None:
    """Add what `points` tracks to benchmarks.json; parameters already listed stay, so that older commits remain visible."""
    body = load(path, VERSION) if path.is_file() else {}
    for name, of_benchmark in grouped(points, lambda point: point.key.benchmark).items():
        known = body.get(name, {}).get("params", [[], []])
        found = [[repr(point.key.implementation) for point in of_benchmark], [repr(point.key.case) for point in of_benchmark]]
        point = of_benchmark[-1]
        body[name] = {
            "name": name, "type": "track", "unit": point.unit, "version": point.version, "param_names": list(PARAMETERS),
            "params": [list(dict.fromkeys([*old, *new])) for old, new in zip(known, found, strict=True)],
            "code": f"# {point.key.component}: {point.key.metric}, projected from records", "timeout": 3600,
        }  # fmt: skip
    write_atomically(path, json.dumps({**body, "version": VERSION}, indent=4, sort_keys=True) + "\n")
