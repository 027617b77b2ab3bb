"""A history is judged by the targets of a session; what is missing or wrong in it is never green."""

import dataclasses
import json
import math

import pytest
from histories import COMMITS, FASTER, HERE, TARGETS, identity, session, with_fault
from synthetic import parity, plan, planned, record

from harness import history
from harness.verdict import exit_code


def judged(tmp_path, expected=None, commit=None, targets=TARGETS):
    stored = history.points_for_judging(tmp_path, HERE, commit)
    return history.judge_stored(plan(expected or session(), machine=HERE.name), stored, targets, ["any"])


def test_the_history_is_judged_by_the_same_targets(tmp_path):
    history.project(session(), tmp_path, HERE, TARGETS)
    verdicts = judged(tmp_path)
    assert exit_code(verdicts) == 0
    native = next(row for row in verdicts.rows if row.planned.implementation == "native")
    assert [answer.state for answer in native.of("target")] == ["pass", "pass"]
    speedup = native.metrics["speedup_over_reference"]
    assert (speedup.low, speedup.point, speedup.high) == pytest.approx((10, 10, 10), rel=0.01)
    seconds = native.metrics["seconds_per_call"]
    assert seconds.low < seconds.point < seconds.high


def test_a_planted_bad_point_turns_red(tmp_path):
    history.project(session(0) + session(1), tmp_path, HERE, TARGETS)
    assert exit_code(judged(tmp_path)) == 0
    path = next((tmp_path / HERE.name).glob(f"{COMMITS[1][:8]}*"))
    body = json.loads(path.read_text())
    for series in ("upper", "estimate"):
        body["results"][f"spectrogram.rtf.track_{series}"][0] = [50.0, 50.0]
    path.write_text(json.dumps(body))
    verdicts = judged(tmp_path)
    assert exit_code(verdicts) == 1
    assert any("rtf <= 0.1: found 50" in answer.message for row in verdicts.rows for answer in row.answers)
    assert exit_code(judged(tmp_path, commit=COMMITS[0][:8])) == 0


def test_a_slow_commit_turns_red(tmp_path):
    history.project(session(0) + session(1, native=30.0), tmp_path, HERE, TARGETS)
    assert exit_code(judged(tmp_path)) == 1


def test_stored_wrong_results_turn_red(tmp_path):
    records = [r if r.implementation == "reference" else with_fault(r, parity=[parity(False)]) for r in session()]
    history.project(records, tmp_path, HERE, TARGETS)
    verdicts = judged(tmp_path)
    assert exit_code(verdicts) == 1
    assert [a.state for row in verdicts.rows for a in row.of("parity") if row.planned.implementation == "native"] == ["fail"]


def test_no_baseline_is_nothing_measured(tmp_path):
    with pytest.raises(history.NothingStored, match="no results; commits with results: none"):
        history.points_for_judging(tmp_path, HERE)
    history.project(session(), tmp_path, HERE, TARGETS)
    with pytest.raises(history.NothingStored, match="no results of commit ffff; commits with results: 01010101"):
        history.points_for_judging(tmp_path, HERE, "ffff")


@pytest.mark.parametrize("rename", [{"case": "new"}, {"implementation": "new"}, {"component": "new"}, {"settings": {"threads": 2}}])
def test_a_renamed_line_is_never_green(tmp_path, rename):
    history.project(session(), tmp_path, HERE, TARGETS)
    expected = [dataclasses.replace(r, **rename) if r.implementation == "native" else r for r in session()]
    verdicts = judged(tmp_path, expected)
    assert exit_code(verdicts) == 5
    assert any(row.missing for row in verdicts.rows)
    known = rename.keys() & {"case", "settings"}
    assert bool(known) != any("in the history, not in the plan" in note for note in verdicts.notes)


def test_what_is_stored_beyond_the_plan_is_judged_too(tmp_path):
    records = session() + session(settings={"threads": 1}, native=0.09, name="t") + session(case="song", native=0.09, name="u")
    history.project(records, tmp_path, HERE, TARGETS)
    ratios = [p for p in history.read(tmp_path, HERE.name) if p.key.benchmark == "spectrogram.seconds_per_call.track_ratio"]
    assert {(p.key.implementation, p.key.case): round(p.value, 2) for p in ratios if p.value} == {
        ("native", "drums"): 0.1, ("native threads=1", "drums"): 0.9, ("native", "song"): 0.9,
    }  # fmt: skip
    one_thread = dataclasses.replace(FASTER, settings={"threads": 1})
    song = dataclasses.replace(FASTER, case="song")
    for target in (one_thread, song):
        verdicts = judged(tmp_path, targets=[target])
        assert exit_code(verdicts) == 1
        (bad,) = [row.planned for row in verdicts.rows if row.state == "fail"]
        assert (bad.settings, bad.case) == (({"threads": 1}, "drums") if target is one_thread else ({}, "song"))
    assert exit_code(judged(tmp_path, targets=[dataclasses.replace(song, at_least=1.05)])) == 0


def test_a_removed_benchmark_or_metric_is_never_green(tmp_path):
    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    sound = json.loads(path.read_text())
    for gone in ("spectrogram.rtf.track_upper", "spectrogram.parity.track_upper"):
        path.write_text(json.dumps({**sound, "results": {name: row for name, row in sound["results"].items() if name != gone}}))
        assert exit_code(judged(tmp_path)) == 3, gone


def test_skipped_cells_are_missing_not_green(tmp_path):
    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    body = json.loads(path.read_text())
    body["results"] = {name: [[math.nan] * len(row[0]), *row[1:3]] for name, row in body["results"].items()}
    path.write_text(json.dumps(body))
    assert exit_code(judged(tmp_path)) == 5


def test_another_machines_plan_is_invalid(tmp_path):
    history.project(session(), tmp_path, HERE, TARGETS)
    verdicts = history.judge_stored(plan(session(), machine="arm64-apple-m1"), history.points_for_judging(tmp_path, HERE), TARGETS, ["any"])
    assert exit_code(verdicts) == 4


def test_settings_and_variants_find_their_line_again(tmp_path):
    rows = {"settings": {"threads": 2, "affinity": (0, 1), "hop": 441.0, "cache": True}, "variant": {"precision": "float32"}}
    own = [record("native", **identity(r), **rows) for r in session() if r.implementation == "native"]
    records = [r for r in session() if r.implementation == "reference"] + own
    history.project(records, tmp_path, HERE, TARGETS)
    verdicts = judged(tmp_path, records)
    assert [row.missing for row in verdicts.rows] == [False, False]
    assert planned(own)[0].row == "native[precision=float32]"
    assert not verdicts.notes
