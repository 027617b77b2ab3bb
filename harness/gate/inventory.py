"""What a side registers, read inside its own interpreter: `python -m harness.gate.inventory <folder> <entry points as JSON>`.

A line of JSON when it has started, one for each entry point as soon as it is imported, then one with the files that were
loaded for them; on a descriptor of its own, so that a plugin that prints disturbs nothing.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.component import Component, Implementation
from harness.registry import COMPONENTS, IMPLEMENTATIONS, unavailable
from harness.settings import ConfigurationError

PATIENCE_SECONDS = 120.0
MESSAGE_CHARACTERS = 1000
_KINDS: dict[str, Literal["component", "implementation"]] = {COMPONENTS: "component", IMPLEMENTATIONS: "implementation"}


@dataclass(frozen=True)
class Entry:
    """One entry point of a side's distribution.

    version, cases, quick: of a component: contract version, names of its cases, that of the quick one. role, clock, settings,
    variants, plain: of an implementation. unavailable: why it cannot run here. broken: what went wrong when it was imported.
    """

    name: str
    value: str
    kind: Literal["component", "implementation"]
    version: int | None = None
    cases: tuple[str, ...] = ()
    quick: str = ""
    role: str = ""
    clock: str = ""
    settings: tuple[str, ...] = ()
    variants: tuple[dict[str, Any], ...] = ()
    plain: bool = True
    unavailable: str = ""
    broken: str = ""


def read(python: Path, paths: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[tuple[Entry, ...], list[str]]:
    """Entries of the distribution unpacked in `folder`, in order, and the files of its packages that were loaded for them.

    An entry that ends its process or never returns is broken; those after it are read in another process.
    """
    waiting = [Entry(point.name, point.value, _KINDS[point.group]) for point in _points(folder)]
    found: list[Entry] = []
    files: list[str] = []
    while waiting:
        lines, how = _ask(python, paths, folder, waiting, environment)
        for line in lines:
            if "files" in line:
                files += line["files"]
            else:
                found.append(entry_of(line))
                waiting.pop(0)
        if waiting:
            found.append(dataclasses.replace(waiting.pop(0), broken=how))
    return tuple(found), sorted(set(files))


def entry_of(fields: Mapping[str, Any]) -> Entry:
    """An entry from its fields as JSON has them."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return Entry(**values)


def packages(folder: Path) -> tuple[str, ...]:
    """The packages and modules in a site-packages folder as they are found: outermost first, those without __init__ looked into."""
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.suffix not in (".dist-info", ".data") and path.name != "__pycache__":
            regular = any(path.glob("__init__.*"))
            found += [path.name] if regular else [f"{path.name}/{inner}" for inner in packages(path)]
        elif path.suffix in (".py", ".so"):
            found.append(path.name)
    return tuple(found)


def main(arguments: list[str]) -> None:
    """Import the entry points and tell what they are."""
    folder, asked = Path(arguments[0]), json.loads(arguments[1])
    answer = os.dup(1)
    os.dup2(2, 1)
    os.write(answer, b"{}\n")
    for entry in asked:
        os.write(answer, json.dumps(dataclasses.asdict(_described(entry_of(entry)))).encode() + b"\n")
    tops = {name.partition("/")[0].partition(".")[0] for name in packages(folder)}
    loaded = [getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name.partition(".")[0] in tops]
    os.write(answer, json.dumps({"files": [os.path.realpath(file) for file in loaded if file]}).encode() + b"\n")
    os._exit(0)  # whatever a plugin left running


def _points(folder: Path) -> list[importlib.metadata.EntryPoint]:
    (about,) = folder.glob("*.dist-info")
    points = importlib.metadata.Distribution.at(about).entry_points
    return [point for group in (COMPONENTS, IMPLEMENTATIONS) for point in points if point.group == group]


def _ask(
    python: Path, paths: Sequence[str], folder: Path, entries: Sequence[Entry], environment: dict[str, str]
) -> tuple[list[dict[str, Any]], str]:
    """The lines of one process, and how it ended."""
    asked = json.dumps([dataclasses.asdict(entry) for entry in entries])
    process = subprocess.Popen(
        [str(python), "-P", "-m", "harness.gate.inventory", str(folder), asked],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        output, said = process.communicate(timeout=PATIENCE_SECONDS)
        how = f"ended its process with exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        how = f"did not finish importing within {PATIENCE_SECONDS:g} s"
        os.killpg(process.pid, signal.SIGKILL)
        output, said = process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    tail = said.decode(errors="replace").strip()[-500:]
    lines = [json.loads(line) for line in output.splitlines()]
    if not lines:
        raise ConfigurationError(
            f"{python}: cannot run the harness there ({how}); what it needs must be installed in the environment of this program, "
            f"not in the user's site and not through PYTHONPATH: {tail}"
        )
    return lines[1:], how + (f"; printed: {tail}" if tail else "")


def _described(entry: Entry) -> Entry:
    """The entry with what its object says about itself."""
    group = next(group for group, kind in _KINDS.items() if kind == entry.kind)
    try:
        item = importlib.metadata.EntryPoint(entry.name, entry.value, group).load()
        expected = Component if entry.kind == "component" else Implementation
        if not isinstance(item, expected):
            raise TypeError(f"{entry.value}: expected a harness.component.{expected.__name__}, found {type(item).__name__}")
        name = item.name if isinstance(item, Component) else f"{item.component}.{item.name}"
        if name != entry.name:
            raise ValueError(f"entry point {entry.name!r} names an object that calls itself {name!r}; make the two equal")
    except BaseException as error:
        return dataclasses.replace(entry, broken=f"importing {entry.value} raised {type(error).__name__}: {error}"[:MESSAGE_CHARACTERS])
    if isinstance(item, Component):
        quick = next(case.name for case in item.cases if case.quick)
        return dataclasses.replace(entry, version=item.version, cases=tuple(case.name for case in item.cases), quick=quick)
    return dataclasses.replace(
        entry,
        role=item.role,
        clock=item.clock,
        settings=tuple(item.settings),
        variants=tuple(dict(variant.settings) for variant in item.variants),
        plain=item.plain,
        unavailable=unavailable(item) or "",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
