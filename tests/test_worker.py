"""The worker and its parent side: one command at a time, whatever a plugin does."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from harness.measure.process import WorkerFailed, WorkerProcess, pins

ADVERSARIAL = Path(__file__).parent / "adversarial"
PATHS = [str(ADVERSARIAL), *sys.path]


def numbers(seed):
    return {"x": np.random.default_rng(seed).standard_normal(20_000)}


@pytest.fixture
def started():
    """A function (implementation, settings) -> loaded worker with three inputs."""
    workers = []

    def start(implementation, settings=None, **options):
        worker = WorkerProcess("sorting.it", pins(1, {}), paths=PATHS)
        workers.append(worker)
        worker.ask("prepare", inputs={str(seed): numbers(seed) for seed in range(3)}, seed=1)
        worker.ask("load", implementation=f"adversarial_plugin.{implementation}", settings=settings or {}, **options)
        return worker

    yield start
    for worker in workers:
        worker.kill()


def until(condition, seconds=10.0):
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def gone(pid):
    return until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_the_first_call_gives_its_outputs_times_and_memory(started):
    answer = started("honest:REFERENCE").ask("cold", seed=1)
    assert np.array_equal(answer["outputs"]["y"], np.sort(numbers(1)["x"]))
    assert answer["wall_ns"] > 0
    assert answer["peak_bytes"] > 10 << 20


def test_load_names_every_file_of_the_package_that_it_loaded(tmp_path):
    (tmp_path / "really").mkdir()
    (tmp_path / "seen").symlink_to(tmp_path / "really")
    package = tmp_path / "really" / "acme"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inside.py").write_text("def run(inputs):\n    return inputs\n")
    (package / "unused.py").write_text("")
    (package / "first.py").write_text(
        "import contextlib\nfrom harness.component import Implementation\n"
        "@contextlib.contextmanager\ndef load(settings):\n    from acme.inside import run\n    yield run\n"
        "IT = Implementation('sorting', 'it', 'optimized', load)\n"
    )
    with WorkerProcess("sorting.it", pins(1, {}), paths=[str(tmp_path / "seen"), *sys.path]) as worker:
        worker.ask("prepare", inputs={"0": numbers(0)}, seed=1)
        answer = worker.ask("load", implementation="acme.first:IT", settings={})
    assert answer["files"] == [str((package / name).resolve()) for name in ("__init__.py", "first.py", "inside.py")]


def test_an_interpreter_of_its_own_gets_no_python_variables_of_the_caller(tmp_path, monkeypatch):
    spy = tmp_path / "spy"
    spy.write_text('#!/bin/sh\nenv | grep ^PYTHON | sort > "$0.seen"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    worker = WorkerProcess("sorting.it", {"PYTHONHASHSEED": "0"}, paths=["/only/here"], python=str(spy))
    with pytest.raises(WorkerFailed, match="crashed"):
        worker.ask("state", 10.0)
    seen = (tmp_path / "spy.seen").read_text().split()
    assert seen == ["PYTHONFAULTHANDLER=1", "PYTHONHASHSEED=0", "PYTHONPATH=/only/here"]


def test_a_block_keeps_one_output_and_its_digest_is_that_of_the_seed(started):
    worker = started("honest:REFERENCE")
    digests = {}
    for _ in range(12):
        timing = worker.ask("block", calls=4)
        assert 0 < timing["cpu_ns"] < 10 * timing["wall_ns"]
        checked = worker.ask("check", inputs=True)
        kept = worker.ask("kept")
        assert kept["seed"] == checked["seed"]
        assert np.array_equal(kept["outputs"]["y"], np.sort(numbers(checked["seed"])["x"]))
        digests.setdefault(checked["seed"], set()).add(checked["digest"])
        assert checked["mutated"] == ""
    assert set(digests) == {0, 1, 2}
    assert all(len(found) == 1 for found in digests.values())


def test_single_calls_have_a_stamp_each_and_chunks_theirs(started):
    plain = started("honest:REFERENCE").ask("calls", count=20, seconds=5.0)
    assert plain["calls_ns"].shape == (20,)
    assert (plain["calls_ns"] > 0).all()
    assert plain["chunks_ns"] == []
    chunked = started("honest:STREAMS").ask("calls", count=5, seconds=5.0)
    assert [len(call) for call in chunked["chunks_ns"]] == [4] * 5
    assert chunked["chunk_rows"] == [[5000] * 4] * 5
    limited = started("honest:STREAMS").ask("calls", count=1000, seconds=0.05)
    assert 1 <= len(limited["calls_ns"]) < 1000, "the seconds end it, long before the count does"


def test_the_chunks_of_a_block_of_one_call_are_stamped(started):
    worker = started("honest:STREAMS")
    alone, several = worker.ask("block", calls=1), worker.ask("block", calls=2)
    assert alone["chunk_rows"] == [[5000] * 4]
    assert [len(call) for call in alone["chunks_ns"]] == [4]
    assert alone["chunks_ns"][0][-1] <= alone["wall_ns"]
    assert several["chunks_ns"] == several["chunk_rows"] == []
    assert started("honest:REFERENCE").ask("block", calls=1)["chunks_ns"] == []


def test_calls_can_be_left_at_their_first_chunk(started):
    worker = started("honest:STREAMS_SLOWLY")
    firsts = worker.ask("first_chunks", count=5)["firsts_ns"]
    assert len(firsts) == 5
    assert min(firsts) >= 5e6
    assert min(firsts) < worker.ask("calls", count=1, seconds=1.0)["chunks_ns"][0][-1]


def test_the_worker_says_what_really_runs(started):
    state = started("honest:REFERENCE").ask("state")
    assert state["python"] == sys.version.split()[0]
    assert state["numpy"] == np.__version__
    assert all(pool["threads"] == 1 for pool in state["pools"])


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_affinity_is_set_before_load(started):
    cpu = min(os.sched_getaffinity(0))
    assert started("honest:REFERENCE", affinity=[cpu]).ask("state")["affinity"] == [cpu]


def test_a_memory_limit_turns_into_out_of_memory(started):
    worker = started("honest:TURNS", settings={"hop": 2.0}, memory_limit=400 << 20)
    with pytest.raises(WorkerFailed, match="a call: MemoryError") as failed:
        worker.ask("outputs", seeds=[0] * 20)
    assert failed.value.outcome.kind == "out of memory"


def test_an_exception_is_an_answer_and_the_worker_lives_on(started):
    worker = started("crashes:RAISES")
    for _ in range(2):
        with pytest.raises(WorkerFailed, match="the first call: ValueError: x: expected sorted, found chaos"):
            worker.ask("cold", seed=0)
    assert worker.ask("run", inputs={"x": np.zeros(3)})["refused"] == "ValueError: x: expected sorted, found chaos"


def test_what_a_plugin_prints_is_kept_apart_and_bounded(started):
    worker = started("crashes:PRINTS")
    for _ in range(20):
        assert worker.ask("block", calls=5)["wall_ns"] > 1
    worker.ask("state")
    assert "garbage" in worker.printed
    assert len(worker.printed) <= 64 << 10


def test_a_worker_runs_only_while_it_is_asked(started):
    worker = started("cheats:HIDES")
    worker.ask("calls", count=3, seconds=1.0)
    if sys.platform == "linux":
        assert until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
    assert worker.ask("state")["numpy"] == np.__version__


def test_a_hang_ends_with_its_patience_and_names_the_place(started):
    worker = started("crashes:IGNORES_SIGTERM")
    begin = time.monotonic()
    with pytest.raises(WorkerFailed, match=r"sorting\.it: a timed call did not return within 0\.5 s and was killed") as failed:
        worker.ask("block", patience=0.5, calls=1)
    assert failed.value.outcome.kind == "hung"
    assert time.monotonic() - begin < 5
    assert gone(worker.pid)


def test_fresh_inputs_are_timed_beside_known_ones_and_then_forgotten(started):
    worker = started("cheats:REPLAYS")
    worker.ask("outputs", seeds=[0, 1, 2])
    answer = worker.ask("fresh", inputs=[numbers(seed) for seed in (101, 102)])
    assert max(answer["known_cpu_ns"]) < min(answer["fresh_cpu_ns"])  # on the wall a known one may have had to wait for a CPU
    assert min(answer["known_wall_ns"]) < min(answer["fresh_wall_ns"])
    for _ in range(10):
        worker.ask("block", calls=2)
        assert worker.ask("check", inputs=True)["seed"] in (0, 1, 2)


def test_a_worker_dies_with_a_parent_that_is_killed(tmp_path):
    code = """
        import sys
        from harness.measure.process import WorkerProcess, pins
        worker = WorkerProcess("sorting.it", pins(1, {}))
        worker.ask("prepare", inputs={"0": {"x": 1.0}}, seed=0)
        worker.ask("load", implementation="adversarial_plugin.crashes:IGNORES_SIGTERM", settings={})
        worker.tell("block", calls=1)
        sys.stdout.write(f"{worker.pid}\\n")
        sys.stdout.flush()
        worker.answer()
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment)
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_threads_are_pinned_unless_the_environment_says_otherwise():
    assert pins(3, {})["OPENBLAS_NUM_THREADS"] == "3"
    assert pins(3, {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "SkylakeX"})["OMP_NUM_THREADS"] == "1"
    assert int(pins(None, {})["MKL_NUM_THREADS"]) == len(psutil.Process().cpu_affinity())
    assert pins(None, {})["PYTHONHASHSEED"] == "0"


def test_an_injected_slow_down_shows_in_every_time_and_in_bytes(started):
    plain = started("honest:REFERENCE")
    slowed = started("honest:REFERENCE", slowdown=dict.fromkeys(("cold", "block", "calls", "bytes"), (1.0, 0.0)))
    first, second = (worker.ask("cold", seed=1) for worker in (plain, slowed))
    assert second["peak_bytes"] > 1.8 * first["peak_bytes"]
    assert np.array_equal(first["outputs"]["y"], second["outputs"]["y"])

    def cheapest(worker, reading):
        return min(worker.ask("block", calls=4)[reading] for _ in range(40))

    assert 1.6 < cheapest(slowed, "wall_ns") / cheapest(plain, "wall_ns") < 4.0
    singles = [worker.ask("calls", count=200, seconds=2.0)["calls_ns"].min() for worker in (plain, slowed)]
    assert 1.5 < singles[1] / singles[0] < 4.0


def test_calls_that_settle_end_with_a_usual_one_or_after_the_time_given(started):
    worker = started("honest:REFERENCE")
    assert worker.ask("settle", seconds=0.0) == {"calls": 0}
    most = max(worker.ask("settle", seconds=5.0)["calls"] for _ in range(20))
    assert 1 <= most < 500  # a second of sorting


def test_a_process_that_is_to_stay_runs_on_until_its_next_answer(started):
    worker = started("honest:REFERENCE")
    assert until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
    worker.ask("settle", seconds=0.001, stay=True)
    assert psutil.Process(worker.pid).status() != psutil.STATUS_STOPPED
    worker.ask("block", calls=1)
    assert until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)


def test_stamps_divide_a_block_into_laps_of_equally_many_calls(started):
    worker = started("honest:REFERENCE")
    answer = worker.ask("block", calls=23, laps=5)
    assert answer["lap_calls"] == 5
    assert len(answer["laps_ns"]) == 4
    assert answer["laps_ns"][0] > 0
    assert (np.diff(answer["laps_ns"]) > 0).all()
    assert answer["laps_ns"][-1] < answer["wall_ns"]
    assert len(worker.ask("block", calls=3)["laps_ns"]) == 1


def test_an_injected_slow_down_is_spread_over_the_laps_of_a_block(started):
    slowed = started("honest:REFERENCE", slowdown={"block": (3.0, 0.0)})
    answer = slowed.ask("block", calls=8, laps=4)
    plain = started("honest:REFERENCE")

    def shortest(worker):
        return min(np.diff(worker.ask("block", calls=8, laps=4)["laps_ns"], prepend=0).min() for _ in range(20))

    assert answer["laps_ns"][-1] > 0.9 * answer["wall_ns"]  # what the laps have not added, the end adds
    assert 2.5 < shortest(slowed) / shortest(plain) < 8.0


def test_workers_given_the_same_draw_make_the_same_calls(started):
    def seeds(worker):
        found = []
        for draw in range(12):
            worker.ask("block", calls=3, draw=draw)
            found.append(worker.ask("check", inputs=False)["seed"])
        return found

    one, other = seeds(started("honest:REFERENCE")), seeds(started("honest:REFERENCE"))
    assert one == other
    assert len(set(one)) > 1


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_a_process_without_standard_streams_talks_to_its_worker(closed):
    """The pipes would get the numbers of the streams, which a worker is given anew."""
    code = f"""
import os
for number in {closed}:
    os.close(number)
import adversarial_plugin
from harness.measure.process import WorkerProcess
with WorkerProcess("sorting.it", {{}}) as worker:
    worker.ask("prepare", 30, inputs={{"0": {{"x": __import__("numpy").ones(3)}}}}, seed=1)
    worker.ask("load", 30, implementation="adversarial_plugin.crashes:PRINTS", settings={{}})
    same = worker.ask("cold", 30, seed=0)["outputs"]["y"].tolist() == [1, 1, 1]
    os._exit(77 if same and worker.printed else 1)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=False).returncode == 77


def test_large_inputs_are_sent_as_fast_as_they_are_read(started, monkeypatch):
    # Whoever only looks now and then whether the pipe has room would wait for the end of patience here.
    worker = started("honest:REFERENCE")
    monkeypatch.setattr("harness.measure.process.WAKE_SECONDS", 60.0)
    worker.ask("prepare", 30.0, inputs={"0": {"x": np.zeros(4_000_000)}}, seed=1)
