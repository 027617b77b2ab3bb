"""What CI runs: files that parse, shell that parses, and the gate's step executed in a plugin author's repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from gate_repository import SCIKIT, SCIKIT_TOOL, Repository

ROOT = Path(__file__).parent.parent
ACTION = ROOT / ".github" / "actions" / "gate" / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path):
    """(where, step) of every step of a workflow or a composite action."""
    body = yaml.safe_load(path.read_text())
    if "runs" in body:
        return [(f"{path.name} {number}", step) for number, step in enumerate(body["runs"]["steps"])]
    return [(f"{path.name} {job} {number}", step) for job, of in body["jobs"].items() for number, step in enumerate(of["steps"])]


STEPS = [step for path in (*WORKFLOWS, ACTION) for step in steps(path)]


def test_there_is_a_test_and_a_gate_workflow():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "gate.yml", "packaging.yml"]
    # YAML reads the key `on` as true.
    assert set(yaml.safe_load(WORKFLOWS[0].read_text())[True]) == {"pull_request", "push", "schedule", "workflow_dispatch"}
    assert "pull_request" in yaml.safe_load(WORKFLOWS[1].read_text())[True]


@pytest.mark.parametrize("step", [step for _, step in STEPS], ids=[where for where, _ in STEPS])
def test_every_step_can_run(step):
    assert ("run" in step) != ("uses" in step)
    if "run" in step:
        # An expression in a script would be code that a branch's name could hold: values come by `env`.
        assert "${{" not in step["run"]
        done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    if step.get("uses", "").startswith("./"):
        assert set(step.get("with", {})) <= set(yaml.safe_load((ROOT / step["uses"] / "action.yml").read_text())["inputs"])


def test_what_is_documented_is_what_the_action_takes():
    inputs = yaml.safe_load(ACTION.read_text())["inputs"]
    lines = (ROOT / "docs" / "ci.md").read_text().splitlines()
    rows = [line.split("|")[1].strip().strip("`") for line in lines if line.startswith("| `")]
    assert rows == list(inputs)


def step(repository, tmp_path, path="", **values):
    """(exit code, what was said, job summary, outputs) of the action's shell step, run as GitHub runs it."""
    summary, output = tmp_path / "summary.md", tmp_path / "output"
    for file in (summary, output):
        file.write_text("")
    inputs = {"BASE": "HEAD", "PATTERNS": "acme_gain", "PROFILE": "ci", "BUDGET": "2", "ALLOW_INCONCLUSIVE": "false", **values}
    variables = {
        **os.environ, **inputs, "REPORTS": str(tmp_path / "reports"), "PATH": f"{path}{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output), "HARNESS_DATA": str(tmp_path / "data"),
    }  # fmt: skip
    script = next(one["run"] for _, one in steps(ACTION) if "run" in one)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=repository.folder, env=variables, capture_output=True, text=True, timeout=250, check=False)
    return done.returncode, done.stdout + done.stderr, summary.read_text(), output.read_text()


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "repository")
    made.describe(2.0, system=SCIKIT, tool=SCIKIT_TOOL)
    made.commit()
    return made


@pytest.mark.long
def test_a_plugin_that_became_slower_is_named_first_by_how_much_and_how_to_see_it(repository, tmp_path):
    slow = "import time\ndef gain(x):\n    end = time.process_time() + 5e-5\n    while time.process_time() < end: pass\n    return x * 2.\n"
    repository.write("src/acme_gain/kernel.py", slow)
    code, said, summary, output = step(repository, tmp_path)
    assert code == 1, said
    assert output == "exit-code=1\n"
    commit = repository.git("rev-parse", "HEAD")
    again = f"harness gate --base {commit} acme_gain.fast --case short"
    (error, *_) = [line for line in said.splitlines() if line.startswith("::error") and "seconds_per_call" in line]
    assert error.startswith("::error title=acme_gain.fast")
    assert "slower: " in error
    assert " launches, margin " in error
    assert error.endswith(f"%0Areproduce: {again}")
    head, *causes = summary.splitlines()[:6]
    assert head.startswith("**fail (regression)")
    (cause, *_) = [line for line in causes if "seconds\\_per\\_call" in line]
    assert cause.startswith("- **fail** acme\\_gain.fast")
    assert f"`{again}`" in cause
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {"gate.xml", "gate.json", "gate.md"}
    assert again in (tmp_path / "reports" / "gate.xml").read_text()
    assert json.loads((tmp_path / "reports" / "gate.json").read_text())["exit_code"] == 1


def test_a_base_that_does_not_build_is_an_annotation_and_a_report(repository, tmp_path):
    pyproject = repository.folder / "pyproject.toml"
    good = pyproject.read_text()
    pyproject.write_text(good.replace("scikit_build_core.build", "no_such_backend"))
    repository.commit()
    pyproject.write_text(good)
    code, said, summary, _ = step(repository, tmp_path)
    assert code == 4, said
    assert "::error title=session::nothing can be compared: base" in said
    assert "no\\_such\\_backend" in summary
    assert json.loads((tmp_path / "reports" / "gate.json").read_text())["exit_code"] == 4


@pytest.mark.parametrize(("code", "allowed", "expected"), [(3, "true", 0), (3, "false", 3), (1, "true", 1), (5, "true", 5), (0, "", 0)])
def test_only_what_is_inconclusive_can_be_allowed(repository, tmp_path, code, allowed, expected):
    stub = tmp_path / "bin" / "harness"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    stub.chmod(0o755)
    found, said, _, output = step(repository, tmp_path, f"{stub.parent}:", ALLOW_INCONCLUSIVE=allowed, PATTERNS="acme_gain.* other")
    assert (found, output) == (expected, f"exit-code={code}\n")
    assert said.splitlines()[0].endswith("gate.md acme_gain.* other")
    assert ("::warning title=gate::inconclusive" in said) == (code == 3 and allowed == "true")


def test_no_common_base_is_a_usage_error(repository, tmp_path):
    code, said, _, _ = step(repository, tmp_path, BASE="no-such-commit")
    assert code == 2
    assert "::error title=gate::no commit from which no-such-commit and HEAD both grew" in said
