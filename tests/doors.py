"""A project of a user: a folder with a pyproject.toml, plugins on the path as if installed, and the doors of the harness."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main

ADVERSARIAL = Path(__file__).parent / "adversarial"
CODES = {0, 1, 2, 3, 4, 5}


@dataclasses.dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def flat(self) -> str:
        """The output with its lines joined: where a line is broken depends on the width."""
        return " ".join(self.out.split())


class Project:
    """A folder that is a project, with its own home, cache and plugins."""

    def __init__(self, folder: Path, *plugins: Path) -> None:
        self.folder, self.plugins = folder / "project", [folder / "site", *plugins]
        for path in (self.folder, folder / "site", folder / "home"):
            path.mkdir(parents=True)
        self.pyproject("")
        self.variables = {
            "HOME": str(folder / "home"),
            "HARNESS_CACHE_FOLDER": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join(map(str, self.plugins)),
            "GITHUB_ACTIONS": "",
        }

    @property
    def records(self) -> Path:
        return self.folder / ".harness" / "records"

    def pyproject(self, text: str) -> None:
        (self.folder / "pyproject.toml").write_text("[project]\nname = 'user'\n" + text)

    def target(self, component: str, *, more: bool = False, **entry: Any) -> None:
        """One target of the project's own; more: beside those there are."""
        before = (self.folder / "pyproject.toml").read_text().partition("[[")
        values = {"profile": "any", "source": "the user", "kind": "stated", **entry}
        lines = "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())
        kept = "".join(before[1:]) if more else ""
        self.pyproject(f"{kept}[[tool.harness.targets.{component}]]\n{lines}")

    def plugin(self, package: str, source: str, entries: dict[str, str], **files: str) -> None:
        """Put a distribution of one module on the path. entries: `toy` or `toy.fast` -> the name of the object in it."""
        site = self.plugins[0]
        home = site / package
        home.mkdir(exist_ok=True)
        (home / "__init__.py").write_text(textwrap.dedent(source))
        for name, text in files.items():
            (home / name.replace("_toml", ".toml")).write_text(textwrap.dedent(text))
        groups: dict[str, list[str]] = {"harness.components": [], "harness.implementations": []}
        for name, target in entries.items():
            groups["harness.implementations" if "." in name else "harness.components"].append(f"{name} = {package}:{target}")
        metadata = site / f"{package}-1.0.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("".join(f"[{group}]\n" + "\n".join(lines) + "\n" for group, lines in groups.items()))

    def here(self, *arguments: str) -> Said:
        """The command in this process: fast, and an exception that escapes is one."""
        out, err = io.StringIO(), io.StringIO()
        before = set(sys.modules)
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(self.folder):
            for plugin in reversed(self.plugins):
                patch.syspath_prepend(plugin)
            for name, value in self.variables.items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = main(list(arguments))
                except SystemExit as error:  # argparse
                    code = int(error.code or 0)
        names = {path.name for plugin in self.plugins for path in plugin.iterdir()}
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in names:
                del sys.modules[name]
        return Said(code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """The command in a process of its own."""
        return self.python("-m", "harness.cli", *arguments, **options)

    def python(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        # A pytest that is started here is not a process of the one that runs this, which pytest-benchmark would believe.
        outer = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
        environment = {**outer, **self.variables, **options.pop("environment", {})}
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        # A shell starts background jobs with interrupts ignored, and that is inherited: here Ctrl-C means Ctrl-C.
        given.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        return subprocess.Popen([sys.executable, *arguments], cwd=self.folder, env=environment, **given)

    def run(self, *arguments: str, **options: Any) -> Said:
        """The command in a process of its own, to its end."""
        return ended(self.start(*arguments, **options))

    def lines(self) -> list[dict[str, Any]]:
        """The plan and the records of the latest session, as JSON."""
        return [json.loads(line) for line in sorted(self.records.glob("*.jsonl"))[-1].read_text().splitlines()]

    def rewrite(self, lines: list[dict[str, Any]]) -> None:
        """Replace the latest session."""
        sorted(self.records.glob("*.jsonl"))[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))


def _toml(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"


def ended(process: subprocess.Popen[bytes], seconds: float = 120) -> Said:
    """What a process said, once it has ended."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return Said(process.returncode, (out or b"").decode(), (err or b"").decode())


def one_line(said: Said, code: int = 2) -> str:
    """The one clear error of a command that was refused: no traceback, nothing on standard output."""
    assert said.code == code, said
    assert "Traceback" not in said.err + said.out
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("harness: ")
    return line


TOY = """
    import os
    from contextlib import contextmanager
    import numpy as np
    from harness.component import Case, Component, Identical, Implementation, Requires, Unit

    CASES = (
        Case("one", lambda seed: {"x": np.arange(8.0) + seed}, quick=True),
        Case("hour", lambda seed: {"x": np.arange(8.0)}, thorough="takes an hour"),
    )
    COMPONENT = Component("toy", Unit("frame", 0.1), CASES, {"y": Identical()}, lambda inputs, outputs: 1.0)

    def made(name, run, role="optimized", **options):
        @contextmanager
        def load(settings):
            yield run
        return Implementation("toy", name, role, load, **options)

    def twice(inputs):
        return {"y": 2 * inputs["x"]}

    REFERENCE = made("reference", twice, "reference")
    FAST = made("fast", twice)
    WRONG = made("wrong", lambda inputs: {"y": 2 * inputs["x"] + (inputs["x"] == 9)})
    QUITS = made("quits", lambda inputs: os._exit(0))
    GONE = made("gone", twice, requires=Requires(packages=("no_such_package",)))
    RIVAL = made("rival", twice, "peer")
"""
"""Doubling eight numbers: `wrong` is so on the inputs of seeds 2 and up alone, `quits` ends its process with exit status 0."""

TOY_ENTRIES = {
    "toy": "COMPONENT",
    **{f"toy.{name}": name.upper() for name in ("reference", "fast", "wrong", "quits", "gone", "rival")},
}
