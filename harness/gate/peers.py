"""asv continuous and pytest-benchmark's compare-fail over the sides that the gate has judged, at the same time budget.

Each tool runs as its own documentation says, in processes of its own, and decides by itself. What it measured is stored once and
decided at two thresholds: by its exit code, and by the function of its own that gave that exit code.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import site
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.gate.sides import Side
from harness.measure.process import without_python

PROJECT = Path(__file__).parent / "peer_project"
ASV = {"asv continuous": 1.1, "asv continuous -f 1.05": 1.05}
"""Factors: the first is asv's default, which its exit code speaks of."""

PYTEST = {f"--benchmark-compare-fail={field}:5%": field for field in ("mean", "median")}
PEERS = {"asv": tuple(ASV), "pytest-benchmark": tuple(PYTEST)}
"""Packages, and the rows that one run of each gives."""

ASV_PROCESSES = 4
"""asv's default: two rounds for each of two commits, each a process."""

MACHINE = "here"
PATIENCE_SECONDS = 120.0


class PeerFailed(Exception):
    """A tool gave no verdict; with what it printed."""


@dataclass(frozen=True)
class Said:
    """One tool's verdict: whether it calls head slower, and the slow-down that it read (0.03 is 3 %)."""

    tool: str
    fails: bool
    found: float


@dataclass(frozen=True)
class Peers:
    """The tools' throw-away project in `folder`. repository: of the specimen; sides: what is built of each of its commits."""

    folder: Path
    repository: Path
    sides: Mapping[str, Side]

    def __post_init__(self) -> None:
        shutil.copytree(PROJECT, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        about = {commit: [str(side.python), os.pathsep.join(side.paths)] for commit, side in self.sides.items()}
        _write(self.folder / "sides.json", about)
        # asv takes what it knows of a machine from the user's home: here it has one of its own.
        _write(self.folder / ".asv-machine.json", {MACHINE: {"machine": MACHINE}, "version": 1})
        _write(self._configuration, {
            "version": 1,
            "project": "gate_specimen",
            "repo": str(self.repository),
            "branches": ["main"],
            "environment_type": "sides",
            "plugins": [".asv_sides"],
            "pythons": [f"{sys.version_info[0]}.{sys.version_info[1]}"],
            "build_command": [],
            "install_command": [],
            "uninstall_command": [],
            "benchmark_dir": str(self.folder / "kernels"),
            "env_dir": str(self.folder / "env"),
            "results_dir": str(self.folder / "results"),
            "html_dir": str(self.folder / "html"),
        })  # fmt: skip

    def ask(self, package: str, case: str, head: str, base: str, seconds: float) -> list[Said]:
        """A tool's verdicts on commit `head` over commit `base`; it samples for `seconds` in all, its start comes on top.

        package: of PEERS. PeerFailed where it gives none.
        """
        return {"asv": self._asv, "pytest-benchmark": self._pytest}[package](case, head, base, seconds)

    def _asv(self, case: str, head: str, base: str, seconds: float) -> list[Said]:
        """`asv continuous`: repeat=(least, most, seconds of one process)."""
        shutil.rmtree(self.folder / "results", ignore_errors=True)
        attribute = f"repeat=1,100000,{seconds / ASV_PROCESSES:.3f}"
        command = [sys.executable, "-m", "asv", "continuous", "--config", str(self._configuration), "--machine", MACHINE]
        command += ["--bench", f"^time_{case}$", "-a", attribute, base, head]
        home = {"HOME": str(self.folder), "PYTHONUSERBASE": site.getuserbase()}
        code, printed = _run(command, self.folder, home, seconds)
        if code not in (0, 1) or not any(answer in printed for answer in ("PERFORMANCE ", "NOT SIGNIFICANTLY CHANGED")):
            raise PeerFailed(f"asv continuous ended with exit code {code}: {printed[-1000:]}")
        of_head, of_base = (self._asv_result(commit, case) for commit in (head, base))
        fails = [self._asv_fails(head, base, factor) for factor in ASV.values()]
        if fails[0] != bool(code):
            raise PeerFailed(f"asv continuous ended with exit code {code}, and its comparison of what it stored says {fails[0]}")
        return [Said(tool, one, of_head / of_base - 1) for tool, one in zip(ASV, fails, strict=True)]

    def _asv_fails(self, head: str, base: str, factor: float) -> bool:
        """What `asv continuous -f FACTOR` would have ended with, by the function of asv that decides it."""
        from asv.commands.compare import Compare
        from asv.config import Config

        with contextlib.redirect_stdout(io.StringIO()):
            worsened, _ = Compare.print_table(
                Config.load(str(self._configuration)), base, head, factor=factor, split=False, machine=MACHINE, only_changed=True
            )
        return bool(worsened)

    def _asv_result(self, commit: str, case: str) -> float:
        from asv.results import iter_results_for_machine_and_hash

        for result in iter_results_for_machine_and_hash(str(self.folder / "results"), MACHINE, commit):
            for name in result.get_all_result_keys():
                value = result.get_result_value(name, [])[0]
                if name == f"time_{case}" and value:
                    return float(value)
        raise PeerFailed(f"asv continuous stored no time of time_{case} for {commit}")

    def _pytest(self, case: str, head: str, base: str, seconds: float) -> list[Said]:
        """Base's run is stored, head's is compared with it; --benchmark-max-time is the seconds of one run."""
        shutil.rmtree(self.folder / "storage", ignore_errors=True)
        before, _ = self._pytest_run(case, base, seconds, "--benchmark-save=base")
        # Once, with all that is to be checked: given again, it forgets what it was given before.
        checks = [option.partition("=")[2] for option in PYTEST]
        after, code = self._pytest_run(case, head, seconds, "--benchmark-compare", "--benchmark-compare-fail", *checks)
        from pytest_benchmark.utils import parse_compare_fail

        parse: Any = parse_compare_fail
        fails = [bool(parse(check).fails(after, before)) for check in checks]
        if any(fails) != bool(code):
            raise PeerFailed(f"pytest ended with exit code {code}, and its checks of what it stored say {fails}")
        return [Said(tool, one, after[field] / before[field] - 1) for (tool, field), one in zip(PYTEST.items(), fails, strict=True)]

    def _pytest_run(self, case: str, commit: str, seconds: float, *options: str) -> tuple[dict[str, float], int]:
        side, report = self.sides[commit], self.folder / "report.json"
        report.unlink(missing_ok=True)
        command = [str(side.python), "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(self.folder), "-p", "no:cacheprovider"]
        command += ["-p", "pytest_benchmark.plugin", f"test_kernels.py::test_kernel[{case}]", f"--benchmark-max-time={seconds / 2:.3f}"]
        # Its number of rounds comes from the first call, which is slow: without warming up most of the time would stay unused.
        command += ["--benchmark-warmup=on", "--benchmark-warmup-iterations=10"]
        command += [f"--benchmark-storage={self.folder / 'storage'}", f"--benchmark-json={report}", *options]
        path = os.pathsep.join([*side.paths, str(self.folder)])
        code, printed = _run(command, self.folder, {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, seconds)
        regressed = "Performance has regressed" in printed
        if not report.exists() or bool(code) != regressed:
            raise PeerFailed(f"pytest ended with exit code {code}: {printed[-1000:]}")
        (benchmark,) = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
        return benchmark["stats"], code

    @property
    def _configuration(self) -> Path:
        return self.folder / "asv.conf.json"


def children_cpu_seconds() -> float:
    """Processor time of this process and of all its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _run(command: Sequence[str], folder: Path, variables: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """Exit code and all that was printed; the command's children end with it."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**without_python(), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS + 3 * seconds)
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"{' '.join(command[1:5])} did not end within {PATIENCE_SECONDS + 3 * seconds:.0f} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, printed


def _write(path: Path, body: object) -> None:
    path.write_text(json.dumps(body, indent=1), encoding="utf-8")
