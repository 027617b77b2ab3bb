"""Silent greens: what users of other harnesses complain about, one test per complaint, each through a door.

Every test breaks one thing in a project that is green without it: the fixtures assert that first, so no test passes for
another reason.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

import pytest
from doors import TOY, Project, Said

from harness import history
from harness.machine import this_machine
from harness.record import Store

ENTRIES = {"toy": "COMPONENT", "toy.reference": "REFERENCE", "toy.fast": "FAST"}
MET = {"metric": "peak_bytes", "at_most": 1e12}
COMMIT = "c0ffee00" * 5


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Only what a test puts on the path is registered: our own components would be missing from its sessions and history."""
    found = importlib.metadata.entry_points

    def outsiders(group: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in found(group=group) if point.dist is None or point.dist.name != "audio-perf-harness"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.metadata.entry_points", outsiders)
        patch.setattr("sys.dont_write_bytecode", True)
        yield


@pytest.fixture(scope="module")
def measured(alone: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one session of the toy that is green: its target is met."""
    made = Project(tmp_path_factory.mktemp("green"))
    made.variables["PYTHONDONTWRITEBYTECODE"] = "1"  # two edits within a second would be one to a .pyc
    made.plugin("toy", TOY, ENTRIES)
    made.target("toy", **MET)
    said = made.here("run", "toy")
    assert said.code == 0, said
    made.kept = made.lines()
    assert store(made, *made.kept).code == 0
    return made


@pytest.fixture
def project(measured: Project) -> Project:
    """The green project, as measured: each test breaks it anew."""
    measured.plugin("toy", TOY, ENTRIES)
    measured.target("toy", **MET)
    measured.rewrite(measured.kept)
    assert measured.here("judge").code == 0
    return measured


@pytest.fixture
def stored(project: Project) -> Project:
    """The green project with its session in the history, as at a clean commit."""
    assert store(project, *project.kept).code == 0
    return project


def store(project: Project, plan: dict, *records: dict) -> Said:
    """Replace the history by these records as measured at a clean commit, and judge it."""
    clean = [{**record, "commit": COMMIT, "commit_date_ms": 1_700_000_000_000, "dirty": False} for record in records]
    project.rewrite([plan, *clean])
    folder = project.folder / "baselines"
    for path in sorted(folder.rglob("*.json")):
        path.unlink()
    _, read = Store(project.records).read(plan["session"])
    assert history.project(read, folder, this_machine()).files
    return judge_history(project)


def judge_history(project: Project) -> Said:
    return project.here("judge", "--history", "--results", "baselines")


def edited(project: Project, before: str, after: str, entries: dict[str, str] = ENTRIES) -> None:
    """The plugin with one line changed."""
    assert TOY.count(before) == 1
    project.plugin("toy", TOY.replace(before, after), entries)


# A contract that has changed: old results mean something else.

NEW_CONTRACT = ("lambda inputs, outputs: 1.0)", "lambda inputs, outputs: 1.0, version=2)")


def test_results_of_another_contract_are_invalid(project: Project) -> None:
    edited(project, *NEW_CONTRACT)
    said = project.here("judge")
    assert said.code == 4
    why = "run: it was measured under contract version 1 of toy, installed is version 2: cases, outputs or bounds mean something else now; "
    assert f"toy.reference on one, toy.fast on one: {why}measure again with `harness run toy`" in said.flat
    again = project.here("run", "toy")
    assert again.code == 0, again
    assert project.here("judge").code == 0
    sorted(project.records.glob("*.jsonl"))[-1].unlink()


def test_history_of_another_contract_is_invalid(stored: Project) -> None:
    edited(stored, *NEW_CONTRACT)
    said = judge_history(stored)
    assert said.code == 4
    why = f"commit {COMMIT[:8]}: it was measured under contract version 1 of toy, installed is version 2"
    assert why in said.flat
    assert "measure again with `harness run toy --record`" in said.flat
