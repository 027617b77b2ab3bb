"""asv's files: what is written is read back, what is damaged is named, what is another machine's is refused."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from histories import COMMITS, HERE, TARGETS, session

from harness import history


def test_files_are_asvs_and_hold_no_path(tmp_path):
    projected = history.project(session(), tmp_path, HERE, TARGETS)
    (path,) = projected.files
    assert path == tmp_path / HERE.name / f"{COMMITS[0][:8]}-py3.11-mlx-torch.json"
    body = json.loads(path.read_text())
    assert (body["version"], body["commit_hash"], body["python"], body["params"]["machine"]) == (2, COMMITS[0], "3.11", HERE.name)
    assert json.loads((tmp_path / HERE.name / "machine.json").read_text())["machine"] == HERE.name
    benchmarks = json.loads((tmp_path / "benchmarks.json").read_text())
    assert benchmarks["spectrogram.rtf.track_upper"]["params"] == [["'reference'", "'native'"], ["'drums'"]]
    for text in (path.read_text(), (tmp_path / "benchmarks.json").read_text()):
        assert str(Path.home()) not in text
        assert sys.executable not in text
    assert not list(tmp_path.rglob("*.tmp"))


def test_asv_itself_reads_them(tmp_path):
    from asv.results import Results

    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    results = Results.load(str(path), machine_name=HERE.name)
    value = results.get_result_value("spectrogram.seconds_per_call.track_ratio", [["'native'"], ["'drums'"]])
    assert value == [pytest.approx(0.1)]
    assert results.get_result_stats("spectrogram.seconds_per_call.track_estimate", [["'native'"], ["'drums'"]])[0]["ci_99_a"] < 0.0102


def test_what_is_written_is_read_back(tmp_path):
    projected = history.project(session(0) + session(1), tmp_path, HERE, TARGETS)
    read = [point for point in history.read(tmp_path, HERE.name) if point.state != "skipped"]
    assert len(read) == len(projected.points)
    strip = {"unit": "", "environment": "", "launches": 0}
    written = {(p.key, p.commit): dataclasses.replace(p, **strip) for p in projected.points}
    for point in read:
        assert dataclasses.replace(point, **strip) == written[point.key, point.commit]
    assert [p.commit for p in history.series(read)[read[0].key]] == COMMITS[:2]


def test_another_case_adds_cells_and_keeps_the_others(tmp_path):
    history.project(session(), tmp_path, HERE, TARGETS)
    history.project(session(case="speech", settings={"threads": 2}), tmp_path, HERE, TARGETS)
    stored = [p for p in history.read(tmp_path, HERE.name) if p.key.benchmark == "spectrogram.rtf.track_upper"]
    cells = {(p.key.implementation, p.key.case): p.state for p in stored}
    assert cells == {
        ("reference", "drums"): "measured", ("native", "drums"): "measured", ("reference threads=2", "speech"): "measured",
        ("native threads=2", "speech"): "measured", ("reference", "speech"): "skipped", ("native", "speech"): "skipped",
        ("reference threads=2", "drums"): "skipped", ("native threads=2", "drums"): "skipped",
    }  # fmt: skip


def test_a_new_contract_replaces_the_old_numbers_of_its_commit(tmp_path):
    history.project(session(), tmp_path, HERE, TARGETS)
    history.project(session(case="speech", contract=2), tmp_path, HERE, TARGETS)
    cells = [p for p in history.read(tmp_path, HERE.name) if p.key.benchmark == "spectrogram.rtf.track_upper"]
    assert {(p.key.case, p.version) for p in cells} == {("speech", "2")}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "format version 2, found 'list'"),
        ('{"version": 3}', "format version 2, found 3"),
        ('{"version": 2, "params": {}}', "asv result file"),
        ('{"version": 2, "params": {"machine": "other"}}', "found one of 'other'"),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(tmp_path, damage, message):
    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    path.write_text(damage)
    with pytest.raises(history.HistoryError, match=message) as caught:
        history.read(tmp_path, HERE.name)
    assert str(path) in str(caught.value)


def test_damaged_rows_are_errors_too(tmp_path):
    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    sound = json.loads(path.read_text())
    one, code = [["'native'"], ["'drums'"]], [["__import__('os')"], ["'drums'"]]
    for row in ([[1.0], [["'native'"]], "1"], [[1.0, 2.0], one, "1"], [[1.0], code, "1"]):
        path.write_text(json.dumps({**sound, "results": {"spectrogram.rtf.track_upper": row}}))
        with pytest.raises(history.HistoryError, match=r"expected spectrogram\.rtf\.track_upper"):
            history.read(tmp_path, HERE.name)


def test_the_folder_of_another_machine_is_refused(tmp_path):
    history.project(session(), tmp_path, HERE, TARGETS)
    other = dataclasses.replace(HERE, brand="Other CPU")
    own_folder = tmp_path / HERE.name
    own_folder.rename(tmp_path / other.name)
    differs = r"machine\.json differs from this machine .*cpu: here 'Other CPU', in the file 'Example CPU'"
    with pytest.raises(history.HistoryError, match=differs):
        history.project(session(), tmp_path, other, TARGETS)
    with pytest.raises(history.HistoryError, match=differs):
        history.points_for_judging(tmp_path, other)
