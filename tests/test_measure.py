"""Sessions: plans, interleaving, noise, interruption, and what becomes of rows that cheat, crash or hang."""

import dataclasses
import importlib.metadata
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from harness import record, registry
from harness.component import Variant
from harness.gate import effort as gate_effort
from harness.measure import THOROUGH, Effort, calls, cpus, flip_settings, fuzz, plan, records, run, slow
from harness.measure import rounds as taken
from harness.measure.calibration import Calibration
from harness.measure.calls import FIRST_CHUNKS
from harness.measure.effort import DEFAULT
from harness.measure.lane import Lane, reproduce
from harness.measure.process import WorkerProcess
from harness.measure.reference import References
from harness.measure.workload import Workload
from harness.settings import ConfigurationError, Settings
from harness.stats import calls_needed
from harness.store import Store, to_json

ADVERSARIAL = Path(__file__).parent / "adversarial"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The registry with the adversarial plugin in it, as if it were installed; reference outputs are cached in a fresh folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ADVERSARIAL)
        patch.setenv("HARNESS_CACHE_FOLDER", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("HARNESS_DATA", str(tmp_path_factory.mktemp("data")))
        yield registry.discover()
    for name in [name for name in sys.modules if name.startswith("adversarial_plugin")]:
        del sys.modules[name]


def planned(installed, *names, settings=None, cases=("small",), **options):
    options = {"machine": "here", "profile": "any", **options}
    return plan(installed, settings or Settings(), [f"sorting.{name}" for name in names], cases=cases, **options)


def measured(installed, *names, seconds=2.0, launches=1, settings=None, cases=("small",), **options):
    """Records by row of one short session."""
    made = planned(installed, *names, launches=launches, settings=settings, cases=cases)
    return {item.row: item for item in run(made, installed, seconds=seconds, settings=settings, **options)}


def test_a_session_measures_every_row_of_the_plan(installed, tmp_path):
    made = planned(installed, "honest", "twice", launches=2)
    store = Store(tmp_path)
    found = run(made, installed, seconds=4.0, store=store)
    assert {(item.row, item.launch) for item in found} == {(row.row, launch) for row in made.planned for launch in range(2)}
    assert [item.outcome.kind for item in found] == ["measured"] * len(found)
    for item in found:
        assert all(result.passed for result in item.parity)
        assert item.parity
        assert len({block.round for block in item.samples.blocks}) >= 3
        assert item.samples.calls
        assert item.samples.load.wall_seconds > 0
        assert item.samples.cold.wall_seconds > 0
        assert 0 < item.samples.base_bytes <= item.samples.loaded_bytes <= item.samples.peak_bytes
        assert item.samples.produced == 20_000
        assert item.build.file.endswith("honest.py")
        assert item.build.distribution == "adversarial-plugin"
        assert item.environment["OMP_NUM_THREADS"]
        assert "openblas" in item.environment["pools"] or item.environment["pools"] == ""
    by_row = {item.row: item for item in found if item.launch == 1}
    assert by_row["honest[precision=float32]"].exact is False
    assert by_row["honest[precision=float32]"].parity[0].kind == "approximate"
    cpu = {row: min(b.cpu_seconds / b.calls for b in item.samples.blocks) for row, item in by_row.items()}
    assert cpu["twice"] > 1.3 * cpu["reference"]
    assert store.read(made.session) == (made, found)


def test_unknown_case_is_a_configuration_error(installed):
    with pytest.raises(ConfigurationError, match=r"no case 'gigantic'; known: long, small, tiny"):
        planned(installed, "honest", cases=("gigantic",))


# What becomes of implementations that cheat or fail: one session with all of them, none of which may disturb another.

BAD = {
    "replays": ("untrusted", "it replays results"),
    "mutates": ("untrusted", "a call changed the inputs"),
    "patches_clock": ("untrusted", "its clock reports"),
    "nan": ("not finite", r"output 'y' is NaN at \[7\]; reproduce: harness run sorting.nan --only parity --case small --seed"),
    "empty": ("empty output", r"output 'y' is empty, expected shape \(20000,\)"),
    "deletes_output": ("empty output", "is empty"),
    "objects": ("raised", "output 'y': expected numbers, found dtype object"),
    "huge": ("raised", "expected outputs of at most"),
    "returns_none": ("raised", "run\\(\\) must return named outputs"),
    "load_raises": ("raised", "load\\(\\): RuntimeError: no weights in sight"),
    "load_gives_nothing": ("raised", "load\\(\\) must give a function"),
    "load_hangs": ("hung", "load\\(\\) did not return within 1.5 s"),
    "ignores_sigterm": ("hung", "the first call did not return within 1.5 s"),
    "raises": ("raised", "the first call: ValueError: x: expected sorted, found chaos"),
    "exits_politely": ("raised", "SystemExit: enough"),
    "exits": ("crashed", "ended its process with exit code 3; printed: last words"),
    "segfaults": ("crashed", "died of SIGSEGV"),
    "is_killed": ("out of memory", r"(?s)was killed by SIGKILL.*; \d+ rows beside it held up to \d+\.\d GB: ask for fewer rows"),
    "eats_memory": ("out of memory", "MemoryError"),
    "crashes_later": ("crashed", "died of SIGSEGV"),
    "scribbles": ("crashed", "broke the protocol of its worker"),
    "forks_then_exits": ("crashed", "exit code 4"),
}
WRONG = {
    "stale": "y is not identical",
    "unfinished": "y is not identical",
    "aliases": "a warm call: y is not identical",
    "knows_its_seeds": "a timed call: y is not identical",
    "infinite": "y is not identical",
    "wrong_names": "output 'y' is missing",
    "wrong_dtype": "dtype float32 vs float64",
}
FINE = ("reference", "honest", "lazy", "hides", "patches_time", "prints", "by_children", "leaves_children", "close_raises", "streams")
ENDS = ("close_hangs",)
HANG = ("load_hangs", "ignores_sigterm", "close_hangs")
"""Only their session is short of patience: in the other a machine that stands still for a while makes no row hang."""


@pytest.fixture(scope="module")
def outcomes(installed):
    names = [name for name in (*BAD, *WRONG, *FINE, *ENDS) if name not in HANG]
    found = measured(installed, *names, seconds=12.0, memory_limit=16 << 30)
    hung = measured(installed, *HANG, "twice", patience=1.5)
    assert hung["twice"].outcome.kind == "measured", "a row that hangs does not disturb another"
    return {**hung, **found}


def cpu_seconds(item):
    return min(block.cpu_seconds / block.calls for block in item.samples.blocks)


@pytest.mark.parametrize("row", BAD)
def test_a_bad_row_has_its_outcome_and_reason(outcomes, row):
    kind, message = BAD[row]
    assert outcomes[row].outcome.kind == kind, outcomes[row].outcome
    assert re.search(message, outcomes[row].outcome.message), outcomes[row].outcome.message
    assert len(outcomes[row].outcome.message) < 6000


@pytest.mark.parametrize("row", WRONG)
def test_a_wrong_row_fails_parity_and_says_how_to_reproduce_it(outcomes, row):
    failed = [result for result in outcomes[row].parity if not result.passed]
    assert failed
    assert outcomes[row].outcome.kind == "measured"
    assert WRONG[row] in failed[0].message
    assert f"harness run sorting.{row} --only parity --case small --seed" in failed[0].message


@pytest.mark.parametrize("row", [*FINE, *ENDS])
def test_a_good_row_beside_bad_ones_is_measured(outcomes, row):
    item = outcomes[row]
    assert item.outcome.kind == "measured", item.outcome
    assert all(result.passed for result in item.parity)
    assert len(item.samples.blocks) >= 3


def test_a_wrong_row_is_not_timed(outcomes):
    assert outcomes["wrong_dtype"].samples.blocks == ()


def test_what_was_measured_before_a_crash_is_kept(outcomes):
    assert outcomes["crashes_later"].samples.cold is not None
    assert outcomes["crashes_later"].parity[0].passed


def test_a_lazy_output_is_paid_inside_the_timer(outcomes):
    assert cpu_seconds(outcomes["lazy"]) > 0.5 * cpu_seconds(outcomes["reference"])


def test_patched_timers_change_nothing(outcomes):
    assert 0.3 < cpu_seconds(outcomes["patches_time"]) / cpu_seconds(outcomes["reference"]) < 3


def test_work_hidden_behind_the_call_is_charged(outcomes):
    hides, honest = (sorted(b.cpu_seconds / b.calls for b in outcomes[row].samples.blocks) for row in ("hides", "reference"))
    assert hides[len(hides) // 2] > 1.5 * honest[len(honest) // 2], "of three calls' work two are left to a thread"


def test_work_in_child_processes_is_judged_on_wall_time(outcomes):
    assert outcomes["by_children"].clock == "wall"
    assert "1 child processes" in outcomes["by_children"].state["notes"][0]
    assert outcomes["honest"].clock == "cpu"


def test_trouble_at_the_end_is_a_note(outcomes):
    assert "cannot let go" in outcomes["close_raises"].state["notes"][0]
    assert "leaving load() did not return" in outcomes["close_hangs"].state["notes"][0]


def test_chunks_are_stamped(outcomes):
    samples = outcomes["streams"].samples
    assert samples.chunks
    assert all(len(call) == 4 and list(call) == sorted(call) and call[0] >= 0.0005 for call in (*samples.chunks, samples.cold_chunks))
    assert samples.cold_chunks[-1] <= samples.cold.wall_seconds


def test_a_slow_stream_has_its_chunks_stamped_and_is_left_at_the_first_one_for_more(installed):
    effort = Effort(first_chunk_seconds=60.0)
    samples = measured(installed, "streams_slowly", seconds=0.1, effort=effort)["streams_slowly"].samples
    # Too slow for calls of their own beside the blocks, which are calls already.
    assert samples.calls == tuple(block.wall_seconds for block in samples.blocks)
    assert len(samples.chunks) == len(samples.blocks) >= 3
    assert all(len(call) == 4 and list(call) == sorted(call) and call[0] >= 0.005 for call in samples.chunks)
    assert all(call[-1] <= whole for call, whole in zip(samples.chunks, samples.calls, strict=True))
    assert samples.chunk_seconds == ((0.5,) * 4,) * len(samples.chunks)
    assert len(samples.first_chunks) + len(samples.chunks) == FIRST_CHUNKS >= calls_needed(0.95)
    assert min(samples.first_chunks) >= 0.005


def test_first_chunks_that_would_take_long_are_not_asked_for(installed):
    effort = Effort(first_chunk_seconds=0.01)
    assert measured(installed, "streams_slowly", seconds=0.1, effort=effort)["streams_slowly"].samples.first_chunks == ()


def test_nothing_survives_a_session(outcomes):
    # Whatever a worker started has inherited this run's own cache folder.
    mine = os.environ["HARNESS_CACHE_FOLDER"]
    found = [process.info for process in psutil.process_iter(["pid", "cmdline", "environ"])]
    assert [info for info in found if (info["environ"] or {}).get("HARNESS_CACHE_FOLDER") == mine] == []


# Plans.


def test_the_reference_comes_along_and_long_cases_are_left_out_with_the_reason(installed):
    made = planned(installed, "twice", cases=())
    assert {(row.row, row.case) for row in made.planned} == {(row, case) for row in ("reference", "twice") for case in ("small", "tiny")}
    assert made.left_out == (record.LeftOut("sorting", "", "long", "only with --thorough: takes long"),)
    thorough = planned(installed, "twice", cases=(), thorough=True)
    assert {row.case for row in thorough.planned} == {"small", "tiny", "long"}
    assert {row.case for row in planned(installed, "twice", cases=("long",)).planned} == {"long"}


def test_a_broken_plugin_is_in_the_plan_as_unavailable(installed):
    made = plan(installed, Settings(), ["sorting"], machine="here", profile="any")
    (out,) = made.unavailable
    assert (out.implementation, "made to fail at import" in out.reason, out.broken) == ("raises_at_import", True, True)
    assert {row.implementation for row in made.planned} == set(installed.implementations("sorting"))


def test_a_sweep_adds_lanes_only_where_the_setting_is_honoured(installed):
    made = planned(installed, "honest", "twice", sweep={"threads": (1, 2)})
    lanes = [(row.row, row.settings.get("threads")) for row in made.planned]
    variant = "honest[precision=float32]"
    assert sorted(lanes, key=str) == sorted(
        [("reference", None), ("twice", None), ("honest", 1), ("honest", 2), (variant, 1), (variant, 2)], key=str
    )


def test_lanes_of_a_sweep_share_rounds(installed):
    made = planned(installed, "honest", sweep={"threads": (1, 2)}, launches=1)
    found = run(made, installed, seconds=1.0, effort=Effort(block_seconds=0.02))  # longer than any call: no row sits out rounds
    assert len(found) == 5
    rounds = [{block.round for block in item.samples.blocks} for item in found]
    assert all(one == rounds[0] for one in rounds)
    pinned = {(item.settings.get("threads"), item.environment["OMP_NUM_THREADS"]) for item in found if item.implementation == "honest"}
    assert pinned == {(1, "1"), (2, "2")}


def test_precision_of_the_session_makes_a_variant_and_leaves_the_reference_alone(installed):
    made = planned(installed, "honest", "turns", settings=Settings(precision="float32"))
    rows = {row.row: row for row in made.planned}
    assert set(rows) == {"reference", "honest[precision=float32]", "turns[precision=float32]"}
    assert not rows["honest[precision=float32]"].exact
    assert rows["turns[precision=float32]"].exact
    assert rows["reference"].settings == {}


def test_nothing_to_measure_is_an_error_that_says_why(installed, tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing matches 'sorting\.no_such'"):
        planned(installed, "no_such")
    with pytest.raises(ConfigurationError, match="launches: expected at least 1, found 0"):
        planned(installed, "honest", launches=0)
    with pytest.raises(ConfigurationError, match="expected a readable audio file, found No such file"):
        planned(installed, "honest", audio=tmp_path / "missing.wav")


def test_a_row_too_slow_for_warm_calls_is_timed_cold_and_the_next_plan_says_so(installed, monkeypatch):
    hasty = Effort(longest_call=0.0015)
    for module in (slow, sys.modules["harness.measure.plan"]):
        monkeypatch.setattr(module, "DEFAULT", hasty)
    found = measured(installed, "streams", "twice", "honest", effort=hasty)
    item = found["streams"]
    assert item.outcome.kind == "measured"
    assert item.parity[0].passed
    assert item.samples.cold.wall_seconds > 0.0015
    assert item.samples.blocks == ()
    assert "only its first call is timed" in item.state["notes"][0]
    assert found["honest"].samples.blocks
    left = {out.implementation: out.reason for out in planned(installed, "streams", "honest").left_out}
    assert "streams" in left
    assert "one call takes 0.0 s, more than 0.0015 s: only its first call is timed" in left["streams"]
    assert "honest" not in left
    assert "streams" not in {out.implementation for out in planned(installed, "streams", "honest", thorough=True).left_out}
    monkeypatch.undo()
    measured(installed, "streams", "twice")
    assert planned(installed, "streams", "twice").left_out == ()


def test_a_failure_names_every_setting_that_reproduces_it(installed):
    made = planned(installed, "turns", "dead", settings=Settings(longest_audio=0.5, affinity=(0,), hop=256), launches=1, cases=("tiny",))
    dead = next(row for row in made.planned if row.row == "dead")
    target = SimpleNamespace(planned=dead, implementation=installed.implementations("sorting")["dead"], audio=False)
    assert reproduce(target, 2) == "harness run sorting.dead --only parity --case tiny --seed 2 --hop 256 --longest-audio 0.5"
    honest = next(row for row in planned(installed, "honest").planned if row.variant)
    target = SimpleNamespace(planned=honest, implementation=installed.implementations("sorting")["honest"], audio=True)
    assert reproduce(target, 0) == "harness run sorting.honest --only parity --input FILE"


def test_a_slow_row_that_reuses_its_output_is_found_without_warm_calls(installed):
    # Calls before the first check may all be on the seed of the first one, and then nothing changes: by chance, so not every time.
    found = (measured(installed, "aliases", seconds=1.0, effort=Effort(quick_seconds=0.0))["aliases"] for _ in range(20))
    assert any("a later call changed the output of the first one" in item.outcome.message for item in found)


# Rounds and noise.


class Steps:
    """A clock whose kernel takes the given seconds, one after another, and one second when they are used up."""

    def __init__(self, *seconds):
        self.seconds, self.now, self.inside = list(seconds), 0.0, False

    def __call__(self):
        self.inside = not self.inside
        if not self.inside:
            self.now += self.seconds.pop(0) if self.seconds else 1.0
        return self.now


def calibration(*seconds):
    return Calibration(kernel=lambda: None, clock=Steps(*[1.0] * 8, *seconds), runs=1)


class Obliging:
    """A worker whose calls take the given seconds and are always right."""

    pid = 0

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, []

    def ask(self, command, patience, **arguments):
        self.asked.append(command)
        if command == "block":
            spent = int(1e9 * self.seconds) * arguments["calls"]
            laps = {"laps_ns": np.zeros(0, np.int64), "lap_calls": 1}
            return {"wall_ns": spent, "cpu_ns": spent, "chunks_ns": [], "chunk_rows": [], "after_ns": 0, **laps}
        if command == "settle":
            return {"calls": 1}
        if command == "calls":
            count = min(arguments["count"], int(arguments["seconds"] / self.seconds) + 1)
            stamps = np.full(count, int(1e9 * self.seconds))
            return {"calls_ns": stamps, "cpu_ns": stamps.sum(), "chunks_ns": [], "chunk_rows": [], "after_ns": 0}
        return {"seed": 0, "digest": "same", "hidden_cpu_ns": 0, "rss_bytes": 0, "mutated": "", "rewritten": False}


def lanes_of(installed, seconds, first=None):
    """Lanes whose calls take `seconds`, and took `first` before."""
    target = SimpleNamespace(implementation=installed.implementations("sorting")["twice"], expected={0: {}})
    pairs = zip(seconds, first or seconds, strict=True)
    return [Lane(target, worker=Obliging(each), seconds=before, trusted={0: {"same"}}) for each, before in pairs]


def rounds(installed, budget, kernel, seconds=(0.002, 0.002), first=None):
    """(round, quiet) of the blocks of each lane."""
    lanes = lanes_of(installed, seconds, first)
    taken.rounds(lanes, budget, DEFAULT, kernel, random.Random(3))
    return [[(block.round, block.quiet) for block in lane.blocks] for lane in lanes]


def test_a_block_that_stamps_divide_tells_what_a_call_takes_that_nothing_interrupts():
    laps = np.array([4e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6])
    assert taken._steady(np.cumsum(laps), 100) == pytest.approx(1e-5)
    assert taken._steady(np.cumsum(laps[:4]), 100) == pytest.approx(1e-5)
    assert taken._steady(np.cumsum(laps[:3]), 100) is None
    assert taken._steady(np.zeros(0), 1) is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to CPUs")
def test_rows_of_one_thread_take_their_rounds_on_one_cpu(installed):
    target = SimpleNamespace(implementation=installed.implementations("sorting")["twice"], affinity=())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        lane = Lane(target, worker=SimpleNamespace(pid=process.pid))
        everywhere = os.sched_getaffinity(process.pid)
        one = max(everywhere)
        cpus.share_a_cpu([lane], one)
        assert os.sched_getaffinity(process.pid) == {one}
        cpus.share_a_cpu([lane], None)
        assert os.sched_getaffinity(process.pid) == everywhere
        process.kill()
    cpus.share_a_cpu([lane], one)  # whose process has gone


def test_noisy_rounds_are_marked_and_replaced(installed):
    # The kernel runs before round 0, and after each: twice as slow between 1 and 2.
    found = rounds(installed, 0.04, calibration(1.0, 1.0, 2.0))
    assert found[0] == found[1] == [(0, True), (1, False), (2, False), *((number, True) for number in range(3, 12))]


def test_a_machine_that_becomes_noisy_gets_half_as_many_rounds_again_and_no_more(installed):
    found = rounds(installed, 0.04, calibration(*[1.5**n for n in range(1, 60)]))
    assert [number for number, _ in found[0]] == list(range(15))
    assert not any(quiet for _, quiet in found[0][-3:])


def test_slow_rows_share_their_rounds(installed):
    seconds = (0.002, 0.02, 0.08, 2.0)
    fast, slow, slower, slowest = ([number for number, _ in found] for found in rounds(installed, 0.32, calibration(), seconds))
    assert len(fast) == 40
    assert slow == slower == [0, 16, 32]
    assert slowest == [0]


def test_rows_that_do_the_same_work_make_equally_many_calls_in_a_round(installed, monkeypatch):
    monkeypatch.setattr(taken, "share_a_cpu", lambda lanes, cpu: None)
    seconds, first = (0.0001, 0.0001, 0.0002), (0.0001, 0.0004, 0.0003)
    for alike in (True, False):
        lanes = lanes_of(installed, seconds, first)
        taken.rounds(lanes, 0.04, Effort(alike=alike), calibration(), random.Random(3))
        equal = [len({block.calls for block in of_round}) == 1 for of_round in zip(*(lane.blocks for lane in lanes), strict=True)]
        assert len(equal) > 3
        assert all(equal) if alike else not any(equal)


def test_rows_that_do_the_same_work_take_part_in_the_same_rounds_unless_one_is_really_slower(installed, monkeypatch):
    monkeypatch.setattr(taken, "share_a_cpu", lambda lanes, cpu: None)
    for first, same in (((0.033, 0.057, 0.033, 0.058), True), ((0.033, 0.033, 0.033, 0.4), False)):
        lanes = lanes_of(installed, first)
        taken.rounds(lanes, 1.6, dataclasses.replace(gate_effort.EFFORT, extension=1), calibration(), random.Random(3))
        taken_part = [[block.round for block in lane.blocks] for lane in lanes]
        assert (taken_part[3] == taken_part[0]) is same
        assert taken_part[1] == taken_part[0]
        assert len(taken_part[0]) >= 6


def test_noisy_rounds_are_not_replaced_where_rows_that_do_the_same_work_are_known_well(installed, monkeypatch):
    monkeypatch.setattr(taken, "share_a_cpu", lambda lanes, cpu: None)
    for alike, rounds in ((True, 10), (False, 15)):
        lanes = lanes_of(installed, (0.002, 0.002))
        effort = Effort(alike=alike, most_rounds=10)
        taken.rounds(lanes, 0.04, effort, calibration(*[1.5**n for n in range(1, 60)]), random.Random(3))
        assert len(lanes[0].blocks) == rounds


@pytest.mark.parametrize(("seconds", "slices"), [(1e-4, 4), (0.001, 12), (0.05, 6)])
def test_single_calls_are_timed_in_slices_that_take_turns(installed, monkeypatch, seconds, slices):
    for module in (taken, calls):
        monkeypatch.setattr(module, "share_a_cpu", lambda lanes, cpu: None)
    lanes, spend = lanes_of(installed, (seconds,) * 4), gate_effort.budget([seconds] * 4)
    taken.rounds(lanes, spend.rounds, gate_effort.EFFORT, calibration(), random.Random(3))
    calls.single_calls(lanes, spend.calls, gate_effort.EFFORT, random.Random(3))
    assert [sum(lane.slices) for lane in lanes] == [len(lane.calls) for lane in lanes]
    assert all(len(lane.slices) == slices for lane in lanes)


@pytest.mark.parametrize("seconds", [1e-5, 1e-4, 6e-4, 0.0019, 0.0021, 0.0025, 0.003, 0.0039, 0.0041, 0.009, 0.03])
def test_a_launch_of_the_gate_times_calls_enough_for_its_percentiles(installed, monkeypatch, seconds):
    for module in (taken, calls):
        monkeypatch.setattr(module, "share_a_cpu", lambda lanes, cpu: None)
    lanes, spend = lanes_of(installed, (seconds,) * 4), gate_effort.budget([seconds] * 4)
    taken.rounds(lanes, spend.rounds, gate_effort.EFFORT, calibration(), random.Random(3))
    calls.single_calls(lanes, spend.calls, gate_effort.EFFORT, random.Random(3))
    needed = 0.99 if seconds < 5e-5 else 0.95 if seconds < gate_effort.SHORT_SECONDS else 0.5
    assert all(len(lane.calls) >= calls_needed(needed) for lane in lanes)


@pytest.mark.parametrize(("clock", "seconds", "settles"), [("wall", 0.002, True), ("cpu", 0.002, False), ("wall", 0.05, False)])
def test_rows_of_several_threads_settle_before_what_is_timed(installed, clock, seconds, settles):
    (lane,) = lanes_of(installed, (seconds,))
    lane.clock = clock
    taken.rounds([lane], 0.1, DEFAULT, calibration(), random.Random(3))
    calls.single_calls([lane], 1.0, DEFAULT, random.Random(3))
    asked = lane.worker.asked
    timed = [place for place, command in enumerate(asked) if command in ("block", "calls")]
    assert len(timed) > 4
    assert all((asked[place - 1] == "settle") == settles for place in timed if place)
    assert asked.count("settle") == (len(timed) if settles else 0)


def test_the_order_of_the_rows_changes_from_round_to_round(installed, monkeypatch):
    asked = []
    block = taken._block
    monkeypatch.setattr(taken, "_block", lambda lane, *how: asked.append(id(lane)) or block(lane, *how))
    rounds(installed, 0.12, calibration(), (0.002, 0.002, 0.002))
    turns = [tuple(asked[start : start + 3]) for start in range(0, len(asked), 3)]
    assert len(turns) == 20
    assert all(len(set(turn)) == 3 for turn in turns)
    assert len(set(turns)) == 6


@pytest.mark.parametrize(
    ("seconds", "budget", "total", "strides"),
    [
        ((0.001, 0.001), 1.0, 48, [1, 1]),
        ((0.001, 0.02), 0.16, 40, [1, 16]),
        ((0.001, 0.02), 1e-9, 3, [1, 1]),
        ((0.001, 2.0), 0.16, 40, [1, 64]),
        ((2.0, 3.0), 1.0, 1, [1, 1]),
    ],
)
def test_slow_rows_sit_out_rounds_but_never_all(seconds, budget, total, strides):
    assert taken._schedule(seconds, budget, DEFAULT) == (total, strides)


def test_who_has_time_gives_slow_rows_more_rounds():
    assert taken._schedule((0.001, 2.0), 0.16, THOROUGH) == (40, [1, 16])
    assert taken._schedule((2.0, 3.0), 1.0, THOROUGH) == (3, [1, 1])


def test_a_row_that_is_slow_only_in_its_first_call_gets_its_rounds(installed):
    first, second = rounds(installed, 0.08, calibration(), first=(0.002, 1.5))
    assert len(first) == 20
    assert [number for number, _ in second] == list(range(20))


# Processes shared by the cases of a launch.


def test_a_process_that_is_slow_to_get_ready_runs_all_cases_the_quick_one_first(installed):
    made = planned(installed, "loads_slowly", cases=("tiny", "small"), launches=2)
    found = run(made, installed, seconds=3.0)
    order = [(item.case, item.launch) for item in found if item.role == "reference"]
    assert order == [("small", 0), ("tiny", 0), ("small", 1), ("tiny", 1)]
    assert {item.outcome.kind for item in found} == {"measured"}
    assert all(item.samples.blocks and item.samples.calls and item.parity[0].passed for item in found)
    fresh = {(item.row, item.case): item.samples.cold is not None and item.samples.peak_bytes is not None for item in found}
    assert fresh == {
        ("reference", "small"): True, ("reference", "tiny"): True, ("loads_slowly", "small"): True, ("loads_slowly", "tiny"): False,
    }  # fmt: skip
    shared = [item for item in found if item.row == "loads_slowly" and item.case == "tiny"]
    assert all("its process had run another case" in item.state["notes"][0] for item in shared)
    assert all(item.samples.load.wall_seconds > 0.6 for item in shared)


def test_sharing_can_be_turned_off(installed):
    made = planned(installed, "loads_slowly", cases=("tiny", "small"), launches=1)
    assert all(item.samples.cold and item.samples.peak_bytes for item in run(made, installed, seconds=2.0, effort=THOROUGH))


# Interruption, reference outputs, audio.


def test_an_interrupted_session_keeps_what_it_measured(installed, tmp_path, monkeypatch):
    store = Store(tmp_path)
    made = planned(installed, "twice", launches=3)
    asked = []
    ask = WorkerProcess.ask

    def interrupt(self, command, *args, **arguments):
        asked.append(command)
        if command == "block" and asked.count("block") == 100:
            raise KeyboardInterrupt
        return ask(self, command, *args, **arguments)

    monkeypatch.setattr(WorkerProcess, "ask", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(made, installed, seconds=6.0, store=store, calibration=calibration(), effort=Effort(most_rounds=30))
    stored, found = store.read(made.session)
    assert stored == made
    whole = [item for item in found if item.launch == 0]
    assert {item.row for item in whole} == {"reference", "twice"}
    assert all(item.samples.calls for item in whole)
    partial = [item for item in found if item.launch == 1]
    assert partial
    assert all(item.samples.cold for item in partial)
    assert any(item.samples.blocks for item in partial)


def test_reference_outputs_are_cached_and_a_damaged_file_is_computed_anew(installed, tmp_path, monkeypatch):
    started = []
    original = WorkerProcess.__init__

    def count(self, name, *args, **options):
        started.append(name)
        original(self, name, *args, **options)

    monkeypatch.setattr(WorkerProcess, "__init__", count)

    def outputs(seeds):
        references = References(installed, "here", environment={}, folder=tmp_path)
        workload = Workload(installed.components["sorting"], "tiny")
        return references.outputs("sorting", workload, "tiny", seeds, Settings()), references.notes

    first, notes = outputs([0, 1])
    assert (len(started), notes) == (1, [])
    again, notes = outputs([0, 1])
    assert (len(started), notes) == (1, [])
    assert np.array_equal(first[1]["y"], again[1]["y"])
    damaged, other = sorted((tmp_path / "reference").glob("*.npz"))
    damaged.write_bytes(b"PK\x03\x04 not what it was")
    other.write_bytes(b"")
    repaired, notes = outputs([0, 1])
    assert len(started) == 2
    assert all("computed anew" in note for note in notes)
    assert len(notes) == 2
    assert np.array_equal(first[0]["y"], repaired[0]["y"])


def test_reference_outputs_are_computed_anew_when_any_code_of_its_package_changes(tmp_path, monkeypatch):
    """The helper lies neither beside the component nor beside the reference."""
    parts = {"": "", "numbers": "", "numbers.odd": "FACTOR = 2", "toys": "", "toys.deep": "", "toys.deep.toy": TWICE}
    for name, text in parts.items():
        path = tmp_path.joinpath("wide", *filter(None, name.split(".")))
        leaf = text != ""
        (path.parent if leaf else path).mkdir(parents=True, exist_ok=True)
        (path.with_suffix(".py") if leaf else path / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    points = [
        importlib.metadata.EntryPoint("toy", "wide.toys.deep.toy:COMPONENT", registry.COMPONENTS),
        importlib.metadata.EntryPoint("toy.reference", "wide.toys.deep.toy:REFERENCE", registry.IMPLEMENTATIONS),
    ]
    found = registry.discover(points)
    assert not found.broken

    def output():
        references = References(found, "here", environment={"PYTHONPATH": str(tmp_path)}, folder=tmp_path / "cache")
        return references.outputs("toy", Workload(found.components["toy"], "one"), "one", [0], Settings())[0]["y"][0]

    assert output() == 2
    (tmp_path / "wide" / "numbers" / "odd.py").write_text("FACTOR = 30")
    assert output() == 30


TWICE = """
from contextlib import contextmanager
import numpy as np
from harness.component import Case, Component, Identical, Implementation, Unit
from wide.numbers.odd import FACTOR
COMPONENT = Component("toy", Unit("n"), (Case("one", lambda seed: {"x": np.ones(3)}, quick=True),), {"y": Identical()}, lambda i, o: 1.0)
@contextmanager
def load(settings):
    yield lambda inputs: {"y": FACTOR * inputs["x"]}
REFERENCE = Implementation("toy", "reference", "reference", load)
"""


def test_a_component_that_lacks_the_chosen_cases_is_left_out_with_the_reason(installed):
    other = next(name for name in installed.components if name != "sorting")
    made = plan(installed, Settings(), ["sorting.honest", other], machine="here", profile="any", cases=("tiny",))
    assert [(out.component, out.reason) for out in made.left_out] == [(other, "has no case tiny")]


def test_a_reference_that_fails_leaves_no_row_measured(installed):
    crashing = installed.entry("sorting.segfaults")
    item = dataclasses.replace(crashing.item, name="reference", role="reference")
    entry = dataclasses.replace(crashing, name="sorting.reference", item=item)
    entries = tuple(entry if old.name == "sorting.reference" else old for old in installed.entries)
    found = measured(registry.Registry(entries), "twice", cases=("tiny",))
    assert {item.outcome.kind for item in found.values()} == {"unavailable"}
    assert "no reference outputs for case tiny: sorting.reference: a call died of SIGSEGV" in found["twice"].outcome.message


def test_a_users_audio_is_a_case_named_by_its_content(installed, tmp_path):
    import soundfile

    song = tmp_path / "secret name.wav"
    soundfile.write(song, np.random.default_rng(5).uniform(-0.5, 0.5, (800, 2)), 8000, subtype="FLOAT")
    made = planned(installed, "twice", audio=song, cases=(), launches=1)
    found = run(made, installed, seconds=1.0, audio=song)
    assert len(found) == 2
    for item in found:
        assert re.fullmatch("input-[0-9a-f]{12}", item.case)
        assert item.outcome.kind == "measured"
        assert item.samples.produced == 800
        assert "secret" not in to_json(item)


def test_parity_alone_takes_no_time_samples(installed):
    made = planned(installed, "twice", "wrong_dtype", launches=1)
    found = {item.row: item for item in run(made, installed, seeds=(41,), timed=False)}
    assert found["twice"].parity[0].passed
    assert found["twice"].samples.blocks == ()
    assert "seed 41" in found["wrong_dtype"].parity[0].message


def test_the_floor_comes_from_the_work_model(installed):
    seen = []

    def floor(work, threads, device):
        assert device == "cpu"
        seen.append((work, threads))
        return record.Floor(1e-6, "L2 read")

    found = measured(installed, "twice", cases=("tiny",), floor=floor)
    assert found["twice"].floor == record.Floor(1e-6, "L2 read")
    assert seen[0][0].bytes == 800.0
    assert str(seen[0][1]) == found["twice"].environment["OMP_NUM_THREADS"]


@pytest.mark.parametrize("variant", [{"model_size": "small"}, {"mode": "lightweight", "precision": "int8"}])
def test_what_does_other_work_than_the_case_says_has_no_floor(variant):
    lane = SimpleNamespace(target=SimpleNamespace(planned=SimpleNamespace(variant=variant)))
    assert records._floor(lane, lambda *_: record.Floor(1e-6, "L2 read")) is None


# Adversarial inputs and settings.


def test_fuzzing_shrinks_to_the_smallest_failing_input_keeps_it_and_tries_it_first(installed, tmp_path):
    row = next(row for row in planned(installed, "fragile", cases=("tiny",)).planned if row.row == "fragile")
    found = fuzz(installed, row, folder=tmp_path, examples=200)
    assert found.failure.inputs["x"].size == 3
    assert "sorting.fragile: y is not identical" in found.failure.message
    assert found.failure.path.suffix == ".json"
    again = fuzz(installed, row, folder=tmp_path, examples=200)
    assert again.examples == 1
    assert np.array_equal(again.failure.inputs["x"], found.failure.inputs["x"])
    found.failure.path.with_suffix(".npz").write_bytes(b"damaged")
    with pytest.raises(ConfigurationError, match="expected a kept failure"):
        fuzz(installed, row, folder=tmp_path, examples=1)


def test_fuzzing_survives_crashes_and_passes_what_is_right(installed, tmp_path):
    rows = {row.row: row for row in planned(installed, "segfaults", "raises", "twice", cases=("tiny",)).planned}
    assert "died of SIGSEGV" in fuzz(installed, rows["segfaults"], folder=tmp_path, examples=5).failure.message
    assert "refused: ValueError" in fuzz(installed, rows["raises"], folder=tmp_path, examples=5).failure.message
    fine = fuzz(installed, rows["twice"], folder=tmp_path, examples=30)
    assert (fine.failure, fine.examples) == (None, 30)


def test_fuzzing_ends_with_its_time(installed, tmp_path):
    row = planned(installed, "twice", cases=("tiny",)).planned[0]
    assert fuzz(installed, row, folder=tmp_path, examples=100_000, seconds=0.5).examples < 100_000


def test_settings_that_show_and_settings_that_are_dead(installed):
    chosen = {"sorting": [installed.implementations("sorting")[name] for name in ("turns", "dead", "honours_none")]}
    flips = flip_settings(installed, chosen)
    shown = {(flip.implementation, flip.setting): flip.shown for flip in flips}
    settings = ("threads", "workers", "precision", "batch", "longest_audio", "cache", "hop")
    dead = {("dead", s): False for s in settings if s in installed.implementations("sorting")["dead"].settings}
    assert shown == {("turns", s): True for s in settings} | dead
    messages = [flip.message for flip in flips if not flip.shown]
    said = "sorting.dead, case tiny: workers is dead: processes between workers=1 and workers=3: at most {0} and {0} threads"
    assert any(message.startswith(said.format(count)) for message in messages for count in range(1, 9))
    assert "sorting.dead, case tiny: batch is dead: error between batch=1 and batch=2: batch=2 is accepted" in messages


def test_a_setting_that_nothing_honours_is_dead(installed):
    flips = flip_settings(installed, {"sorting": [installed.implementations("sorting")["honours_none"]]})
    named = dict.fromkeys(effect.setting for effect in installed.components["sorting"].effects)
    assert [flip.message for flip in flips] == [f"no implementation of sorting honours {setting}" for setting in named]
    assert not any(flip.shown for flip in flips)


def test_a_setting_with_only_one_possible_value_is_not_flipped(installed):
    variant = Variant({"precision": "float32"})
    only = dataclasses.replace(installed.implementations("sorting")["turns"], settings=("precision",), variants=(variant,), plain=False)
    assert "precision" not in [flip.setting for flip in flip_settings(installed, {"sorting": [only]})]


def test_an_effect_that_nobody_honours_is_reported(installed):
    flips = flip_settings(installed, {"sorting": [installed.implementations("sorting")["twice"]]})
    assert [flip.setting for flip in flips] == ["threads", "workers", "precision", "batch", "longest_audio", "cache", "hop"]
    assert flips[0].message == "no implementation of sorting honours threads"
