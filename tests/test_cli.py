"""The command line: every command, every exit code; interruptions, pipes and terminals."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree as ET

import psutil
import pytest
from doors import ADVERSARIAL, Project, ended, one_line

from harness.registry import FRAMEWORKS
from harness.settings import NAMES, expected

QUICK = ("--case", "tiny", "--launches", "1")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, ADVERSARIAL)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A project with one measured session, and what the run that measured it said."""
    made = Project(tmp_path_factory.mktemp("measured"), ADVERSARIAL)
    made.target("sorting", metric="peak_bytes", at_most=1e12)
    made.said = made.here("run", "sorting.honest", "--case", "tiny", "--json", "a/v.json", "--junit", "v.xml", "--markdown", "v.md",
                          "--html", "v.html")  # fmt: skip
    return made


@pytest.fixture
def session(measured):
    """The measured project, restored afterwards."""
    lines = measured.lines()
    yield measured
    measured.rewrite(lines)
    measured.target("sorting", metric="peak_bytes", at_most=1e12)


# What each command does.


def test_without_a_command_the_first_steps_are_shown(project):
    said = project.here()
    assert (said.code, said.out) == (2, "")
    assert "first steps:\n  harness list " in said.err
    assert "explain" in said.err.partition("commands:")[2]


def test_help_says_in_a_line_what_a_command_takes_and_what_each_setting_may_be(project):
    said = project.here("run", "--help")
    assert said.code == 0
    assert said.out.startswith("usage: harness run [PATTERN ...] [options]\n\n")
    assert [name for name in NAMES if expected(name) not in said.flat] == []


def test_list_shows_rows_availability_and_broken_plugins(project):
    said = project.here("list", "sorting")
    assert said.code == 0
    assert re.search(r"honest\[precision=float32\] +optimized +available", said.out)
    assert re.search(r"broken: sorting.raises_at_import \(adversarial-plugin\): .*made to fail at import", said.out)
    assert "case long" not in said.flat
    assert re.search(r"case long +only with --thorough: takes long", project.here("list", "sorting", "--cases").out)


def test_list_of_nothing_is_no_pass(project, monkeypatch):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [])
    assert "nothing is registered" in one_line(project.here("list"), code=5)


def test_list_imports_no_framework(project):
    code = "import sys; from harness.cli import main; main(['list']); print(*{name.partition('.')[0] for name in sys.modules})"
    said = ended(project.python("-c", code, environment={"PYTHONPATH": ""}))
    loaded = set(said.out.splitlines()[-1].split())
    assert "numpy" in loaded
    assert loaded & {*FRAMEWORKS, "rich", "pytest", "asv", "psutil", "soundfile", "threadpoolctl"} == set()


def test_machine_shows_what_is_chosen_and_by_whom(project, monkeypatch):
    monkeypatch.setenv("HARNESS_BATCH", "3")
    said = project.here("machine", "--threads", "2", "--profile", "any")
    assert said.code == 0
    assert re.search(r"profile +any \(chosen by name; any\)", said.out)
    assert re.search(r"setting threads +2 +\(from command line\)", said.out)
    assert re.search(r"setting batch +3 +\(from environment HARNESS_BATCH\)", said.out)
    assert re.search(r"limits +not measured; `harness machine --limits`", said.out)


def test_machine_registers_its_name_with_asv(project):
    said = project.here("machine", "--asv")
    assert said.code == 0
    assert "registered in" in said.flat
    assert json.loads((project.folder.parent / "home" / ".asv-machine.json").read_text())["version"] == 1


def test_run_prints_plan_table_and_next_step(measured):
    assert measured.said.code == 0, measured.said
    plan, _, rest = measured.said.out.partition("speed-up over")
    assert "sorting: reference, honest, honest[precision=float32]; on tiny; 3 launches each" in plan
    assert "1 of 1 targets" in rest
    assert "next: " in rest
    assert rest.rstrip().endswith("exit code 0")


def test_run_writes_the_reports_it_was_asked_for(measured):
    body = json.loads((measured.folder / "a" / "v.json").read_text())
    assert body["exit_code"] == 0
    assert ET.parse(measured.folder / "v.xml").getroot().find(".//testcase[@classname='sorting.tiny']") is not None
    assert "honest" in (measured.folder / "v.md").read_text()
    page = (measured.folder / "v.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Latency of a call" in page
    assert "honest[precision=float32]" in page
    assert "There is no history yet: no asv.conf.json in" in page
    assert list(measured.folder.rglob("*.tmp")) == []


def test_run_stores_the_plan_and_every_launch(measured):
    plan, *records = measured.lines()
    assert plan["type"] == "plan"
    assert len(records) == 3 * len(plan["planned"]) == 9


def test_judge_says_again_what_run_said(measured):
    said = measured.here("judge")
    assert said.code == 0
    assert said.out.splitlines()[-1] == measured.said.out.splitlines()[-1]


def test_claims_shows_the_ledger(measured):
    said = measured.here("claims", "--markdown", "deep/claims.md", "--json", "deep/claims.json")
    assert said.code == 0
    assert "not yet measured" in said.flat
    assert len(json.loads((measured.folder / "deep" / "claims.json").read_text())["claims"]) >= 70
    assert (measured.folder / "deep" / "claims.md").read_text().count("|") > 20


def test_publish_without_a_history_shows_the_session_and_says_so(measured):
    said = measured.here("publish", "-o", "site")
    assert said.code == 0, said
    assert "history none yet: no asv.conf.json" in said.flat
    page = (measured.folder / "site" / "index.html").read_text()
    assert "honest[precision=float32]" in page
    assert 'href="asv/' not in page
    (session,) = measured.records.glob("*.jsonl")
    assert measured.here("publish", session.stem).code == 0
    assert session.stem in (measured.folder / ".harness" / "site" / "index.html").read_text()
    assert "expected a folder to write into, found a file" in one_line(measured.here("publish", "-o", "v.html"))


# Exit codes of verdicts: judging is pure, so one session under changed targets or with changed records shows them.


def test_a_missed_target_is_1(session):
    session.target("sorting", metric="peak_bytes", at_most=1000, implementation="honest")
    said = session.here("judge")
    assert said.code == 1
    origin = r"\(stated: the user; bound set in .*pyproject.toml: tool.harness.targets.sorting: entry 1\)"
    assert re.search(rf"peak_bytes <= 1000: found .* {origin}", said.flat)


def test_an_undecided_target_is_3(session):
    session.target("sorting", metric="device_peak_bytes", at_most=1, implementation="honest")
    said = session.here("judge")
    assert said.code == 3
    assert "not measured: no device memory was measured" in said.flat


def test_records_of_another_machine_are_4_unless_their_profile_is_named(session):
    session.rewrite([{**line, "machine": "pdp-11"} for line in session.lines()])
    said = session.here("judge")
    assert said.code == 4
    assert "records of another machine (pdp-11)" in said.flat
    assert session.here("judge", "--profile", "any").code == 0


def test_a_launch_less_than_planned_is_5(session):
    session.rewrite(session.lines()[:-1])
    said = session.here("judge")
    assert said.code == 5
    assert "2 of 3 launches" in said.flat


def test_a_session_that_is_empty_or_has_no_plan_is_5(session):
    lines = session.lines()
    session.rewrite(lines[:1])
    assert session.here("judge").code == 5
    session.rewrite(lines[1:])
    said = session.here("judge")
    assert said.code == 5
    assert "has no plan" in said.flat


def test_nothing_recorded_is_5(project):
    assert "nothing is recorded" in one_line(project.here("judge"), code=5)
    assert "no results" in one_line(project.here("judge", "--history", "--results", "nowhere"), code=5)


def test_a_wrong_result_is_1_and_the_printed_command_shows_it_again(project):
    said = project.here("run", "sorting.wrong_dtype", *QUICK)
    assert said.code == 1
    (command,) = set(re.findall(r"reproduce: harness (run .*)$", said.out, re.MULTILINE))
    assert re.fullmatch("run sorting.wrong_dtype --only parity --case tiny --seed [012]", command)
    again = project.here(*command.split())
    assert again.code == 1
    assert "dtype float32 vs float64" in again.flat


def test_a_broken_plugin_in_the_selection_is_5(project, monkeypatch):
    monkeypatch.setattr("harness.measure.run", lambda *_, **__: [])
    said = project.here("run", "sorting", *QUICK)
    assert said.code == 5
    assert "sorting.raises_at_import: broken: importing" in said.flat
    assert "made to fail at import" in said.flat


def test_parity_alone_goes_on_to_adversarial_inputs(project):
    said = project.here("run", "sorting.fragile", "--only", "parity", "--case", "tiny")
    assert said.code == 1
    assert re.search(r"sorting.fragile +fuzzed: DIFFERS: .*smallest input kept in", said.flat)
    assert list((project.folder / ".harness" / "failures" / "sorting").glob("fragile-*.json"))


def test_dead_settings_fail_and_live_ones_pass(project):
    said = project.here("run", "sorting.dead", "--only", "settings")
    assert said.code == 1
    assert "DEAD" in said.flat


def test_a_setting_that_an_implementation_does_not_honour_is_not_dead_where_another_does(project):
    said = project.here("run", "sorting.twice", "--only", "settings")
    assert said.code == 5
    assert "honours a setting that must show" in said.err
    assert "DEAD" not in said.out


def test_a_component_without_settings_that_must_show_is_5(project, monkeypatch):
    monkeypatch.setattr("harness.measure.flip_settings", lambda *_, **__: [])
    assert "honours a setting that must show" in project.here("run", "sorting", "--only", "settings").err


# Interruptions, pipes, terminals.


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(processes):
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_an_interrupted_run_keeps_what_it_measured_and_is_no_pass(project):
    process = project.start("run", "sorting.honest", "--case", "tiny", "--launches", "200", "--json", "v.json")
    until(lambda: list(project.records.glob("*.jsonl")) and len(project.lines()) > 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said = ended(process)
    assert said.code == 5, said
    assert "interrupted; judging what was measured" in said.err
    assert "Traceback" not in said.err
    assert "of 200 launches left a record" in said.flat
    assert json.loads((project.folder / "v.json").read_text())["exit_code"] == 5
    assert len(project.lines()) > 3
    until(lambda: not alive(workers))
    assert project.here("judge").code == 5


def test_an_interruption_before_anything_ran_is_5(project, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.measure.run", interrupt)
    said = project.here("run", "sorting.honest", *QUICK)
    assert (said.code, said.err.count("interrupted")) == (5, 1)


def test_a_defect_of_the_harness_is_6_and_no_verdict(project, monkeypatch):
    """Python ends a program that broke with 1, which here says that an implementation failed."""

    def breaks(*_, **__):
        raise IndexError("nobody thought of this")

    monkeypatch.setattr("harness.measure.run", breaks)
    said = project.here("run", "sorting.honest", *QUICK)
    assert said.code == 6
    assert "IndexError: nobody thought of this" in said.err
    assert "a defect of the harness itself, no verdict" in said.err


def test_a_terminated_run_ends_in_order(project):
    """By an exception: what is to be ended (a compiler of the gate, a worker) is ended, not left alone."""
    process = project.start("run", "sorting.honest", "--case", "tiny", "--launches", "200")
    until(lambda: list(project.records.glob("*.jsonl")) and len(project.lines()) > 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    said = ended(process)
    assert (said.code, "Traceback" in said.err) == (143, False), said
    until(lambda: not alive(workers))
    assert project.here("judge").code == 5


def test_a_killed_run_leaves_no_worker_behind(project):
    process = project.start("run", "sorting.honest", "--case", "tiny", "--launches", "200")
    until(lambda: psutil.Process(process.pid).children())
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    until(lambda: not alive(workers))


@pytest.mark.parametrize("command", [("list",), ("judge",), ("machine",), ("claims",)])
def test_a_reader_that_leaves_causes_no_traceback(measured, command):
    reader, writer = os.pipe()
    os.close(reader)
    process = measured.start(*command, stdout=writer)
    os.close(writer)
    said = ended(process)
    assert said.err == ""
    assert said.code in (0, 5)
    assert said.code == (5 if command == ("list",) else 0)


def test_a_run_whose_reader_leaves_still_writes_its_report_and_verdict(project):
    process = project.start("run", "sorting.wrong_dtype", *QUICK, "--json", "v.json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    assert json.loads((project.folder / "v.json").read_text())["exit_code"] == 1


def test_tee_cannot_make_a_failure_pass(project):
    """`harness run | tee log` ends with tee's 0: the harness writes its own files, with its own exit code in them."""
    command = f"{sys.executable} -m harness.cli run sorting.wrong_dtype --case tiny --launches 1 --json v.json | tee log"
    environment = {**os.environ, **project.variables}
    shell = subprocess.run(["bash", "-c", command], cwd=project.folder, env=environment, capture_output=True, check=False)
    assert shell.returncode == 0
    assert json.loads((project.folder / "v.json").read_text())["exit_code"] == 1
    assert project.here("judge").code == 1


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_standard_streams_change_nothing(project, closed):
    process = project.start("run", "sorting.twice", *QUICK, preexec_fn=lambda: [os.close(number) for number in closed])
    said = ended(process)
    assert said.code == 0, said
    assert "Traceback" not in said.err
    assert len(project.lines()) == 3


def test_a_stream_that_takes_ascii_alone_still_gets_the_verdict(measured):
    said = measured.run("judge", environment={"PYTHONIOENCODING": "ascii"})
    assert said.code == 0
    assert said.out.isascii()


def terminal(process_of, columns=80):
    """What a command writes to a terminal of so many columns, without its escape sequences."""
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    process = process_of(terminal)
    os.close(terminal)
    written = b""
    with contextlib.suppress(OSError):
        while part := os.read(controller, 4096):
            written += part
    os.close(controller)
    process.wait(60)
    return process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def test_a_verdict_is_readable_in_80_columns(measured):
    code, text = terminal(lambda tty: measured.start("judge", stdout=tty, environment={"TERM": "xterm"}))
    assert code == 0
    lines = text.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    assert any("honest[precision=float32]" in line for line in lines), "a name is never broken"
    assert any(re.search(r"\d x|\dx", line) for line in lines)
    assert lines[-1].endswith("exit code 0")


def test_without_a_terminal_progress_is_plain_lines(measured):
    assert "\x1b" not in measured.said.err + measured.said.out
    assert re.fullmatch(r"(measuring +\d+%  +\d+ s  sorting tiny, launch \d\n)+", measured.said.err)


def test_on_a_terminal_progress_is_shown_while_it_runs(project):
    options = {"stdout": subprocess.DEVNULL, "environment": {"TERM": "xterm"}}
    code, text = terminal(lambda tty: project.start("run", "sorting.twice", *QUICK, stderr=tty, **options))
    assert code == 0
    assert "measuring" in text
