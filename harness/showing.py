"""`harness claims --show`: runs the commands that show what no session records, and keeps what they showed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from harness import figures, project
from harness.claims import Claim
from harness.machine import this_machine
from harness.measure.commit import commit_of
from harness.settings import ConfigurationError
from harness.shown import Counts, Shown, figures_of

OWNER = "audio-perf-harness"
"""The distribution whose checkout holds what the commands run."""


def commands(claims: Iterable[Claim], wanted: Sequence[str]) -> tuple[str, ...]:
    """The commands of these claims, each once; of all claims that have one where none is named."""
    known = {claim.id: claim for claim in claims}
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigurationError(f"--show: no claim {unknown[0]!r}; `harness claims` lists them")
    if without := [name for name in wanted if not known[name].shown_by]:
        raise ConfigurationError(f"--show: {without[0]} is judged by sessions, no command shows it: {known[without[0]].known}")
    chosen = [known[name] for name in wanted] if wanted else known.values()
    return tuple(dict.fromkeys(claim.shown_by for claim in chosen if claim.shown_by))


def checkout() -> Path:
    """The root of the project's checkout around the current folder; ConfigurationError elsewhere."""
    path = project.find()
    if path is None or project.name(path) != OWNER:
        found = f"{project.name(path) or 'a project without a name'} in {path.parent}" if path else "no pyproject.toml around this folder"
        raise ConfigurationError(f"--show runs tests and programs of a checkout of {OWNER}: expected one here, found {found}")
    return path.parent


def run(command: str, root: Path, say: Callable[[str], None]) -> Shown:
    """Run a command of the ledger in `root`; each line that it prints is said. Interrupted, it is stopped and nothing is kept."""
    program, *arguments = shlex.split(command)
    commit, started, began = commit_of(str(root / "pyproject.toml")), datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        told, ran = Path(folder) / "figures", Path(folder) / "tests.xml"
        environment = {**os.environ, figures.FILE: str(told)}
        if program == "pytest":
            arguments = [*arguments, f"--junitxml={ran}"]
        module = {"python": (), "harness": ("-m", "harness.cli")}.get(program, ("-m", program))
        last = ""
        with subprocess.Popen(
            [sys.executable, *module, *arguments], cwd=root, env=environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    say(line.rstrip("\n"))
                    last = line.strip() or last
            except BaseException:
                process.terminate()
                raise
        return Shown(
            command, started.isoformat(timespec="seconds"), time.monotonic() - began, this_machine().name, commit.name, commit.dirty,
            process.returncode, last[-500:], _told(told, command), _tests(ran),
        )  # fmt: skip


def _told(path: Path, command: str) -> tuple[figures.Figure, ...]:
    try:
        return figures_of(path)
    except ValueError as error:
        raise ConfigurationError(f"{command}: expected figures as harness.figures.tell writes them, found: {error}") from None


def _tests(path: Path) -> Counts | None:
    if not path.is_file():
        return None
    suites = list(ElementTree.parse(path).getroot().iter("testsuite"))
    total, bad, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names) for names in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return Counts(total - bad - skipped, bad, skipped)
