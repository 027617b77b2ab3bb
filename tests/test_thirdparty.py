"""An outsider's package, installed as its own distribution beside ours: it shows up in all three doors and is judged by its targets."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doors import Project, ended

THIRDPARTY = Path(__file__).parent / "thirdparty"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A foreign project with acme-loudness installed by pip."""
    folder = tmp_path_factory.mktemp("outside")
    site = folder / "acme"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)]
    done = subprocess.run([*command, str(THIRDPARTY)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Project(folder, site)


def harness(project, *arguments):
    return ended(project.python("-m", "harness.cli", *arguments))


def pytest_run(project, *arguments):
    return ended(project.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments))


def test_it_is_listed_with_its_variant_and_its_distribution_lives_beside_ours(project):
    said = harness(project, "list", "acme_loudness")
    assert said.code == 0
    assert all(name in said.flat for name in ("reference", "vectorised", "vectorised[precision=float32]", "sloppy"))


def test_its_sloppy_implementation_is_caught_with_place_value_and_bound(project):
    said = harness(project, "run", "acme_loudness.sloppy", "--only", "parity", "--case", "quick")
    assert said.code == 1
    assert "acme_loudness.sloppy" in said.flat
    assert "level differs at [" in said.flat
    assert "allowed <= 1e-09" in said.flat
    assert "reproduce: harness run acme_loudness.sloppy --only parity --case quick" in said.flat


def test_its_honest_implementation_passes_also_on_adversarial_inputs(project):
    said = harness(project, "run", "acme_loudness.vectorised", "--only", "parity", "--case", "quick")
    assert said.code == 0, said.flat
    assert "adversarial inputs, all as the reference" in said.flat


def test_its_items_run_in_pytest(project):
    said = pytest_run(project, "acme_loudness::vectorised::parity[quick]")
    assert said.code == 0
    assert "1 passed" in said.out
    said = pytest_run(project, "acme_loudness::sloppy::parity[quick]")
    assert said.code == 1
    assert "level differs" in said.flat


def test_its_targets_are_read_from_its_own_package_and_overridden_by_the_project(project):
    code = """
from harness import context, measure
found = context.gather()
plan = measure.plan(found.registry, found.settings, ["acme_loudness"], machine=found.machine.name, profile=found.profile.name)
print([(target.words, "acme_loudness" in target.origin) for target in found.targets(plan)])
"""
    said = ended(project.python("-c", code))
    assert "('rtf <= 1', True)" in said.out
    project.target("acme_loudness", implementation="vectorised", metric="rtf", at_most=0.5)
    said = ended(project.python("-c", code))
    assert "rtf <= 0.5" in said.out
    project.pyproject("")


@pytest.fixture
def own_targets(project):
    """The file of targets in the installed package, restored afterwards."""
    file = project.plugins[1] / "acme_loudness" / "targets.toml"
    before = file.read_text()
    yield file
    file.write_text(before)


@pytest.fixture(scope="module")
def missed(project):
    """What a run said with a bound of the package that nothing can keep, and the session's name."""
    file = project.plugins[1] / "acme_loudness" / "targets.toml"
    before = file.read_text()
    file.write_text(before.replace("at_most = 1e9", "at_most = 1000"))
    said = harness(project, "run", "acme_loudness.vectorised", "--case", "quick")
    file.write_text(before)
    return said, sorted(project.records.glob("*.jsonl"))[-1]


def names_the_missed_target_and_its_file(said, file):
    origin = re.escape(f"(stated: the acme manual, page 13; bound set in {file}: entry 2)")
    assert said.code == 1, said
    assert re.search(rf"acme_loudness.vectorised on quick: target: peak_bytes <= 1000: found [0-9.e+ MGB]+.* {origin}", said.flat)


def test_its_own_target_missed_turns_run_red(missed, own_targets):
    names_the_missed_target_and_its_file(missed[0], own_targets)


def test_its_session_is_judged_green_and_under_a_tighter_bound_red(project, missed, own_targets):
    _, session = missed
    lines = [json.loads(line) for line in session.read_text().splitlines()]
    for line in lines[1:]:  # how busy this machine was is not the question
        line["state"] |= {"busy": "", "rejected_share": 0.0}
        line["samples"]["blocks"] = [{**block, "quiet": True} for block in line["samples"]["blocks"]]
    session.write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = harness(project, "judge", session.stem)
    assert said.code == 0, said
    assert "2 of 2 targets" in said.flat
    own_targets.write_text(own_targets.read_text().replace("at_most = 1e9", "at_most = 1000"))
    names_the_missed_target_and_its_file(harness(project, "judge", session.stem), own_targets)


def test_asv_gets_benchmarks_for_it(project):
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from benchmarks import tracked
names = [value.benchmark_name for value in vars(tracked).values() if hasattr(value, "benchmark_name")]
print([name for name in names if name.startswith("acme_loudness.")])
"""
    said = ended(project.python("-c", code))
    assert said.code == 0, said.err
    assert "acme_loudness.parity.track_upper" in said.out
    assert "acme_loudness.seconds_per_call.track_ratio" in said.out
