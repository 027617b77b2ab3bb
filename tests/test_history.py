"""History: projection of records, asv's files, steps, judging, publishing. The last part runs the real asv."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import launches, parity, plan, planned, record

from harness import history
from harness.history import files, naming
from harness.history.publish import without_paths
from harness.machine import Core, Machine
from harness.measure.commit import commit_of
from harness.stats import Interval
from harness.targets import Target
from harness.verdict import exit_code

HERE = Machine(
    system="linux", architecture="x86_64", brand="Example CPU", cores=(Core("genuine", 143, 2, 6),), physical_cores=1, logical_cores=2,
    caches=(), memory_gib=24.0, instruction_sets=("avx2",),
)  # fmt: skip
COMMITS = [f"{number:02d}" * 20 for number in range(1, 60)]
RTF = Target("spectrogram", "any", "rtf", "the issue", "stated", at_most=0.1)
FASTER = Target("spectrogram", "any", "speedup_over_reference", "the issue", "stated", at_least=2.0)
TARGETS = (RTF, FASTER)


def session(number=0, *, native=0.010, reference=0.100, name="s", **fields):
    """Three launches of reference and native at a clean commit."""
    common = {
        "machine": HERE.name, "commit": COMMITS[number], "commit_date_ms": 1_700_000_000_000 + number * 86_400_000, "dirty": False,
        "session": f"{name}{number:03d}", "environment": {"python": "3.11.7", "packages": "mlx+torch", "numpy": "2.4"},
    }  # fmt: skip
    return launches("reference", reference, **{**common, **fields}) + launches("native", native, **{**common, **fields})


def find(points, metric, series, implementation="native"):
    found = [p for p in points if (p.key.metric, p.key.series, p.key.implementation) == (metric, series, implementation)]
    assert len(found) == 1, found
    return found[0]


# Projection


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
    records = [r if r.implementation == "reference" else _with(r, **fault) for r in session()]
    projected = history.project(records, tmp_path, HERE, TARGETS)
    assert find(projected.points, "parity", "upper").value == 1
    assert find(projected.points, "rtf", "upper").state == "failed"
    assert all(p.value is None for p in projected.points if p.key.implementation == "native" and p.key.metric != "parity")
    stored = json.loads(projected.files[0].read_text())["results"]["spectrogram.rtf.track_upper"]
    assert None in stored[0]


def _with(item, **fault):
    if "outcome" in fault:
        return record(item.implementation, outcome=fault["outcome"], message=fault["message"], **_identity(item))
    return dataclasses.replace(item, parity=tuple(fault["parity"]))


def _identity(item):
    names = ("launch", "machine", "commit", "commit_date_ms", "dirty", "session", "environment")
    return {name: getattr(item, name) for name in names}


def test_a_later_session_that_passes_clears_a_failure(tmp_path):
    failed = [_with(r, parity=[parity(False)]) if r.implementation == "native" else r for r in session(name="a")]
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


# Files


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


# Judging


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
    records = [r if r.implementation == "reference" else _with(r, parity=[parity(False)]) for r in session()]
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
    own = [record("native", **_identity(r), **rows) for r in session() if r.implementation == "native"]
    records = [r for r in session() if r.implementation == "reference"] + own
    history.project(records, tmp_path, HERE, TARGETS)
    verdicts = judged(tmp_path, records)
    assert [row.missing for row in verdicts.rows] == [False, False]
    assert planned(own)[0].row == "native[precision=float32]"
    assert not verdicts.notes


# Steps


def ratios(values, key=None, start=0):
    key = key or history.Key("spectrogram", "seconds_per_call", "ratio", "native", "drums")
    return [history.Point(key, f"{start + i:040x}", i * 1000, float(value)) for i, value in enumerate(values)]


def noise(generator, count, level, heavy):
    return np.exp(level * (generator.standard_t(4, count) / math.sqrt(2) if heavy else generator.normal(size=count)))


@pytest.mark.parametrize("heavy", [False, True])
def test_noise_raises_no_alarm(heavy):
    """60 histories of 5 series: nominal 1 % alarms, about 2 % under heavy tails; 4 of 60 would be far outside both."""
    generator = np.random.default_rng(7)
    alarms = 0
    for _ in range(60):
        points = []
        for number in range(5):
            key = history.Key("spectrogram", "seconds_per_call", "ratio", f"row{number}", "drums")
            points += ratios(0.04 * noise(generator, 12, 0.03, heavy), key)
        alarms += bool(history.steps(points))
    assert alarms <= 3


@pytest.mark.parametrize(("after", "least"), [(1, 0.9), (2, 0.97), (6, 1.0)])
def test_a_planted_step_is_seen(after, least):
    generator = np.random.default_rng(8)
    seen = 0
    for _ in range(60):
        values = 0.04 * noise(generator, 14, 0.01, False)
        values[-after:] *= 1.1
        found = history.steps(ratios(values))
        seen += any(step.commit == f"{14 - after:040x}" and 0.05 < step.change < 0.15 for step in found)
    assert seen / 60 >= least


def test_a_step_says_where_from_where_to_and_on_how_much_it_rests():
    (step,) = history.steps(ratios([1.0, 1.001, 0.999, 1.0, 1.1]))
    assert (step.previous_commit, step.commit, step.points) == (f"{3:040x}", f"{4:040x}", 1)
    assert step.change == pytest.approx(0.1, abs=0.001)
    assert step.p < 0.01
    down, up = history.steps(ratios([1.0, 1.001, 0.999, 1.0, 1.001, 0.5, 0.501, 0.5, 0.499, 0.7, 0.701]))
    assert (down.change < 0, up.change > 0) == (True, True)
    assert (down.points, up.points) == (4, 2)


def test_steps_need_points_a_least_change_and_one_contract():
    assert history.steps(ratios([1.0, 1.0, 1.1])) == []
    assert history.steps(ratios([1.0, 1.0001, 1.0, 0.9999, 1.01])) == []
    old, new = ratios([1.0, 1.001, 0.999, 1.0]), ratios([2.0, 2.001, 1.999, 2.0], start=4)
    assert history.steps(old + [dataclasses.replace(point, version="2") for point in new]) == []
    assert len(history.steps(old + new)) == 1
    absolute = history.Key("spectrogram", "seconds_per_call", "estimate", "native", "drums")
    assert history.steps(ratios([1.0, 1.001, 0.999, 1.0, 1.1], absolute)) == []


def test_an_outlier_in_the_past_is_no_step_and_counted_bytes_need_no_noise():
    assert history.steps(ratios([1.0, 1.001, 1.3, 0.999, 1.0, 1.001])) == []
    (step,) = history.steps(ratios([1.0, 1.0, 1.0, 1.0, 1.5]))
    assert step.change == pytest.approx(0.5)


# asv around it


def test_asv_finds_this_machine_by_its_host_and_no_other_host_takes_it(tmp_path):
    from asv.machine import MachineCollection
    from asv.util import UserError

    path = tmp_path / "asv-machine.json"
    registered = history.register_machine(HERE, path, host="builder")
    assert registered.plain
    assert MachineCollection.load("builder", _path=path)["machine"] == HERE.name
    assert MachineCollection.load(HERE.name, _path=path) == {name: str(value) for name, value in history.entry(HERE).items()}
    with pytest.raises(UserError, match="No information stored about machine 'elsewhere'"):
        MachineCollection.load("elsewhere", _path=path)
    assert history.register_machine(HERE, path, host="builder").plain


def test_a_users_own_name_for_the_host_is_kept(tmp_path):
    path = tmp_path / "asv-machine.json"
    path.write_text(json.dumps({"builder": {"machine": "my-box"}, "version": 1}))
    registered = history.register_machine(HERE, path, host="builder")
    assert not registered.plain
    assert f"asv run --machine {HERE.name}" in registered.note
    assert json.loads(path.read_text())["builder"] == {"machine": "my-box"}


def test_a_damaged_machine_file_is_named(tmp_path):
    path = tmp_path / "asv-machine.json"
    path.write_text("{")
    with pytest.raises(history.HistoryError, match=r"asv-machine\.json: expected JSON"):
        history.register_machine(HERE, path)


def git(folder, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with the project's asv configuration and five commits with history of this machine."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "asv.conf.json").write_text((Path(__file__).parent.parent / "asv.conf.json").read_text())
    git(tmp_path, "add", ".")
    records = []
    for number in range(5):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", str(number))
        commit = git(tmp_path, "rev-parse", "HEAD")
        records += [dataclasses.replace(r, commit=commit) for r in session(number)]
    history.project(records, tmp_path / "baselines", HERE, TARGETS)
    return tmp_path


def asv(folder, *arguments):
    command = [sys.executable, "-m", "asv", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_asv_shows_compares_and_publishes_what_we_wrote(repository):
    shown = asv(repository, "show", "HEAD")
    assert shown.returncode == 0, shown.stderr
    assert "spectrogram.rtf.track_upper" in shown.stdout
    compared = asv(repository, "compare", "HEAD~1", "HEAD")
    assert compared.returncode == 0, compared.stderr
    assert "spectrogram.seconds_per_call.track_ratio" in compared.stdout
    published = history.publish(repository)
    assert published.html == repository / ".asv" / "html" / "index.html"
    assert published.dropped == ()
    found = (repository / ".asv" / "html" / "graphs").rglob("spectrogram.rtf.track_upper.json")
    (graph,) = [path for path in found if "summary" not in path.parts]
    assert len(json.loads(graph.read_text())) == 5


def test_commits_of_one_second_are_in_the_repositorys_order(repository):
    commits = git(repository, "rev-list", "--reverse", "HEAD").split()
    for path in (repository / "baselines" / HERE.name).glob("*-py3*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "date": 1_700_000_000_000}))
    assert list(dict.fromkeys(p.commit for p in history.read(repository / "baselines", HERE.name))) == commits
    for name, commit in [(None, commits[-1]), ("HEAD~1", commits[-2]), ("main~4", commits[0]), (commits[1][:7], commits[1])]:
        assert history.points_for_judging(repository / "baselines", HERE, name).commit == commit


def test_publish_names_the_commits_that_asv_drops(repository):
    git(repository, "checkout", "-q", "-b", "side")
    git(repository, "commit", "-q", "--allow-empty", "-m", "aside")
    commit = git(repository, "rev-parse", "HEAD")
    history.project([dataclasses.replace(r, commit=commit) for r in session(9)], repository / "baselines", HERE, TARGETS)
    assert history.publish(repository).dropped == (commit,)


def test_publish_refuses_an_empty_site(tmp_path, repository):
    config = json.loads((repository / "asv.conf.json").read_text())
    (repository / "asv.conf.json").write_text(json.dumps({**config, "branches": ["nowhere"]}))
    with pytest.raises(history.HistoryError, match="names the branch 'nowhere', git does not know it here"):
        history.publish(repository)
    git(repository, "checkout", "-q", "--orphan", "fresh")
    git(repository, "commit", "-q", "-m", "unrelated")
    (repository / "asv.conf.json").write_text(json.dumps({**config, "branches": ["fresh"]}))
    with pytest.raises(history.HistoryError, match="none of the 5 measured commits lies on fresh"):
        history.publish(repository)
    (repository / "asv.conf.json").write_text(json.dumps({**config, "results_dir": "empty"}))
    with pytest.raises(history.HistoryError, match="nothing to publish"):
        history.publish(repository)


def test_paths_in_environment_names_are_removed(tmp_path):
    (path,) = history.project(session(), tmp_path, HERE, TARGETS).files
    body = json.loads(path.read_text())
    python = "/home/someone/venv/bin/python3.12"
    leaky = path.with_name(f"{COMMITS[0][:8]}-existing-py_home_someone_venv_bin_python3.12.json")
    leaky.write_text(json.dumps({**body, "env_name": leaky.stem[9:], "python": python, "params": {**body["params"], "python": python}}))
    history.project(session(1), tmp_path, HERE, TARGETS)
    assert not leaky.exists(), "writing history leaves no path behind"
    leaky.write_text(json.dumps({**body, "env_name": leaky.stem[9:], "python": python, "params": {**body["params"], "python": python}}))
    ((before, after),) = without_paths(tmp_path)
    assert (before, after.name) == (leaky, f"{COMMITS[0][:8]}-existing-py3.12.json")
    assert not leaky.exists()
    assert "someone" not in after.read_text()
    assert without_paths(tmp_path) == []
    assert len({point.environment for point in history.read(tmp_path, HERE.name)}) == 2


def test_file_names_are_asvs():
    from asv.results import get_filename

    for name in ("py3.11-torch", "x" * 200):
        assert files.file_name(COMMITS[0], name) == Path(get_filename("m", COMMITS[0], name)).name


def test_writing_history_leaves_its_commit_clean(repository):
    code = repository / "code.py"
    code.write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "with history")
    (repository / "baselines" / "benchmarks.json").write_text("{}")
    commit_of.cache_clear()
    assert (commit_of(str(code)).dirty, commit_of(str(code)).name) == (False, git(repository, "rev-parse", "HEAD"))
    code.write_text("2")
    commit_of.cache_clear()
    assert commit_of(str(code)).dirty


def test_the_results_folder_is_that_of_the_nearest_configuration(repository):
    inside = repository / "some" / "folder"
    inside.mkdir(parents=True)
    assert history.results_dir(inside) == repository / "baselines"
    (inside / "asv.conf.json").write_text("{")
    with pytest.raises(history.HistoryError, match=r"folder.asv\.conf\.json: expected asv's configuration"):
        history.results_dir(inside)
    (inside / "asv.conf.json").unlink()
    (repository / "asv.conf.json").unlink()
    with pytest.raises(history.HistoryError, match=r"no asv\.conf\.json in"):
        history.results_dir(inside)
