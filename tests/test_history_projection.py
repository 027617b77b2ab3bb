"""Records into history: pooled, less is better, nothing without parity."""

import dataclasses
import json

import pytest
from histories import HERE, TARGETS, find, session, with_fault
from hypothesis import given
from hypothesis import strategies as st
from synthetic import parity

from harness import history
from harness.history import naming
from harness.stats import Interval


def test_the_stored_number_is_the_unfavourable_end_of_the_interval(tmp_path):
    projected = history.project(session(), tmp_path, HERE, TARGETS)
    low, middle, high = 0.01, 0.01 * 1.01, 0.01 * 1.02
    estimate, upper = find(projected.points, "seconds_per_call", "estimate"), find(projected.points, "seconds_per_call", "upper")
    assert low < estimate.value < high
    assert upper.value > estimate.value
    assert upper.value == pytest.approx(estimate.interval[1])
    assert estimate.value == pytest.approx(middle, rel=0.001)
    assert estimate.launches == 3


def test_ratios_are_to_the_reference_of_the_same_session(tmp_path):
    projected = history.project(session(), tmp_path, HERE, TARGETS)
    ratio = find(projected.points, "seconds_per_call", "ratio")
    assert ratio.value == pytest.approx(0.1)
    assert ratio.interval[0] <= ratio.value <= ratio.interval[1]
    assert find(projected.points, "rtf", "ratio").value == pytest.approx(0.1)
    assert not [p for p in projected.points if p.key.series == "ratio" and p.key.implementation == "reference"]


def test_what_is_better_when_more_is_stored_turned_round(tmp_path):
    projected = history.project(session(), tmp_path, HERE, TARGETS)
    upper = find(projected.points, "inverse_speedup_over_reference", "upper")
    assert upper.value == pytest.approx(0.1, rel=0.01)
    assert not [p for p in projected.points if p.key.metric == "speedup_over_reference"]


@given(
    st.sampled_from(["speedup_over_reference", "throughput_per_second", "snr_db", "agreement", "limit_share", "rtf", "growth_bytes"]),
    st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3),
)
def test_every_turn_undoes_itself_and_less_is_better(metric, values):
    low, point, high = sorted(values)
    better = naming.metrics.about(metric).better
    stored = naming.stored_name(metric, better)
    turned = naming.to_stored(stored, Interval(point, low, high, 3))
    assert turned == tuple(sorted(turned))
    back = naming.from_stored(stored, *turned, 3)
    assert (back.low, back.point, back.high) == pytest.approx((low, point, high))
    assert naming.original_name(stored) == metric
    if better == "more":
        assert turned[2] == pytest.approx(max(naming.to_stored(stored, Interval(low, low, low, 3))))


def test_sessions_of_one_commit_are_pooled(tmp_path):
    fast, slow = session(native=0.010, name="a"), session(native=0.020, name="b")
    history.project(fast, tmp_path, HERE, TARGETS)
    pooled = history.project(fast + slow, tmp_path, HERE, TARGETS)
    estimate = find(pooled.points, "seconds_per_call", "estimate")
    assert estimate.launches == 6
    assert 0.012 < estimate.value < 0.016
    assert len(pooled.files) == 1
    ratio = find(pooled.points, "seconds_per_call", "ratio")
    assert ratio.interval[1] - ratio.interval[0] > 0.05, "both sessions are in the ratio"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dirty": True}, "uncommitted changes"),
        ({"commit": ""}, "no commit"),
        ({"case": "input-0123456789ab"}, "own audio"),
        ({"machine": "arm64-apple-m1"}, "another machine"),
    ],
)
def test_refused_records_are_named_and_nothing_is_written(tmp_path, changes, reason):
    projected = history.project(session(**changes), tmp_path, HERE, TARGETS)
    assert not projected.files
    assert not list(tmp_path.rglob("*.json"))
    assert sum(projected.refused.values()) == 6
    assert all(reason in refused.reason for refused in projected.refused)


def test_controls_are_no_results(tmp_path):
    injected = [dataclasses.replace(r, control="injected 5 %", session="x", launch=9) for r in session(native=1.0)]
    projected = history.project(session() + injected, tmp_path, HERE, TARGETS)
    assert find(projected.points, "seconds_per_call", "estimate").launches == 3


def test_two_launches_are_too_few_to_be_judged(tmp_path):
    projected = history.project([r for r in session() if r.launch < 2], tmp_path, HERE, TARGETS)
    assert {p.key.metric for p in projected.points} == {"parity"}
    assert any("2 of the 3 launches" in refused.reason for refused in projected.refused)


@pytest.mark.parametrize("fault", [{"parity": [parity(False)]}, {"outcome": "crashed", "message": "signal 11"}, {"parity": []}])
def test_without_parity_there_is_no_time(tmp_path, fault):
    records = [r if r.implementation == "reference" else with_fault(r, **fault) for r in session()]
    projected = history.project(records, tmp_path, HERE, TARGETS)
    assert find(projected.points, "parity", "upper").value == 1
    assert find(projected.points, "rtf", "upper").state == "failed"
    assert all(p.value is None for p in projected.points if p.key.implementation == "native" and p.key.metric != "parity")
    stored = json.loads(projected.files[0].read_text())["results"]["spectrogram.rtf.track_upper"]
    assert None in stored[0]




def test_a_later_session_that_passes_clears_a_failure(tmp_path):
    failed = [with_fault(r, parity=[parity(False)]) if r.implementation == "native" else r for r in session(name="a")]
    passed = [dataclasses.replace(r, started="2025-02-02T03:04:05+00:00") for r in session(name="b")]
    assert find(history.project(failed + passed, tmp_path, HERE, TARGETS).points, "parity", "upper").value == 0
    later = [dataclasses.replace(r, started="2025-03-02T03:04:05+00:00") for r in failed]
    assert find(history.project(later + passed, tmp_path, HERE, TARGETS).points, "parity", "upper").value == 1


def test_a_busy_machine_gives_ratios_but_no_times(tmp_path):
    projected = history.project(session(state={"busy": "pressure 30 %"}), tmp_path, HERE, TARGETS)
    metrics = {(p.key.metric, p.key.series) for p in projected.points if p.key.implementation == "native"}
    assert ("inverse_speedup_over_reference", "upper") in metrics
    assert ("seconds_per_call", "upper") not in metrics
    assert any("busy" in refused.reason for refused in projected.refused)
    spoiled = history.project(session(1, quiet=0.2), tmp_path, HERE, TARGETS)
    assert {p.key.metric for p in spoiled.points} == {"parity", "peak_bytes"}
