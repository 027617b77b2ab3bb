"""benchmarks/ under the real asv: run, show, compare, publish, and the judging of what asv stored."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import history
from harness.machine import this_machine

ROOT = Path(__file__).parent.parent
OUTSIDER = ROOT / "tests" / "thirdparty" / "src" / "acme_loudness"
ENTRY_POINTS = """
[harness.components]
acme_loudness = acme_loudness.component:COMPONENT
[harness.implementations]
acme_loudness.reference = acme_loudness.loops:REFERENCE
acme_loudness.vectorised = acme_loudness.vectorised:IMPLEMENTATION
acme_loudness.sloppy = acme_loudness.vectorised:SLOPPY
acme_loudness.gone = acme_loudness.gone:IMPLEMENTATION
"""
GONE = """
from harness.component import Implementation, Requires
from .vectorised import load
IMPLEMENTATION = Implementation("acme_loudness", "gone", "optimized", load, requires=Requires(packages=("no_such_package",)))
"""
JUDGE = """
import sys
from pathlib import Path
from harness import context, history, measure, verdict
found = context.gather()
options = {"machine": found.machine.name, "profile": "any", "cases": ["quick"]}
plan = measure.plan(found.registry, found.settings, ["acme_loudness.vectorised"], **options)
stored = history.points_for_judging(Path("baselines"), found.machine, *sys.argv[1:])
verdicts = history.judge_stored(plan, stored, found.targets(plan), found.profile.lineage)
for row in verdicts.rows:
    print(row.planned.row, [(answer.question, answer.state, answer.message) for answer in row.answers])
sys.exit(verdict.exit_code(verdicts))
"""


class Project:
    """A repository of a plugin's author, with our benchmarks/ and asv.conf.json, under a home folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        package = self.folder / "src" / "acme_loudness"
        shutil.copytree(OUTSIDER, package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "benchmarks", self.folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        (package / "gone.py").write_text(GONE)
        metadata = self.folder / "src" / "acme_loudness-2.3.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-loudness\nVersion: 2.3.0\n")
        (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
        (self.folder / "pyproject.toml").write_text("[project]\nname = 'acme'\n")
        (self.folder / ".gitignore").write_text(".harness/\n.asv/\n__pycache__/\n")
        shutil.copy(ROOT / "asv.conf.json", self.folder)
        home = folder / "home"
        home.mkdir()
        # asv discards PYTHONPATH and reads a variable of its own.
        paths = dict.fromkeys(("PYTHONPATH", "ASV_PYTHONPATH"), str(self.folder / "src"))
        self.environment = {**os.environ, **paths, "HOME": str(home), "HARNESS_CACHE_FOLDER": str(folder / "cache")}
        history.register_machine(this_machine(), home / ".asv-machine.json")
        self.git("init", "-q", "-b", "main")
        self.commit()

    @property
    def code(self) -> Path:
        return self.folder / "src" / "acme_loudness" / "vectorised.py"

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "-m", "a change")

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def asv_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`asv run` of the outsider's quick case in this environment."""
        return self.python("-m", "asv", "run", "-E", "existing", "--show-stderr", "--bench", r"acme_loudness\..*'quick'", *arguments)

    def cells(self, benchmark: str) -> dict[str, history.Point]:
        commit = self.git("rev-parse", "HEAD")
        points = history.read(self.folder / "baselines", this_machine().name)
        at = [p for p in points if p.commit == commit and p.key.benchmark == benchmark and p.key.case == "quick"]
        return {p.key.implementation: p for p in at}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with one clean commit that asv has measured."""
    made = Project(tmp_path_factory.mktemp("asv"))
    made.ran = made.asv_run("--set-commit-hash", "HEAD")
    return made


def test_plain_asv_run_stores_every_metric_of_one_measurement(project):
    # Exit status 2: asv's "something failed", here the implementation that rounds.
    assert project.ran.returncode == 2, project.ran.stdout + project.ran.stderr
    seconds = project.cells("acme_loudness.seconds_per_call.track_upper")
    ratio = project.cells("acme_loudness.seconds_per_call.track_ratio")
    assert set(seconds) == {"reference", "vectorised", "vectorised[precision=float32]", "sloppy", "gone"}
    assert len(list((project.folder / ".harness" / "records").glob("*.jsonl"))) == 1
    if seconds["vectorised"].state == "measured":
        assert 0 < seconds["vectorised"].value < seconds["reference"].value
    else:
        assert "the machine was busy" in project.ran.stdout
    if ratio["vectorised"].state == "measured":
        assert 0 < ratio["vectorised"].value < 1
    assert ratio["reference"].state == "skipped"


def test_parity_is_one_of_the_metrics_and_wrong_results_have_no_time(project):
    failing = project.cells("acme_loudness.parity.track_upper")
    assert {name: (p.state, p.value) for name, p in failing.items()} == {
        "reference": ("measured", 0.0), "vectorised": ("measured", 0.0), "vectorised[precision=float32]": ("measured", 0.0),
        "sloppy": ("failed", None), "gone": ("skipped", None),
    }  # fmt: skip
    assert project.cells("acme_loudness.seconds_per_call.track_upper")["sloppy"].state == "failed"
    assert "level differs at" in project.ran.stdout


def test_what_is_unavailable_is_skipped_with_its_reason(project):
    assert project.cells("acme_loudness.seconds_per_call.track_upper")["gone"].state == "skipped"
    assert "no_such_package: not installed" in project.ran.stdout


def test_asv_shows_and_publishes_it_without_any_path(project):
    shown = project.python("-m", "asv", "show", "HEAD")
    assert "acme_loudness.parity.track_upper" in shown.stdout, shown.stderr
    published = history.publish(project.folder)
    assert published.html.is_file()
    assert published.dropped == ()
    (result,) = (project.folder / "baselines" / this_machine().name).glob("*-existing-py3*.json")
    assert sys.executable not in result.read_text()
    assert json.loads(result.read_text())["env_name"].startswith("existing-py3.")


def test_judging_what_asv_stored(project):
    judged = project.python("-c", JUDGE)
    # On a busy machine no time is stored: that is inconclusive, never a pass.
    quiet = project.cells("acme_loudness.rtf.track_upper")["vectorised"].state == "measured"
    assert judged.returncode == (0 if quiet else 3), judged.stdout + judged.stderr


@pytest.mark.long
def test_a_commit_that_breaks_the_result_turns_red(tmp_path):
    project = Project(tmp_path)
    project.asv_run("--set-commit-hash", "HEAD")
    good = project.git("rev-parse", "HEAD")
    project.code.write_text(project.code.read_text().replace("1e-12", "1e-3"))
    project.commit()
    ran = project.asv_run("--set-commit-hash", "HEAD")
    assert ran.returncode == 2
    assert project.python("-c", JUDGE).returncode == 1
    assert project.python("-c", JUDGE, good).returncode in (0, 3)
    compared = project.python("-m", "asv", "compare", good, "HEAD")
    assert "failed" in compared.stdout, compared.stderr
    assert history.publish(project.folder).dropped == ()


@pytest.mark.long
def test_asv_cannot_store_code_that_the_commit_does_not_hold(tmp_path):
    project = Project(tmp_path)
    project.code.write_text(project.code.read_text() + "\n# not committed\n")
    ran = project.asv_run("--set-commit-hash", "HEAD")
    assert "ran with uncommitted changes" in ran.stdout
    assert {p.state for p in project.cells("acme_loudness.seconds_per_call.track_upper").values()} == {"failed", "skipped"}
    assert project.python("-c", JUDGE).returncode in (1, 5)
    dry = project.asv_run("--quick")
    assert "ran with uncommitted changes" not in dry.stdout
    assert "0.0" in dry.stdout, "without --set-commit-hash nothing is stored, and numbers are shown"


def test_configuration_has_no_path_and_installs_the_extras():
    body = json.loads((ROOT / "asv.conf.json").read_text())
    assert (body["results_dir"], body["benchmark_dir"], body["branches"]) == ("baselines", "benchmarks", ["main"])
    assert not [value for value in body.values() if isinstance(value, str) and value.startswith(("/", "~"))]
    assert any("[all,peers]" in command for command in body["install_command"])
    assert body["html_dir"].startswith(".asv/")


def test_generated_benchmarks_keep_asvs_rules():
    code = """
import inspect, benchmarks.tracked as tracked
found = [f for name, f in vars(tracked).items() if not name.startswith("_") and hasattr(f, "benchmark_name")]
assert found
assert len({f.__name__ for f in found}) == len(found) == len({f.benchmark_name for f in found})
for f in found:
    assert f.version == str(int(f.version)) and f.timeout >= 600
    assert inspect.getsource(f)
    assert not hasattr(f, "setup") and not hasattr(f, "setup_cache")
    assert all(len(set(values)) == len(values) > 0 for values in f.params)
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
