"""py-spy: samples the stacks of a process from outside, native frames included where the system shows them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

RATE = 200
"""Samples per second; a sample stops the process for a fraction of a millisecond."""

START_SECONDS = 30.0
"""What py-spy may take beside sampling: it reads the symbols of every library that is loaded."""


LEAST_ERRORS = 0.02
"""Of the samples: fewer that could not be read (a thread that had just ended) are not worth a word."""

_COUNTED = re.compile(r"Samples: (?P<samples>\d+) Errors: (?P<errors>\d+)")


class Unsampled(Exception):
    """Why a process could not be sampled, and what to do."""


@dataclass(frozen=True)
class Sampled:
    """Folded stacks. native: whether native frames are among them; notes: why not, and what py-spy complained of."""

    folded: str
    native: bool
    notes: tuple[str, ...] = ()


def program() -> str:
    """The path of py-spy; Unsampled where it is not installed."""
    found: Path | None = None
    try:
        files = importlib.metadata.distribution("py-spy").files or []
        found = next((Path(str(file.locate())).resolve() for file in files if file.stem == "py-spy"), None)
    except importlib.metadata.PackageNotFoundError:
        pass
    if found is not None and found.is_file():
        return str(found)
    if on_path := shutil.which("py-spy"):
        return on_path
    raise Unsampled("py-spy is not installed: python -m pip install py-spy")


def sample(pid: int, seconds: float, *, native: bool = True, rate: int = RATE) -> Sampled:
    """Stacks of all threads of a process and its children over so many seconds; Unsampled says why not.

    native: try for native frames, and go without where py-spy cannot have them here.
    """
    command, notes = [program(), "record", "--pid", str(pid), "--format", "raw", "--idle", "--rate", str(rate)], []
    for options in (("--native",), ()) if native else ((),):
        folded, said = _run([*command, "--duration", f"{max(1, round(seconds))}", *options])
        if folded:
            behind = [line for line in said.splitlines() if "behind in sampling" in line]
            notes += ["py-spy fell behind: short functions may be missing"] if behind else []
            if (counted := _COUNTED.search(said)) and int(counted["errors"]) > LEAST_ERRORS * int(counted["samples"]):
                notes.append(f"py-spy could not read {counted['errors']} stacks beside the {counted['samples']} that it read")
            return Sampled(folded, bool(options), tuple(notes))
        if _forbidden(said):
            raise Unsampled(f"the system forbids py-spy to read another process: {how_to_allow()}")
        if options:
            notes.append(f"without native frames: {_last(said)}")
    raise Unsampled(f"py-spy took no samples: {_last(said)}")


def how_to_allow() -> str:
    """What to do where a process may not be read, on this system."""
    if sys.platform == "darwin":
        return "on macOS it needs root: sudo -E env PATH=\"$PATH\" harness explain ..."
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "start the container with --cap-add SYS_PTRACE"
    return "allow it with: sudo sysctl kernel.yama.ptrace_scope=0 (in a container: start it with --cap-add SYS_PTRACE)"


def _run(command: list[str]) -> tuple[str, str]:
    """(folded stacks, what py-spy said)."""
    duration = float(command[command.index("--duration") + 1])
    with tempfile.TemporaryDirectory(prefix="harness-explain-") as folder:
        output = Path(folder) / "stacks"
        environment = {**os.environ, "NO_COLOR": "1", "RUST_LOG": "warn"}
        try:
            done = subprocess.run(
                [*command, "--output", str(output)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=duration + START_SECONDS,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            return "", f"it did not end within {duration + START_SECONDS:g} s"
        except OSError as error:
            return "", f"it cannot be started: {error}"
        folded = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
        return folded, f"{done.stdout}\n{done.stderr}"


def _forbidden(said: str) -> bool:
    words = ("permission denied", "operation not permitted", "requires root", "run as root", "ptrace")
    return any(word in said.lower() for word in words)


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "reason"))]
    return (errors or lines or ["it said nothing"])[-1][:300]
