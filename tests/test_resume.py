"""A harness that is killed at any point: no ended launch is lost, the session goes on, and its verdict is that of an uninterrupted one."""

import json
import os
import random
import signal
import time

import psutil
import pytest
import synthetic
from doors import ADVERSARIAL, TOY, TOY_ENTRIES, Project, ended, one_line
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.resume import complete, launches_of
from harness.store import Store
from harness.verdict import exit_code, judge

WITNESS = """
import os, sys
from harness import cli, store
append = store.Store.append
def told(self, item):
    append(self, item)
    os.write(1, f"{type(item).__name__} {getattr(item, 'row', '')} {getattr(item, 'launch', '')}\\n".encode())
store.Store.append = told
sys.exit(cli.main(sys.argv[1:]))
"""
"""The harness, which says on standard output what it has appended."""


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, ADVERSARIAL)


def appended(out):
    return [line for line in out.splitlines() if line.startswith(("Plan ", "Record "))]


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def family(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def size(project):
    return sum(path.stat().st_size for path in project.records.glob("*.jsonl"))


def killed(project, arguments, seconds, *, measuring):
    """What a run said that was killed so many seconds after its start, or after its first record; none of its workers is left."""
    before, process = size(project), project.python("-c", WITNESS, *arguments)
    while measuring and process.poll() is None and size(project) == before:
        time.sleep(0.01)
    end, workers = time.monotonic() + seconds, []
    while process.poll() is None and time.monotonic() < end:
        workers = family(process.pid) or workers
        time.sleep(0.01)
    workers = family(process.pid) or workers
    process.send_signal(signal.SIGKILL)
    said = ended(process)
    patience = time.monotonic() + 10
    while alive(workers):
        assert time.monotonic() < patience, "a worker outlived the harness"
        time.sleep(0.02)
    return said


def kill_until_done(project, arguments, kills, rng):
    """Kill a session so many times, then let it end. What was appended once is there ever after. Returns what the end said."""
    told, whole = [], b""
    for number in range(kills):
        resumed = ("run", "--resume") if whole else ("run", *arguments)
        told += appended(killed(project, resumed, rng.uniform(0.0, 1.5), measuring=number % 4 != 3).out)
        files = list(project.records.glob("*.jsonl"))
        assert len(files) <= 1, "a resumed run goes on with its session"
        if files:
            found = files[0].read_bytes()
            assert found.startswith(whole)
            whole = found[: found.rfind(b"\n") + 1]
            assert whole.count(b"\n") >= len(told)
            assert Store(project.records).read(files[0].stem)[0] is not None or not whole
    assert told, "every kill came before anything was measured"
    return project.run("run", "--resume" if whole else arguments[0], *(() if whole else arguments[1:]), "--json", "v.json")


def outcome(project, said):
    """The verdict without its figures: what every row answers."""
    body = json.loads((project.folder / "v.json").read_text())
    return said.code, body["exit_code"], [
        (row["component"], row["row"], row["case"], [(a["question"], a["state"]) for a in row["answers"]]) for row in body["rows"]
    ]  # fmt: skip


def prepared(folder):
    """A project with a target that no busy machine makes inconclusive."""
    made = Project(folder, ADVERSARIAL)
    made.target("sorting", metric="peak_bytes", at_most=1e12)
    return made


def check_complete(project):
    plan, records = Store(project.records).read(next(project.records.glob("*.jsonl")).stem)
    assert complete(plan, records)
    assert len({(record.row, record.case, record.launch) for record in records}) == len(records)


def test_a_killed_session_loses_nothing_and_passes_in_the_end(tmp_path):
    project = prepared(tmp_path)
    said = kill_until_done(project, ("sorting.honest", "--case", "tiny", "--launches", "4"), 2, random.Random(1))
    code, judged, rows = outcome(project, said)
    assert code == judged == 0
    assert [states for *_, states in rows] == [
        [("run", "pass"), ("parity", "pass"), ("target", state)] for state in ("no target", "pass", "no target")
    ]
    check_complete(project)


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_forty_kills_change_nothing_in_the_verdict(tmp_path):
    arguments = ("sorting.honest", "--case", "tiny", "--case", "small", "--launches", "30")
    project, calm = prepared(tmp_path / "killed"), prepared(tmp_path / "calm")
    said = kill_until_done(project, arguments, 40, random.Random(2))
    uninterrupted = ended(calm.start("run", *arguments, "--json", "v.json"), seconds=600)
    assert outcome(project, said) == outcome(calm, uninterrupted)
    assert said.code == 0
    check_complete(project)


# Every point between two appends, and every byte of a line: without processes.


def session(launches=3, cases=("one", "two")):
    rows = ("reference", "native", "torch")
    records = [synthetic.record(row, launch=launch, case=case) for case in cases for launch in range(launches) for row in rows]
    return synthetic.plan(records, launches=launches), records


def finish(plan, records):
    """What a resumed session adds: whole launches of each case under the next numbers."""
    added = []
    for case in dict.fromkeys(row.case for row in plan.planned):
        rows = [row for row in plan.planned if row.case == case]
        have = launches_of(rows, records)
        for number in range(have.next, have.next + rows[0].launches - have.whole):
            added += [synthetic.record(row.implementation, launch=number, case=case) for row in rows]
    return added


@pytest.mark.parametrize("kept", range(19))
def test_wherever_a_session_stops_it_is_completed_to_the_same_verdict(kept):
    plan, records = session()
    before = records[:kept]
    after = [*before, *finish(plan, before)]
    assert complete(plan, after)
    assert not finish(plan, after)
    assert len(after) <= len(records) + 2, "only a launch that was torn apart is measured twice"
    verdicts = judge(plan, after, (), (), machine=synthetic.MACHINE)
    assert exit_code(verdicts) == 0
    assert not any(row.missing for row in verdicts.rows)
    assert {answer.state for row in verdicts.rows for answer in row.of("run")} == {"pass"}


@settings(deadline=None, max_examples=30)
@given(places=st.lists(st.integers(0, 6), max_size=6))
def test_however_often_it_stops(places):
    plan, _ = session()
    have = []
    for place in places:
        have += finish(plan, have)[:place]
    have += finish(plan, have)
    assert complete(plan, have)
    assert exit_code(judge(plan, have, (), (), machine=synthetic.MACHINE)) == 0


def test_an_unfinished_line_is_cut_off_before_the_next_is_written(tmp_path):
    plan, records = session(1, ("one",))
    store = Store(tmp_path)
    store.append(plan)
    store.append(records[0])
    path = tmp_path / f"{plan.session}.jsonl"
    whole = path.read_bytes()
    store.append(records[1])
    for size in range(len(whole), path.stat().st_size, 97):
        os.truncate(path, size)
        store.mend(plan.session)
        assert path.read_bytes() == whole
        store.append(records[1])
        assert store.read(plan.session) == (plan, records[:2])


# What may not be resumed.


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("begun"))
    project.plugin("toy", TOY, TOY_ENTRIES)
    assert project.here("run", "toy.fast", "--launches", "2").code == 0
    return project


@pytest.fixture
def begun(measured):
    """A session of which the last launch is missing."""
    source = measured.plugins[0] / "toy" / "__init__.py"
    lines, code, variables = measured.lines(), source.read_text(), dict(measured.variables)
    measured.rewrite(lines[:3])
    yield measured
    measured.rewrite(lines)
    source.write_text(code)
    measured.variables = variables


def test_a_resumed_session_measures_what_is_left_alone(begun):
    before = begun.lines()
    said = begun.here("run", "--resume", before[0]["session"])
    assert said.code == 0, said
    after = begun.lines()
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    again = begun.here("run", "--resume")
    assert again.code == 0
    assert "is complete: nothing is left to measure" in again.err
    assert begun.lines() == after


def test_changed_code_is_refused_and_named(begun):
    source = begun.plugins[0] / "toy" / "__init__.py"
    source.write_text(source.read_text() + "\n# changed\n")
    line = one_line(begun.here("run", "--resume"))
    assert "cannot be resumed: since it began these changed: toy.fast (code " in line
    assert "toy.reference" in line
    assert "harness (" not in line


def test_other_settings_are_refused_and_named(begun):
    begun.variables["HARNESS_HOP"] = "7"
    assert "setting hop (nothing, now 7.0)" in one_line(begun.here("run", "--resume"))


def changed(begun, **fields):
    plan, *records = begun.lines()
    begun.rewrite([{**plan, **fields}, *records])


def test_another_machine_and_a_session_without_origin_are_refused(begun):
    changed(begun, machine="elsewhere")
    assert "it was measured on elsewhere, this machine is" in one_line(begun.here("run", "--resume"))
    changed(begun, origin=None)
    assert "it was not begun by a `harness run` that takes times" in one_line(begun.here("run", "--resume"))
    begun.rewrite(begun.lines()[1:])
    assert "it has no plan; measure anew" in one_line(begun.here("run", "--resume"))


def test_a_plan_that_names_another_file_is_refused(begun):
    changed(begun, session="../../escaped")
    assert "its plan calls it '../../escaped'" in one_line(begun.here("run", "--resume"))
    assert not list(begun.folder.parent.rglob("escaped*"))


def test_nothing_to_resume_is_5(project):
    assert "nothing is recorded" in one_line(project.here("run", "--resume"), code=5)


@pytest.mark.parametrize(
    "option", ["--launches 3", "--case one", "--thorough", "--only parity", "--threads 1", "--profile any", "--sweep threads=1,2"]
)
def test_what_the_plan_says_already_is_refused(project, option):
    assert "means nothing with --resume" in one_line(project.here("run", "--resume", "x", *option.split()))


def test_an_unknown_session_is_refused(begun):
    assert "no session 'x'" in one_line(begun.here("run", "--resume", "x"))
