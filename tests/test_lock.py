"""One measurement at a time: who waits, who is refused, and what becomes of the lock when its holder is killed."""

import subprocess
import sys
import time

import pytest
from doors import ADVERSARIAL, Project, ended, one_line

from harness import lock

HOLD = """
import sys, time
from harness import lock
with lock.measuring(wait={wait}, tell=lambda text: print(text, flush=True)):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def holder(wait=False):
    process = subprocess.Popen([sys.executable, "-c", HOLD.format(wait=wait)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_a_second_one_is_refused_and_told_who_measures(data):
    first, said = holder()
    assert said == "held"
    refused = rf"process {first.pid} \(-c, since \d{{4}}-.*\) measures on this machine; wait for its end"
    with pytest.raises(lock.Busy, match=refused), lock.measuring():
        pass
    first.communicate("\n")
    with lock.measuring():
        pass


@pytest.mark.parametrize("end", ["killed", "ended"])
def test_who_waits_goes_on_when_the_holder_is_gone(data, end):
    first, _ = holder()
    second, said = holder(wait=True)
    assert said.startswith(f"waiting for process {first.pid} (")
    if end == "killed":
        first.kill()
    first.communicate("\n" if end == "ended" else None)
    assert second.stdout.readline().strip() == "held"
    assert second.communicate("\n")[0] == ""


def test_a_damaged_note_is_no_reason_to_go_on(data):
    first, _ = holder()
    for note in ("", "[1", "{}", '{"pid": "x", "command": "", "since": ""}', "[" * 4000):
        (data / lock.NAME).write_text(note)
        with pytest.raises(lock.Busy, match=r"^another process measures"), lock.measuring():
            pass
    first.communicate("\n")


def test_without_a_place_for_it_there_is_no_lock_and_that_is_said(data):
    data.write_text("a file where the folder should be")
    said = []
    with lock.measuring(tell=said.append):
        pass
    assert len(said) == 1
    assert "nothing keeps a second run from measuring beside this one" in said[0]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, ADVERSARIAL)


def test_only_what_takes_times_needs_the_machine_alone(project):
    quick = ("--case", "tiny")
    first = project.start("run", "sorting.by_children", *quick, "--launches", "200")
    end = time.monotonic() + 60
    while not list(project.records.glob("*.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.02)
    for refused in ("run sorting.honest --case tiny", "run --resume", "machine --limits", "run sorting --only settings"):
        line = one_line(project.here(*refused.split()))
        assert f"process {first.pid} (" in line
        assert "sorting.by_children --case tiny --launches 200, since" in line
    assert project.here("run", "sorting.twice", *quick, "--only", "parity").code == 0
    assert project.here("list").code == 0
    assert project.here("judge").code in (0, 5)
    first.kill()
    ended(first)
    # Its worker had forked: no descendant holds what the kernel took from the killed harness.
    assert project.here("run", "sorting.twice", *quick, "--launches", "1").code == 0
