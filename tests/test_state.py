import os
import re
import subprocess
import sys
import time

import pytest

from harness.machine import state as module
from harness.machine.state import Blas, Counters, State, between, blas, boost, counters, cpu_times, pressure_totals, state, tree_ticks

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def totals(**changes: object) -> Counters:
    return Counters(**{"at": 0.0, "waited": 0.0, "busy": 0.0, "stolen": 0.0, "own": 0.0, "throttles": 0, **changes})


def test_pressure_and_times_are_read_from_their_text() -> None:
    text = "some avg10=12.34 avg60=0.50 avg300=0.18 total=3009420\nfull avg10=0.00 avg60=0 avg300=0 total=0"
    assert pressure_totals(text) == (12.34, 3.00942)
    assert pressure_totals("") is None
    assert cpu_times("cpu  100 10 50 9000 7 3 2 5 40 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n") == (165, 5)
    assert cpu_times("intr 3") is None


def test_ticks_of_a_process_tree() -> None:
    def stat(pid: int, parent: int, name: str, *ticks: int) -> str:
        return f"{pid} ({name}) S {parent} 0 0 0 0 0 0 0 0 0 {' '.join(map(str, ticks))} 20 0 1 0 100 0 0"

    # A name may hold parentheses and spaces; 4 is a grandchild, 5 belongs to another process, 6 is an orphan.
    stats = [stat(2, 1, "python", 1, 2, 3, 4), stat(3, 2, "a) S 9 (b", 10, 20, 0, 0), stat(4, 3, "c", 100, 0, 0, 0)]
    stats += [stat(5, 1, "other", 7777, 0, 0, 0), stat(6, 99, "orphan", 5555, 0, 0, 0), "garbage", ""]
    assert tree_ticks(stats, 2) == 10 + 30 + 100


def test_shares_of_the_time_between_two_counters() -> None:
    found = between(State(cpus=4), totals(), totals(waited=0.5, busy=6.0, stolen=0.4, own=2.0, throttles=3), 2.0, 4)
    assert found.pressure_percent == pytest.approx(25)
    assert found.steal_percent == pytest.approx(5)
    assert found.others_cpus == pytest.approx(2)
    assert (found.throttles, found.throttled) == (3, True)


def test_what_a_system_does_not_tell_stays_unknown() -> None:
    found = between(State(cpus=4), totals(waited=None, busy=None, stolen=None, throttles=None), totals(waited=None), 1.0, 4)
    assert found.to_dict() == {"cpus": 4, "throttled": False}
    assert found.busy_reason() is None


@pytest.mark.parametrize(
    ("disturbed", "reason"),
    [
        ({"pressure_percent": 23.0}, r"CPU pressure 23 % \(quiet: at most 10 %\)"),
        ({"steal_percent": 3.5}, r"the hypervisor took 3.5 %"),
        ({"others_cpus": 0.43}, r"other processes kept 0.43 of 4 CPUs busy \(quiet: at most 0.4\)"),
        ({"others_cpus": 1.3}, r"other processes kept 1.3 of 4 CPUs busy \(quiet: at most 0.4\)"),
        ({"throttled": True}, "slowed down for heat"),
    ],
)
def test_each_disturbance_is_named(disturbed: dict, reason: str) -> None:
    assert re.search(reason, State(cpus=4, **disturbed).busy_reason() or "")
    assert State(cpus=4, pressure_percent=9.0, steal_percent=1.0, others_cpus=0.2).busy_reason() is None
    assert State(cpus=4, pressure_percent=90.0, others_cpus=0.2).busy_reason() is None, "our own workers waited for each other"
    assert "kept 0.9 of 4 CPUs busy" in (State(cpus=4, pressure_percent=1.0, others_cpus=0.9).busy_reason() or "")


def test_several_disturbances_are_all_named() -> None:
    assert (State(cpus=2, pressure_percent=50.0, throttled=True).busy_reason() or "").count(";") == 1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({"intel_pstate/no_turbo": "1"}, False),
        ({"intel_pstate/no_turbo": "0"}, True),
        ({}, None),
    ],
)
def test_boost(files: dict[str, str], expected: bool | None) -> None:
    assert boost(lambda path: files.get(path.removeprefix("/sys/devices/system/cpu/"), "")) is expected


@linux
def test_the_work_of_others_is_seen_and_our_childrens_is_ours() -> None:
    """A busy child is ours; the same child is a stranger when it does not descend from the process that asks."""
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first, end = counters(), time.monotonic() + 30
        while counters().own - first.own <= 0.1:
            assert time.monotonic() < end, "a busy child took no processor time of ours"
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    stranger = tree_ticks(module._processes(), child.pid)
    assert stranger == 0


@linux
def test_state_of_now() -> None:
    first = counters()
    time.sleep(0.05)
    found = state(first)
    assert found.watched_seconds is not None
    assert 0.05 <= found.watched_seconds < 5
    assert found.load_1 is not None
    assert found.others_cpus is not None
    assert found.others_cpus >= 0
    assert state().others_cpus is None


def test_blas_says_library_threads_and_kernel() -> None:
    code = "import numpy; from harness.machine.state import blas; print(blas())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    )
    assert "threads=1" in done.stdout
    assert all(isinstance(library, Blas) and library.threads >= 1 for library in blas())
