"""Can the gate be red, here and now? Every defect it is to find is built into a specimen and gated, through the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.gate.door import SIDES
from harness.gate.sources import HOOK_VARIABLES, git

SPECIMEN = Path(__file__).parent / "specimen"
NAME = "gate_specimen"
CASES = {"10us": 1, "1ms": 100, "50ms": 5000}
"""How many times each case of the specimen computes its sines."""

PATIENCE_SECONDS = 300.0
ENTRY = f'"{NAME}.kernel" = "{NAME}.kernel:IMPLEMENTATION"\n'


@dataclass(frozen=True)
class Check:
    """One thing the gate must answer rightly. code: the exit code it must give; says: a word of its reason.

    extra, defect: of head's kernel. change: another change of head, a function of the repository's folder. options: of the gate.
    """

    name: str
    code: int
    says: str = ""
    extra: float = 0.0
    defect: str = ""
    change: Callable[[Path], None] | None = None
    options: tuple[str, ...] = ("--case", "1ms")


@dataclass(frozen=True)
class Checked:
    """What a check gave. problem: "" when the gate was right."""

    check: Check
    code: int
    seconds: float
    problem: str


def _unregister(folder: Path) -> None:
    _edit(folder / "pyproject.toml", ENTRY, "")


def _raise_the_version(folder: Path) -> None:
    _edit(folder / NAME / "component.py", "outputs[\"y\"].size / LENGTH),\n", "outputs[\"y\"].size / LENGTH),\n    version=2,\n")


def _rename_a_case(folder: Path) -> None:
    _edit(folder / NAME / "component.py", '"10us"', '"10 us"')


def _break_the_import(folder: Path) -> None:
    _edit(folder / NAME / "kernel.py", "import numpy as np\n", "import numpy as np\nimport no_such_module_anywhere\n")


CHECKS = (
    Check("nothing changed", 0, options=("--case", "1ms", "--all")),
    Check("3 % slower", 1, "seconds_per_call", extra=0.03),
    Check("5 % slower", 1, "seconds_per_call", extra=0.05),
    Check("10 % slower", 1, "seconds_per_call", extra=0.10),
    Check("is slow now and then", 1, "latency_p99_seconds", defect="rarely_slow", options=("--case", "10us")),
    Check("is slow in bursts", 1, "mean_cpu_seconds", defect="slow_in_bursts", options=("--case", "10us")),
    Check("loads half a second longer", 1, "load_seconds", defect="loads_slowly"),
    Check("takes more memory", 1, "peak_bytes", defect="leaks"),
    Check("broken parity", 1, "parity", defect="parity"),
    Check("a NaN in the last cell", 1, "NaN", defect="not_a_number"),
    Check("an empty output", 1, "empty", defect="empty"),
    Check("half of the output", 1, "parity", defect="half"),
    Check("a crash", 1, "SIGSEGV", defect="crash"),
    Check("a hang", 1, "did not return", defect="hang", options=("--case", "10us", "--patience", "5")),
    Check("killed for lack of memory", 1, "SIGKILL", defect="out_of_memory"),
    Check("changes its input", 1, "must leave its inputs", defect="mutates"),
    Check("replays what it has seen", 1, "replays", defect="replays"),
    Check("returns before the work is done", 1, "", defect="unfinished"),
    Check("slows the clock", 1, "clock", defect="patches_the_clock"),
    Check("the implementation is gone", 5, "base runs it here", change=_unregister),
    Check("the implementation cannot be imported", 5, "no_such_module_anywhere", change=_break_the_import),
    Check("a case is renamed", 5, "the cases 10us", change=_rename_a_case, options=("--budget", "0.1")),
    Check("another contract", 4, "contract version 2", change=_raise_the_version),
)


def self_test(note: Callable[[str, float], None], *, checks: tuple[Check, ...] = CHECKS) -> Iterator[Checked]:
    """Run the checks on this machine, one after another. note: told the name of each, and the share that is done."""
    with TemporaryDirectory(prefix="harness-gate-") as folder:
        repository = specimen(Path(folder) / "repository")
        for number, check in enumerate(checks):
            note(check.name, number / len(checks))
            yield _checked(check, repository, Path(folder))


def specimen(folder: Path) -> Path:
    """A git repository with the specimen as its one commit."""
    shutil.copytree(SPECIMEN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "-q", "-b", "main")
    for name, value in (("user.name", "harness"), ("user.email", "harness@localhost"), ("commit.gpgsign", "false")):
        git(folder, "config", name, value)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "The specimen")
    return folder


def demand(folder: Path, *, extra: Mapping[int, float] | None = None, defect: str = "") -> None:
    """Make the kernel of a repository slower (extra: the share of sines more, by the times of a case), or give it a defect."""
    text = (SPECIMEN / NAME / "demand.py").read_text(encoding="utf-8")
    text = text.replace("EXTRA = {}", f"EXTRA = {dict(extra or {})!r}").replace('DEFECT = ""', f'DEFECT = "{defect}"')
    (folder / NAME / "demand.py").write_text(text, encoding="utf-8")


def variables(folder: Path) -> dict[str, str]:
    """The caller's variables for a gate that keeps what it builds and computes in `folder`."""
    own = {name: value for name, value in os.environ.items() if name not in (*HOOK_VARIABLES, SIDES)}
    return {**own, "HARNESS_DATA": str(folder / "data"), "HARNESS_CACHE_FOLDER": str(folder / "cache")}


def _checked(check: Check, repository: Path, folder: Path) -> Checked:
    git(repository, "checkout", "-q", "--", ".")
    demand(repository, extra=dict.fromkeys(CASES.values(), check.extra), defect=check.defect)
    if check.change is not None:
        check.change(repository)
    report, started = folder / "report.json", time.monotonic()
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "harness.cli", "gate", "--base", "HEAD", "--no-explain", "--json", str(report), *check.options]
    try:
        done = subprocess.run(
            command, cwd=repository, env=variables(folder), capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Checked(check, -1, PATIENCE_SECONDS, f"did not end within {PATIENCE_SECONDS:g} s")
    said = (report.read_text(encoding="utf-8") if report.exists() else "") + done.stdout + done.stderr
    problem = ""
    if done.returncode != check.code:
        last = " ".join(_reasons(report)) or done.stderr.strip()[-500:]
        problem = f"expected exit code {check.code}, found {done.returncode}: {last}"
    elif check.says not in said:
        problem = f"expected the reason to name {check.says!r}"
    return Checked(check, done.returncode, time.monotonic() - started, problem)


def _reasons(report: Path) -> list[str]:
    if not report.exists():
        return []
    body = json.loads(report.read_text(encoding="utf-8"))
    answers = [answer["message"] for row in body["rows"] for answer in row["answers"] if answer["state"] not in ("pass", "no target")]
    return [*(problem["message"] for problem in body["problems"]), *answers]


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")
