"""Silent greens: what users of other harnesses complain about, one test per complaint, each through a door.

Every test breaks one thing in a project that is green without it, and the fixtures assert that first: no test here passes for
another reason. PROVED says where each complaint is answered; "sections" are those of the facts about the harness's peers.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.metadata
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import TOY, Project, Said, ended, one_line

from harness import history, measure
from harness.machine import this_machine
from harness.store import Store

GATE = ("harness gate",)
"""Complaints about comparing two versions in one session: A/A, positive control, path skew, many comparisons."""

PROVED: dict[str, tuple[str, ...]] = {
    "3.1 measured nothing and passed; no environment read as a regression": (
        "test_silent_greens::test_a_gate_that_measured_nothing_and_passed",
        "test_silent_greens::test_no_environment_read_as_a_regression",
        "test_silent_greens::test_nothing_selected",
        "test_cli::test_nothing_recorded_is_5",
        "test_verdict::test_nothing_measured_is_never_green",
    ),
    "3.2 never ran, scored as pass": (
        "test_silent_greens::test_a_benchmark_that_never_ran_scored_as_pass",
        "test_verdict::test_never_green_when_something_planned_left_no_record",
    ),
    "3.3 a crashing binary passed": (
        "test_silent_greens::test_a_crashing_binary_passed",
        "test_silent_greens::test_a_crashing_binary_passed_into_the_history",
        "test_measure::test_a_bad_row_has_its_outcome_and_reason",
        "test_pytest_plugin::test_what_ends_its_process_does_not_end_pytest",
        "test_cli::test_an_interrupted_run_keeps_what_it_measured_and_is_no_pass",
    ),
    "3.4 tee made a gate unable to fail": ("test_cli::test_tee_cannot_make_a_failure_pass",),
    "3.5 a canary proves that the gate blocks": GATE,
    "3.6 base against base failed": GATE,
    "3.7 path skew between two checkouts": GATE,
    "3.8 alerts that do not repeat": GATE,
    "3.9 thresholds below the noise": GATE,
    "3.10 a machine's name from unstable fields": (
        "test_machine::test_identity_ignores_what_a_reboot_or_an_optional_package_changes",
        "test_machine::test_identity_sees_other_hardware",
    ),
    "3.11 baselines of another machine": (
        "test_silent_greens::test_baselines_of_another_machine",
        "test_cli::test_records_of_another_machine_are_4_unless_their_profile_is_named",
        "test_history_files::test_the_folder_of_another_machine_is_refused",
    ),
    "3.12 correct kernels that fabricate time": (
        "test_measure::test_a_bad_row_has_its_outcome_and_reason",
        "test_measure::test_a_wrong_row_fails_parity_and_says_how_to_reproduce_it",
        "test_measure::test_a_lazy_output_is_paid_inside_the_timer",
        "test_measure::test_patched_timers_change_nothing",
        "test_measure::test_work_hidden_behind_the_call_is_charged",
        "test_worker::test_fresh_inputs_are_timed_beside_known_ones_and_then_forgotten",
        "test_trust::test_clocks_that_contradict_what_is_seen_are_not",
    ),
    "3.13 red under load, green for regressions": (
        "test_verdict::test_a_busy_machine_neither_passes_nor_fails_a_time",
        "test_verdict::test_a_busy_machine_leaves_memory_and_paired_ratios",
        "test_history_projection::test_a_busy_machine_gives_ratios_but_no_times",
    ),
    "3.14 asv compare has no exit code, pytest-benchmark none outside pytest; machines change; one threshold for all": (
        "test_silent_greens::test_asv_compare_has_no_exit_code",
        "test_history_publish::test_asv_finds_this_machine_by_its_host_and_no_other_host_takes_it",
        "test_benchmarks::test_generated_benchmarks_keep_asvs_rules",
        "test_cli::test_a_missed_target_is_1",
        "test_targets::test_which_bound_counts",
    ),
    "4 a changed version is not comparable, which is green": (
        "test_silent_greens::test_results_of_another_contract",
        "test_silent_greens::test_results_of_other_bounds",
        "test_silent_greens::test_history_of_another_contract",
        "test_claims::test_a_session_under_another_contract_holds_no_claim",
    ),
    "4 null is failed, NaN is skipped": (
        "test_silent_greens::test_a_cell_that_failed_or_was_skipped",
        "test_history_judging::test_a_removed_benchmark_or_metric_is_never_green",
    ),
    "4 asv run stores nothing": (
        "test_silent_greens::test_no_baseline",
        "test_silent_greens::test_recorded_and_nothing_written",
        "test_benchmarks::test_asv_cannot_store_code_that_the_commit_does_not_hold",
    ),
    "4 what was stored is not what is checked out": (
        "test_past::test_a_head_that_was_never_measured_is_not_green",
        "test_past::test_a_shallow_clone_says_so_and_is_not_green",
    ),
    "4 publish drops commits": (
        "test_history_publish::test_publish_names_the_commits_that_asv_drops",
        "test_history_publish::test_publish_refuses_an_empty_site",
    ),
    "4 the folder's name is the machine's": ("test_history_files::test_a_damaged_file_is_one_error_that_names_it",),
    "4 asv has no direction": ("test_history_projection::test_every_turn_undoes_itself_and_less_is_better",),
    "5 deselected or renamed": (
        "test_silent_greens::test_a_renamed_item_in_pytest",
        "test_silent_greens::test_a_renamed_implementation",
        "test_silent_greens::test_a_renamed_case",
        "test_pytest_plugin::test_what_cannot_be_is_a_usage_error",
        "test_pytest_plugin::test_zero_selected_is_pytests_own_code_for_it",
    ),
    "5 unavailable and skipped": (
        "test_silent_greens::test_nothing_but_skips_in_pytest",
        "test_pytest_plugin::test_what_is_unavailable_is_skipped_with_its_reason",
    ),
    "5 --benchmark-disable, --benchmark-skip": (
        "test_pytest_plugin::test_benchmark_disable_still_runs_each_once_and_keeps_wrong_results_red",
        "test_pytest_plugin::test_benchmark_skip_skips_numbers_and_no_verdict",
    ),
    "5 ten times faster": ("test_verdict::test_fast_but_wrong_has_no_time", "test_measure::test_a_wrong_row_is_not_timed"),
    "5 no failing test in JUnit": (
        "test_pytest_plugin::test_junit_has_every_item_with_what_was_measured",
        "test_report_junit::test_failures_and_errors_agree_with_the_exit_code",
    ),
    "5 no hardware in the storage's name": ("test_history_files::test_files_are_asvs_and_hold_no_path",),
    "5 node ids that collapse": ("test_pytest_plugin::test_everything_is_collected_with_the_option",),
}

BAD = {
    "quits": "crashed in launch 1: .*ended its process with exit code 0",
    "segfaults": "crashed in launch 1: .*SIGSEGV",
    "raises": "raised in launch 1: .*out of order",
    "hangs": "hung in launch 1: .*did not return within 2 s",
    "nan": "not finite in launch 1: .*NaN",
    "empty": "empty output in launch 1: .*'y' is empty",
    "wrong": "y is not identical",
}
SOURCE = (
    TOY.replace("Identical,", "Identical, Metric,")
    + """
    import signal, time

    def raising(inputs):
        raise ValueError("out of order")

    SEGFAULTS = made("segfaults", lambda inputs: os.kill(os.getpid(), signal.SIGSEGV))
    RAISES = made("raises", raising)
    HANGS = made("hangs", lambda inputs: time.sleep(600))
    NAN = made("nan", lambda inputs: {"y": inputs["x"] * np.nan})
    EMPTY = made("empty", lambda inputs: {"y": inputs["x"][:0]})
    LATE = made("late", twice)
"""
)
MET = {"metric": "peak_bytes", "at_most": 1e12}
COMMIT = "c0ffee00" * 5
Lines = list[dict[str, Any]]


def entries(*names: str) -> dict[str, str]:
    return {"toy": "COMPONENT", **{f"toy.{name}": name.upper() for name in ("reference", *names)}}


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Only what a test puts on the path is registered: our own components would be missing from its sessions and history."""
    found = importlib.metadata.entry_points

    def outsiders(group: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in found(group=group) if point.dist is None or point.dist.name != "audio-perf-harness"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.metadata.entry_points", outsiders)
        patch.setattr("sys.dont_write_bytecode", True)  # two edits within a second would be one to a .pyc
        yield


@pytest.fixture(scope="module")
def measured(alone: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Lines]:
    """A project, and one session of a good implementation beside every bad one."""
    made = Project(tmp_path_factory.mktemp("green"))
    made.variables["PYTHONDONTWRITEBYTECODE"] = "1"
    made.plugin("toy", SOURCE, entries("fast", *BAD))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.measure.run", functools.partial(measure.run, patience=2.0))
        said = made.here("run", "toy")
    assert said.code == 1, said
    return made, made.lines()


def of(lines: Lines, *names: str) -> Lines:
    """The session as if these implementations alone had been planned."""
    plan, *records = lines
    kept = [row for row in plan["planned"] if row["implementation"] in ("reference", *names)]
    return [{**plan, "planned": kept}, *(record for record in records if record["implementation"] in ("reference", *names))]


@pytest.fixture
def project(measured: tuple[Project, Lines]) -> Project:
    """A project whose session and whose history are green: each test breaks one of them anew."""
    made, lines = measured
    made.plugin("toy", SOURCE, entries("fast"))
    made.target("toy", **MET)
    store(made, of(lines, "fast"))
    assert judge(made).code == 0, judge(made)
    assert judge_history(made).code == 0, judge_history(made)
    return made


def store(project: Project, lines: Lines) -> None:
    """Make these lines the only session, measured at a clean commit, and what follows from them the only history."""
    plan, *records = lines
    for path in (*project.records.glob("*.jsonl"), *(project.folder / "baselines").rglob("*.json")):
        path.unlink()
    (project.records / f"{plan['session']}.jsonl").touch()
    project.rewrite([plan, *({**record, "commit": COMMIT, "commit_date_ms": 1_700_000_000_000, "dirty": False} for record in records)])
    _, read = Store(project.records).read(plan["session"])
    assert history.project(read, project.folder / "baselines", this_machine()).files


def judge(project: Project) -> Said:
    return project.here("judge")


def judge_history(project: Project) -> Said:
    return project.here("judge", "--history", "--results", "baselines")


def results(project: Project) -> Path:
    """The one result file of the history."""
    (path,) = (path for path in (project.folder / "baselines").glob("*/*-py3*.json"))
    return path


def edited(project: Project, before: str, after: str, *names: str) -> None:
    """The plugin with one thing changed."""
    assert SOURCE.count(before) == 1
    project.plugin("toy", SOURCE.replace(before, after), entries(*(names or ("fast",))))


def says(said: Said, code: int, *parts: str) -> None:
    """The command ended so, and named these things."""
    assert said.code == code, said
    for part in parts:
        assert part in said.flat + said.err, said


# Section 3.


def test_a_gate_that_measured_nothing_and_passed(project: Project) -> None:
    """3.1: a plan without records is 5, in the exit code and in the report's file."""
    project.rewrite(project.lines()[:1])
    says(project.here("judge", "--json", "v.json"), 5, "nothing was measured: no launch of the session ended well")
    assert json.loads((project.folder / "v.json").read_text())["exit_code"] == 5


def test_no_environment_read_as_a_regression(project: Project) -> None:
    """3.1: where nothing optimized can run, the code is 5 and not 1."""
    project.plugin("toy", SOURCE, entries("gone"))
    said = project.here("run", "toy", "--launches", "1")
    says(said, 5, "no optimized implementation can be measured here (toy.gone: no_such_package: not installed)")


@pytest.mark.parametrize("pattern", ["toy.nosuch", "nosuch", "toy.f"])
def test_nothing_selected(project: Project, pattern: str) -> None:
    """3.1: a pattern that selects nothing is an error of usage."""
    assert f"nothing matches '{pattern}'" in one_line(project.here("run", pattern))


def test_a_benchmark_that_never_ran_scored_as_pass(project: Project) -> None:
    """3.2: what is judged is the expected set, not what was found: of the session its plan, of the history the registry."""
    lines = project.lines()
    project.rewrite([line for line in lines if line.get("implementation") != "fast"])
    says(judge(project), 5, "toy.fast on one: run: less than planned: 0 of 3 launches left a record")
    project.rewrite(lines)
    project.plugin("toy", SOURCE, entries("fast", "late"))
    says(judge_history(project), 5, f"toy.late on one: run: commit {COMMIT[:8]} has no results of it")


@pytest.mark.parametrize("name", BAD)
def test_a_crashing_binary_passed(project: Project, measured: tuple[Project, Lines], name: str) -> None:
    """3.3: what crashed, hung, raised, returned NaN, nothing or something wrong is 1, with what happened and where."""
    project.plugin("toy", SOURCE, entries("fast", name))
    project.rewrite(of(measured[1], "fast", name))
    said = project.here("judge", "--json", "v.json")
    assert said.code == 1, said
    rows = {row["row"]: row for row in json.loads((project.folder / "v.json").read_text())["rows"]}
    (bad,) = [answer for answer in rows[name]["answers"] if answer["state"] == "fail"]
    with pytest.raises(AssertionError, match=BAD[name]):
        raise AssertionError(bad["message"].replace("\n", " "))
    assert {answer["state"] for answer in rows[name]["answers"] if answer["question"] == "target"} == {"inconclusive"}
    assert rows["fast"]["state"] == "pass"


@pytest.mark.parametrize("name", BAD)
def test_a_crashing_binary_passed_into_the_history(project: Project, measured: tuple[Project, Lines], name: str) -> None:
    """3.3: the same through asv's history, which stores it as failed."""
    project.plugin("toy", SOURCE, entries("fast", name))
    store(project, of(measured[1], "fast", name))
    says(judge_history(project), 1, f"toy.{name} on one: parity: 1 outputs were wrong, or the run failed, at commit {COMMIT[:8]}")


def test_baselines_of_another_machine(project: Project) -> None:
    """3.11: a session of another machine is 4; a history folder of this machine's name with another machine's description is refused."""
    folder = results(project).parent
    described = json.loads((folder / "machine.json").read_text())
    (folder / "machine.json").write_text(json.dumps({**described, "cpu": "another"}))
    assert "machine.json differs from this machine" in one_line(judge_history(project))
    folder.rename(folder.with_name("pdp-11"))
    says(judge_history(project), 5, "no results; commits with results: none")
    project.rewrite([{**line, "machine": "pdp-11"} for line in project.lines()])
    says(judge(project), 4, "records of another machine (pdp-11) cannot be judged on this one")


def test_asv_compare_has_no_exit_code(project: Project) -> None:
    """3.14: a bad point in asv's files turns `harness judge --history` red."""
    body = json.loads(results(project).read_text())
    for series in ("upper", "estimate"):
        values = body["results"][f"toy.peak_bytes.track_{series}"][0]
        values[:] = [1e13 for _ in values]
    results(project).write_text(json.dumps(body))
    says(judge_history(project), 1, "peak_bytes <= 1e+12: found 1e+13")


# Section 4.

NEW_CONTRACT = ("lambda inputs, outputs: 1.0)", "lambda inputs, outputs: 1.0, version=2)")
OTHER = "it was measured under contract version 1 of toy, installed is version 2: cases, outputs or bounds mean something else now; "


def test_results_of_another_contract(project: Project) -> None:
    """4: after a change of the contract an old session is invalid, for every row, until it is measured again."""
    edited(project, *NEW_CONTRACT)
    says(judge(project), 4, f"toy.reference on one, toy.fast on one: run: {OTHER}measure again with `harness run toy`")
    project.rewrite([line | {"contract": 2} if line["type"] == "record" else line for line in project.lines()])
    assert judge(project).code == 0


def test_results_of_other_bounds(project: Project) -> None:
    """4: who tightens a bound or adds an output and forgets the version is told so: the old parity is not the one asked for now."""
    edited(project, '{"y": Identical()}', '{"y": Metric("max_abs_difference", at_most=1)}')
    was = "its output 'y' was compared by 'identical', installed is 'max_abs_difference <= 1': the component changed without a new version"
    says(judge(project), 4, f"toy.reference on one, toy.fast on one: run: {was}; measure again with `harness run toy`")
    edited(project, '{"y": Identical()}', '{"y": Identical(), "z": Identical()}')
    says(judge(project), 4, "its output 'z' was not compared, installed is 'identical'")


def test_history_of_another_contract(project: Project) -> None:
    """4: asv calls another version "not comparable", which its users read as green; here it is invalid."""
    edited(project, *NEW_CONTRACT)
    says(judge_history(project), 4, f"commit {COMMIT[:8]}: {OTHER}measure again with `harness run toy --record`")
    store(project, [line | {"contract": 2} if line["type"] == "record" else line for line in project.lines()])
    assert judge_history(project).code == 0


@pytest.mark.parametrize(("cell", "code"), [(None, 1), (float("nan"), 5), (0.5, 1), (float("inf"), 1)])
def test_a_cell_that_failed_or_was_skipped(project: Project, cell: float | None, code: int) -> None:
    """4: null is failed, NaN was not measured; neither is a pass, nor is any count of wrong outputs but none."""
    body = json.loads(results(project).read_text())
    for name, row in body["results"].items():
        if ".parity." in name or cell is None or math.isnan(cell):
            row[0] = [cell] * len(row[0])
    results(project).write_text(json.dumps(body))
    assert judge_history(project).code == code


def test_no_baseline(project: Project) -> None:
    """4: an empty history is 5 with what to do, and so is a commit without results."""
    said = project.here("judge", "--history", "--results", "baselines", "--commit", "fffffff")
    assert f"no results of commit fffffff; commits with results: {COMMIT[:8]}" in one_line(said, code=5)
    results(project).unlink()
    assert "run `harness run --record` on a clean commit, or `asv run`" in one_line(judge_history(project), code=5)


def again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run give the records of the stored session as its own, at once."""
    _, records = Store(project.records).read(project.lines()[0]["session"])

    def found(plan: Any, *_: Any, **__: Any) -> list[Any]:
        return [dataclasses.replace(record, session=plan.session) for record in records]

    monkeypatch.setattr("harness.measure.run", found)


def test_recorded_and_nothing_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """4: `asv run --python=same` saves nothing and says nothing; `run --record` of uncommitted code is 5 although all passes."""
    (project.folder / "asv.conf.json").write_text('{"results_dir": "baselines", "html_dir": "html", "branches": ["main"]}')
    again(project, monkeypatch)
    assert project.here("run", "toy", "--record").code == 0
    project.rewrite([line | {"dirty": True} if line["type"] == "record" else line for line in project.lines()])
    again(project, monkeypatch)
    says(project.here("run", "toy", "--record"), 5, "uncommitted changes", "--record: nothing of this session became history")
    assert project.here("run", "toy").code == 0


# Section 5.


def pytest_run(project: Project, *arguments: str) -> Said:
    return ended(project.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *arguments))


def test_a_renamed_item_in_pytest(project: Project) -> None:
    """5: a test that was renamed is gone and all is green; here its name is an error of usage, as an id and as a pattern."""
    assert pytest_run(project, "toy::fast::parity[one]").code == 0
    edited(project, 'made("fast", twice)', 'made("swift", twice)', "reference")
    metadata = project.plugins[0] / "toy-1.0.dist-info" / "entry_points.txt"
    metadata.write_text(metadata.read_text() + "toy.swift = toy:FAST\n")
    says(pytest_run(project, "toy::fast::parity[one]"), 4, "no such item: toy::fast::parity[one]")
    says(pytest_run(project, "--harness=toy.fast"), 4, "nothing matches 'toy.fast'")


def test_nothing_but_skips_in_pytest(project: Project) -> None:
    """5: a selection that can only be skipped is no pass, beside tests of the project that pass."""
    (project.folder / "test_own.py").write_text("def test_own():\n    pass\n")
    project.plugin("toy", SOURCE, entries("fast", "gone", "rival"))
    says(pytest_run(project, "test_own.py", "--harness=toy.gone"), 4, "can be measured here", "no_such_package: not installed")
    says(pytest_run(project, "test_own.py", "--harness=toy.rival", "-p", "no:benchmark"), 4, "a peer has no items")


# What has been renamed, removed or added since it was measured.


def test_a_renamed_case(project: Project) -> None:
    """5: its old results answer to no target any more, in either store."""
    edited(project, 'Case("one"', 'Case("uno"')
    says(judge(project), 5, "toy has no case 'one' now, removed or renamed since (cases: uno, hour)")
    says(judge_history(project), 5, f"toy.fast on uno: run: commit {COMMIT[:8]} has no results of it")


def test_a_renamed_implementation(project: Project) -> None:
    """5: the old name's results are not the new one's."""
    project.plugin("toy", SOURCE, entries("late"))
    says(judge(project), 5, "toy.fast is not registered now, uninstalled or renamed since (registered: reference, late)")
    says(judge_history(project), 5, "toy.late on one: run:", "in the history, not in the plan, not judged: toy fast on one")


def test_an_uninstalled_component(project: Project) -> None:
    """2: with the component its targets go, and without targets everything would pass."""
    project.plugin("toy", SOURCE, {})
    assert "tool.harness.targets.toy: unknown component" in one_line(judge(project))
    project.pyproject("")
    says(judge(project), 5, "component toy is not registered now: its contract and targets are unknown; install it again")
    assert judge_history(project).code == 2


def test_a_plugin_that_broke_since(project: Project) -> None:
    """2: code that raises at import was not measured, whatever was stored of it."""
    project.plugin("broken", "raise RuntimeError('out of order')", {"toy.other": "OTHER"})
    try:
        says(judge_history(project), 5, "toy.other: broken: importing broken:OTHER raised RuntimeError: out of order")
    finally:
        (project.plugins[0] / "broken-1.0.dist-info" / "entry_points.txt").unlink()


def test_what_is_registered_beyond_the_session_is_named(project: Project) -> None:
    """2: judging an old session after something was added says what it does not cover."""
    assert "not in this session" not in judge(project).flat
    project.plugin("toy", SOURCE, entries("fast", "late"))
    says(judge(project), 0, "note: registered now, not in this session, not judged: toy.late; `harness run` measures it")


def test_what_is_installed_in_another_version_is_named(project: Project) -> None:
    """2: the session is judged as what it was, and says so."""
    metadata = project.plugins[0] / "toy-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    judged = "what was measured is judged, not what is installed (toy.fast, toy.reference)"
    says(judge(project), 0, f"measured was toy 1.0, installed is toy 1.1: {judged}")


# Records that do not hold what a run would have written.


def test_a_launch_compared_with_nothing(project: Project) -> None:
    """3.12: parity belongs to each launch: one that was compared with nothing has times that nobody checked."""
    for line in (lines := project.lines()):
        if (line.get("implementation"), line.get("launch")) == ("fast", 1):
            line["parity"] = []
    project.rewrite(lines)
    says(judge(project), 3, "a launch was compared with nothing: its times are not judged")


def test_a_stored_nan(project: Project) -> None:
    """2: NaN is below every bound and above every bound; it is no measurement."""
    for line in (lines := project.lines()):
        if (line.get("implementation"), line.get("launch")) == ("fast", 1):
            line["samples"]["peak_bytes"] = float("nan")
    project.rewrite(lines)
    says(judge(project), 2, "damaged record (Expected `int | null`, got `float` - at `$.samples.peak_bytes`)")


def test_no_adversarial_input_was_tried(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """2: fuzzing that tried nothing within its time found nothing, which is 5."""
    edited(project, "lambda inputs, outputs: 1.0)", "lambda inputs, outputs: 1.0, strategy=print)")
    again(project, monkeypatch)
    for examples, code in ((3, 0), (0, 5)):
        monkeypatch.setattr("harness.measure.fuzz", lambda _, row, examples=examples, **__: measure.Fuzzed(row, examples, None))
        assert project.here("run", "toy", "--only", "parity", "--case", "one").code == code


# The table above.


def test_every_complaint_has_an_answer_and_every_answer_exists() -> None:
    """A test that was renamed or removed may not leave a hole here."""
    folder = Path(__file__).parent
    functions: dict[str, set[str]] = {}
    for path in folder.rglob("test_*.py"):
        found = ast.walk(ast.parse(path.read_text()))
        functions[path.stem] = {node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    cited = {name for answers in PROVED.values() for name in answers if answers is not GATE}
    assert not [name for name in cited if name.partition("::")[2] not in functions.get(name.partition("::")[0], set())]
    assert {f"3.{number}" for number in range(1, 15)} <= {complaint.partition(" ")[0] for complaint in PROVED}
    assert all(PROVED.values())
