"""`harness explain`: a planted slow function is named first, alone and beside another row; files open; what cannot be had is said."""

import json
import os
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
from doors import Project, one_line
from gate_repository import Repository

from harness import explaining
from harness.measure.process import WorkerFailed
from harness.metrics import Absent
from harness.profiling import Explanation, Frame, Operator, Profile, sampler
from harness.record import Outcome
from harness.report import explanation as report
from harness.stats import Interval
from harness.verdict import Answer, Row, Verdicts

PLUGIN = """
    import time
    from contextlib import contextmanager
    import numpy as np
    from harness.component import Case, Component, Identical, Implementation, Unit

    CASES = (Case("one", lambda seed: {"x": np.arange(4000.0) + seed}, quick=True),)
    COMPONENT = Component("toy", Unit("frame", 0.1), CASES, {"y": Identical()}, lambda inputs, outputs: 10.0)

    def honest(x):
        end = time.process_time() + 0.001
        while time.process_time() < end:
            pass
        return 2 * x

    def planted(x):
        end = time.process_time() + 0.003
        while time.process_time() < end:
            pass

    @contextmanager
    def load(settings):
        yield lambda inputs: {"y": honest(inputs["x"])}

    @contextmanager
    def load_slow(settings):
        held = np.ones(3_000_000)

        def run(inputs):
            planted(inputs["x"])
            return {"y": honest(inputs["x"])}

        yield run
        del held

    REFERENCE = Implementation("toy", "reference", "reference", load)
    FAST = Implementation("toy", "fast", "optimized", load, clock="cpu")
    SLOW = Implementation("toy", "slow", "optimized", load_slow, clock="cpu")
"""
ENTRIES = {"toy": "COMPONENT", "toy.reference": "REFERENCE", "toy.fast": "FAST", "toy.slow": "SLOW"}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("explain"))
    made.plugin("toy_plugin", PLUGIN, ENTRIES)
    return made


@pytest.fixture(scope="module")
def said(project):
    """What explaining the slow row beside the fast one said."""
    found = project.here("explain", "toy.slow", "--against", "fast", "--seconds", "1", "-o", "profile")
    if "forbids py-spy" in found.err:
        pytest.skip(found.err)
    assert found.code == 0, found
    return found


def below(said, heading):
    """The lines under a heading."""
    lines = said.out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(heading)) + 1
    return [line for line in lines[first:] if line.startswith("  ")]


def test_the_planted_function_takes_the_time(said):
    first = below(said, "what takes the time")[0]
    assert "planted (toy_plugin/__init__.py:" in first
    share, value, unit = first.split()[:3]
    assert 60 < float(share.rstrip("%")) < 90, "3 of 4 ms"
    assert unit == "us"
    assert 200 < float(value) < 500, "of 3 ms, of which ten frames were made"


def test_the_planted_function_is_what_changed(said):
    first = below(said, "what changed per frame")[0]
    assert first.split()[0].startswith("+")
    assert "planted (toy_plugin/__init__.py:" in first
    assert first.endswith(", new")
    assert "honest" not in " ".join(below(said, "what changed per frame")[:1])


def test_memory_is_explained_or_its_absence(said):
    if "no memory profile" in said.out:
        assert "memray is not installed: python -m pip install" in said.flat
    else:
        assert "load_slow (toy_plugin/__init__.py:" in below(said, "what holds memory")[0]
        assert "24.0 MB" in said.flat


def test_its_files_open(said, project):
    folder = project.folder / "profile"
    for name in ("flame.svg", "difference.svg"):
        drawn = ET.parse(folder / name).getroot()
        assert drawn.tag == f"{SVG}svg"
        assert [one for one in drawn.iter(f"{SVG}title") if "planted" in (one.text or "")]
        assert not list(drawn.iter(f"{SVG}script"))
    body = json.loads((folder / "profile.speedscope.json").read_text())
    assert body["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    slow, fast = body["profiles"]
    assert (slow["name"], fast["name"], slow["unit"]) == ("slow", "fast", "milliseconds")
    assert slow["endValue"] == pytest.approx(sum(slow["weights"]))
    assert all(0 <= frame < len(body["shared"]["frames"]) for sample in slow["samples"] for frame in sample)
    assert (folder / "explanation.txt").read_text().splitlines()[0] in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("toy",), "expected one component.implementation, found 'toy'"),
        (("toy.none",), "nothing matches 'toy.none'"),
        (("toy.slow", "--against", "slow"), "expected another implementation than the one that is explained, or a commit"),
        (("toy.slow", "--case", "two"), "no case 'two'; known: one"),
        (("toy.slow", "--seconds", "0"), "--seconds: expected 1 to 600, found 0"),
        (("toy.slow", "-o", "pyproject.toml"), "--output pyproject.toml: expected a folder, found a file"),
    ],
)
def test_what_cannot_be_explained_is_refused_before_anything_runs(project, words, message):
    assert message in one_line(project.here("explain", *words))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (sampler.Unsampled("the system forbids it; do this"), 2, "harness: the system forbids it; do this"),
        (WorkerFailed(Outcome("crashed", "toy.slow died")), 1, "nothing to explain: toy.slow died; `harness run toy.slow` judges it"),
    ],
)
def test_what_goes_wrong_is_one_line(project, monkeypatch, error, code, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("harness.profiling.explain", fail)
    assert message in one_line(project.here("explain", "toy.slow"), code)


@pytest.mark.parametrize(
    ("error", "said"),
    [(sampler.Unsampled("the system forbids it"), "the system forbids it"), (KeyboardInterrupt(), "interrupted"), (KeyError("x"), "'x'")],
)
def test_a_failed_gate_that_cannot_be_explained_says_why_and_stays_as_it_was(monkeypatch, tmp_path, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(explaining, "_side", fail)
    verdicts = Verdicts(None, (row(("seconds_per_call", "fail", 0.3)),))
    told = explaining.after_gate(verdicts, None, None, tmp_path, lambda _: None)
    (answer,) = told.rows[0].answers
    assert (answer.state, answer.notes) == ("fail", (f"not explained: {said}",))


def explanation(**changes):
    stack = (Frame("run", "toy/a.py", 3),)
    base = {"title": "toy.slow on one", "unit": "frame", "units": 10.0, "operators": Absent("no torch"), "traced": 0, "trace": ""}
    calls = Profile("head", {stack: 1.0, (*stack, Frame("planted", "toy/a.py", 9)): 3.0}, 4.0, 400)
    before = Profile("base", {stack: 1.0}, 1.0, 400)
    given = {"calls": calls, "before": before, "memory": Absent("memray is not installed"), "memory_before": None}
    return Explanation(**{**base, **given, **changes})


def test_its_summary_is_one_sentence():
    said = report.summary(explanation())
    assert said == "+3.00 ms per frame, of it +3.00 ms in planted (toy/a.py:9), new"
    assert report.summary(explanation(before=None)) == "most of the time is in planted (toy/a.py:9)"
    same = explanation().calls
    said = report.summary(explanation(before=same))
    assert said == "+0 s per frame; no function changed by more than 400 samples can tell; most of the time is in planted (toy/a.py:9)"


def test_operators_are_told_per_unit_of_work():
    found = explanation(operators=(Operator("aten::mm", 8, 0.04, 0.0), Operator("aten::relu", 4, 0.004, 0.02)), traced=4)
    lines = report.lines(found)
    first = next(number for number, line in enumerate(lines) if line.startswith("torch operators"))
    assert lines[first].endswith("per frame (calls under torch.profiler: 4)")
    assert lines[first + 1].split() == ["1.00", "ms", "aten::mm,", "2.00", "a", "call"]
    assert lines[first + 2].endswith("aten::relu, 1.00 a call, device 500 us")
    assert "  no memory profile: memray is not installed" in lines


def program(folder, script):
    """A py-spy of our own."""
    path = folder / "py-spy"
    path.write_text(f"#!{sys.executable}\nimport sys\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_where_reading_is_forbidden_it_says_what_to_do(tmp_path, monkeypatch):
    script = 'print("Error: Permission Denied: Try running again with elevated permissions")\nsys.exit(1)\n'
    monkeypatch.setattr(sampler, "program", lambda: program(tmp_path, script))
    with pytest.raises(sampler.Unsampled, match=r"forbids py-spy to read another process: .*(ptrace|root|PTRACE)"):
        sampler.sample(1, 1)


def test_without_native_frames_it_goes_on_and_says_so(tmp_path, monkeypatch):
    script = (
        'if "--native" in sys.argv: sys.exit("Error: no unwinding here")\n'
        'open(sys.argv[sys.argv.index("--output") + 1], "w").write("a (b.py:1) 3\\n")\n'
        'print("py-spy> Wrote raw flamegraph data. Samples: 3 Errors: 2", file=sys.stderr)\n'
    )
    monkeypatch.setattr(sampler, "program", lambda: program(tmp_path, script))
    found = sampler.sample(1, 1)
    assert (found.folded, found.native) == ("a (b.py:1) 3\n", False)
    assert found.notes == ("without native frames: Error: no unwinding here", "py-spy could not read 2 stacks beside the 3 that it read")


def test_a_process_that_has_gone_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(sampler, "program", lambda: program(tmp_path, 'sys.exit("Error: No such process")\n'))
    with pytest.raises(sampler.Unsampled, match="took no samples: Error: No such process"):
        sampler.sample(1, 1)


def row(*answers):
    planned = SimpleNamespace(component="toy", row="slow", case="one", role="optimized")
    judged = [Answer("regression", state, "", metric, Interval(share, share, share, 3)) for metric, state, share in answers]
    return Row(planned, tuple(judged))


def test_the_guilty_row_is_the_one_that_became_slower_most_and_its_call_counts_before_its_latency():
    rows = (
        row(("seconds_per_call", "pass", 0.0), ("load_seconds", "fail", 9.0)),
        row(("peak_bytes", "fail", 0.9)),
        row(("latency_p50_seconds", "fail", 0.5), ("seconds_per_call", "fail", 0.2)),
        row(("seconds_per_call", "fail", 0.3)),
    )
    found = [(place, answer.metric) for place, answer in explaining.guilty(Verdicts(None, rows))]
    assert found == [(3, "seconds_per_call"), (2, "seconds_per_call"), (1, "peak_bytes")]


SLOW = """
def wasted(x):
    for _ in range(3000):
        pass

def gain(x):
    wasted(x)
    return x * 2.0
"""


@pytest.mark.long
def test_a_failed_gate_explains_itself_in_every_report(tmp_path):
    repository = Repository(tmp_path / "repository")
    repository.describe(2.0)
    repository.commit()
    repository.write("src/acme_gain/kernel.py", SLOW)
    report = ("--json", "gate.json", "--markdown", "gate.md")
    command = [sys.executable, "-m", "harness.cli", "gate", "--base", "HEAD", "acme_gain.fast", "--case", "short", "--budget", "2", *report]
    variables = {**os.environ, "HARNESS_DATA": str(tmp_path / "data"), "HARNESS_CACHE_FOLDER": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=repository.folder, env=variables, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "where: +" in " ".join(done.stdout.split())
    body = json.loads((repository.folder / "gate.json").read_text())
    notes = [note for one in body["rows"] for answer in one["answers"] for note in answer["notes"] if note.startswith("where: ")]
    assert len(notes) == 1
    assert "wasted (acme_gain/kernel.py:" in notes[0]
    assert "wasted" in (repository.folder / "gate.md").read_text()
    assert list((repository.folder / ".harness" / "explain").rglob("difference.svg"))
