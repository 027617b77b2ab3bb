"""Damaged files of a history: named, set aside by who writes, left out by who judges, and never green because of it."""

import json
import shutil
from pathlib import Path

import pytest

from harness.history.files import left_out, read, result_files, set_aside_damaged
from harness.history.points import Damaged, HistoryError
from harness.history.results import NAME, file_name

BASELINES = Path(__file__).parent.parent / "baselines"
DAMAGE = {
    "empty": "",
    "truncated": '{"commit_hash": "abc", "results": {"a',
    "deep": "[" * 100_000,
    "binary": "\x00\x01\x02",
    "another type": "[]",
    "another structure": '{"version": 2, "results": 3, "params": {}}',
}


@pytest.fixture
def stored(tmp_path):
    results = tmp_path / "baselines"
    shutil.copytree(BASELINES, results)
    machine = max(results.glob("*/machine.json"), key=lambda path: len(result_files(path.parent))).parent.name
    return results, machine, result_files(results / machine)[0]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_file_is_named_set_aside_and_still_missed(stored, damage):
    results, machine, path = stored
    whole = read(results, machine)
    path.write_text(DAMAGE[damage])
    with pytest.raises(Damaged, match=path.name):
        read(results, machine)
    assert len(read(results, machine, whole=False)) < len(whole)
    assert [str(path) in text for text in left_out(results, machine)] == [True]
    (moved,) = set_aside_damaged(results, machine)
    assert moved.name == path.name + ".corrupt"
    assert moved.read_text() == DAMAGE[damage]
    assert not path.exists()
    assert read(results, machine)
    (still,) = left_out(results, machine)
    assert "set aside as damaged; restore it under its name, or delete it" in still
    path.write_text(DAMAGE[damage])
    assert [again.name for again in set_aside_damaged(results, machine)] == [path.name + ".corrupt-2"]


@pytest.mark.parametrize("name", ["machine.json", "benchmarks.json"])
def test_what_a_projection_replaces_is_set_aside_first(stored, name):
    results, machine, _ = stored
    path = results / name if name == "benchmarks.json" else results / machine / name
    path.write_text("{")
    (moved,) = set_aside_damaged(results, machine)
    assert moved.read_text() == "{"
    assert not set_aside_damaged(results, machine)


def test_a_newer_format_is_no_damage_and_stays_where_it_is(stored):
    results, machine, path = stored
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 3}))
    with pytest.raises(HistoryError, match=r"format version 2, found 3"):
        set_aside_damaged(results, machine)
    assert path.exists()


def test_a_few_names_that_stand_for_billions_of_cells_are_refused(stored):
    results, machine, path = stored
    body = json.loads(path.read_text())
    name = next(name for name in body["results"] if NAME.fullmatch(name))
    body["results"][name][1] = [[repr(f"r{n}") for n in range(50_000)], [repr(f"c{n}") for n in range(50_000)]]
    path.write_text(json.dumps(body))
    with pytest.raises(Damaged, match="more than 100000 cells"):
        read(results, machine)


@pytest.mark.parametrize(("commit", "environment"), [("../../x", "py"), ("abcdef12", "../../x"), ("abcdef12", "a\\b"), (".hidden", "py")])
def test_no_stored_name_leads_out_of_the_folder(commit, environment):
    with pytest.raises(HistoryError, match="that can name a file"):
        file_name(commit, environment)
