"""The committed history: every machine's folder is read, judged with the same code as `harness judge --history`, and can turn red."""

import json
import shutil
from pathlib import Path

import pytest

from harness import history
from harness.context import gather
from harness.history.files import result_files
from harness.machine import Machine, this_machine
from harness.record import Plan, Planned
from harness.verdict import exit_code

ROOT = Path(__file__).parent.parent
BASELINES = ROOT / "baselines"
FOLDERS = sorted(path.parent for path in BASELINES.glob("*/machine.json"))


def test_there_is_a_history():
    assert FOLDERS, "baselines/ holds no machine: nothing would be tested"


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def stored(request, tmp_path):
    """(a copy of the history of one machine, its name, its points): the copy may be damaged."""
    name = request.param.name
    shutil.copytree(request.param, tmp_path / "baselines" / name)
    shutil.copy(BASELINES / "benchmarks.json", tmp_path / "baselines")
    return tmp_path / "baselines", name, history.read(tmp_path / "baselines", name)


class Elsewhere:
    """Stands for the machine that the history belongs to, wherever the test runs."""

    def __init__(self, folder: Path) -> None:
        self.entry = json.loads((folder / "machine.json").read_text())
        self.name = self.entry["machine"]


def judged(results: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    """The verdicts over the newest commit: what is planned is what that commit has of our exact, optimized rows."""
    machine = Elsewhere(results / name)
    monkeypatch.setattr("harness.history.judging.entry", lambda m: {k: v for k, v in m.entry.items() if k != "version"})
    found = history.points_for_judging(results, machine)  # type: ignore[arg-type]
    context = gather(profile_name="x86-64-avx512")
    planned = []
    for component, row, case, settings in found.values:
        implementation = row.partition("[")[0]
        known = context.registry.implementations(component).get(implementation)
        if known is not None and known.role == "optimized" and "[" not in row:
            planned.append(Planned(component, implementation, "optimized", {}, json.loads(settings), case, 3))
    assert planned, "the newest commit has no optimized row"
    plan = Plan("stored", "2026-01-01T00:00:00+00:00", name, "x86-64-avx512", tuple(planned))
    return history.judge_stored(plan, found, context.targets(plan), context.profile.lineage)


def test_the_newest_commit_is_judged_and_nothing_of_it_fails(stored, monkeypatch):
    results, name, points = stored
    assert points
    verdicts = judged(results, name, monkeypatch)
    assert not [answer for row in verdicts.rows for answer in row.answers if answer.state in ("fail", "invalid")]
    assert any(answer.question == "parity" and answer.state == "pass" for row in verdicts.rows for answer in row.answers)


def test_a_planted_bad_point_turns_it_red(stored, monkeypatch):
    results, name, _ = stored
    newest = history.points_for_judging
    before = judged(results, name, monkeypatch)
    commit = newest(results, Elsewhere(results / name)).commit  # type: ignore[arg-type]
    for path in result_files(results / name):
        body = json.loads(path.read_text())
        if body["commit_hash"] != commit:
            continue
        for benchmark, cells in body["results"].items():
            if ".parity." in benchmark:
                cells[0] = [None if value is None else 1.0 for value in cells[0]]
        path.write_text(json.dumps(body))
    after = judged(results, name, monkeypatch)
    assert exit_code(after) == 1
    assert exit_code(before) != 1
    assert any(answer.question == "parity" and answer.state == "fail" for row in after.rows for answer in row.answers)


def test_another_machine_may_not_judge_it(stored):
    results, name, _ = stored
    here: Machine = this_machine()
    if here.name == name:
        machine = json.loads((results / name / "machine.json").read_text())
        (results / name / "machine.json").write_text(json.dumps({**machine, "cpu": "another"}))
        with pytest.raises(history.HistoryError, match=r"another"):
            history.points_for_judging(results, here)
    else:
        with pytest.raises(history.HistoryError):
            history.points_for_judging(results, here)


def test_asv_reads_it(stored):
    results, name, points = stored
    benchmarks = json.loads((results / "benchmarks.json").read_text())
    assert {point.key.benchmark for point in points} <= set(benchmarks)
    assert "/" not in "".join(path.name for path in result_files(results / name))
