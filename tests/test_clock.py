import subprocess
import sys
import time
import types

import pytest

from harness.clock import CLOCKS, SlowedStopwatch, Stopwatch, resolution_ns


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_work_costs_both_and_sleep_costs_wall_only() -> None:
    # In a process of its own: the idle threads of a BLAS loaded by another test spin, and that is CPU time too.
    code = """
import time
from harness.clock import Stopwatch
watch = Stopwatch("wall")
watch.start()
until = time.process_time() + 0.03
while time.process_time() < until: pass
worked = watch.elapsed()
assert worked.cpu_ns >= 30e6 and worked.wall_ns >= 0.99 * worked.cpu_ns, worked
watch.start()
time.sleep(0.05)
slept = watch.elapsed()
assert slept.wall_ns >= 49e6 and slept.cpu_ns < 5e6, slept
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_elapsed_can_be_asked_again() -> None:
    watch = Stopwatch("cpu")
    watch.start()
    first = watch.elapsed()
    busy(0.01)
    second = watch.elapsed()
    assert second.cpu_ns - first.cpu_ns >= 10e6


def test_a_patched_time_module_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    monkeypatch.setattr(time, "process_time_ns", lambda: 0)
    watch = Stopwatch("cpu")
    watch.start()
    for _ in range(10000):
        pass
    assert watch.elapsed().wall_ns > 0


def test_replacing_the_modules_names_does_not_reach_a_running_stopwatch(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch("cpu")
    monkeypatch.setattr("harness.clock.perf_counter_ns", lambda: 0)
    watch.start()
    time.sleep(0.001)
    assert watch.elapsed().wall_ns >= 1e6


@pytest.mark.parametrize(("clock", "package"), [("mps", "torch"), ("mlx", "mlx.core")])
def test_a_device_clock_waits_before_each_reading(clock: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def wait() -> None:
        calls.append(1)
        time.sleep(0.002)

    device = types.SimpleNamespace(synchronize=wait)
    monkeypatch.setitem(sys.modules, package, device if clock == "mlx" else types.SimpleNamespace(**{clock: device}))
    watch = Stopwatch(clock)
    watch.start()
    assert len(calls) == 1
    assert watch.elapsed().wall_ns >= 2e6
    assert len(calls) == 2


class Gpu:
    """torch.cuda of a device whose time is told by hand: work is given to streams and done in the order of its end."""

    def __init__(self) -> None:
        self.now = 0.0  # milliseconds
        self.streams = {"current": 0.0, "other": 0.0}
        self.late = 0.0  # milliseconds after an event at which the host wakes up

    def work(self, stream: str, milliseconds: float) -> None:
        self.streams[stream] = max(self.now, self.streams[stream]) + milliseconds

    def synchronize(self) -> None:
        self.now = max(self.now, *self.streams.values())

    def Event(self, *, enable_timing: bool) -> "Event":
        assert enable_timing
        return Event(self)


class Event:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.at = gpu, -1.0

    def record(self) -> None:
        self.at = max(self.gpu.now, self.gpu.streams["current"])

    def synchronize(self) -> None:
        self.gpu.now = max(self.gpu.now, self.at) + self.gpu.late

    def elapsed_time(self, other: "Event") -> float:
        return other.at - self.at


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    made = Gpu()
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=made))
    monkeypatch.setattr("harness.clock.perf_counter_ns", lambda: round(made.now * 1e6))
    return made


def test_cuda_is_timed_by_the_devices_own_events(gpu: Gpu) -> None:
    gpu.work("current", 3.0)  # given before: not of what is timed
    watch = Stopwatch("cuda")
    watch.start()
    gpu.work("current", 5.0)
    assert watch.elapsed().wall_ns == 5_000_000
    gpu.work("current", 2.5)
    assert watch.elapsed().wall_ns == 7_500_000
    watch.start()
    assert watch.elapsed().wall_ns == 0


def test_a_host_that_wakes_up_late_does_not_count(gpu: Gpu) -> None:
    watch = Stopwatch("cuda")
    watch.start()
    gpu.work("current", 1.0)
    gpu.late = 20.0
    assert watch.elapsed().wall_ns == 1_000_000


def test_work_on_another_stream_counts(gpu: Gpu) -> None:
    watch = Stopwatch("cuda")
    watch.start()
    gpu.work("current", 1.0)
    gpu.work("other", 20.0)
    assert watch.elapsed().wall_ns == 20_000_000


def test_a_slowed_stopwatch_works_on_until_the_events_say_so(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Event.record

    def tick(self: Event) -> None:
        self.gpu.now += 0.1
        record(self)

    watch = SlowedStopwatch("cuda", 0.5)
    watch.start()
    gpu.work("current", 10.0)
    monkeypatch.setattr(Event, "record", tick)
    assert watch.elapsed().wall_ns == pytest.approx(15e6, rel=0.05)


def test_mlx_really_synchronizes() -> None:
    mx = pytest.importorskip("mlx.core")
    watch = Stopwatch("mlx")
    watch.start()
    mx.async_eval(mx.zeros((64, 64)) @ mx.zeros((64, 64)))
    assert watch.elapsed().wall_ns > 0


def test_a_device_clock_without_its_framework_says_so() -> None:
    code = "from harness.clock import Stopwatch\ntry: Stopwatch('cuda')\nexcept RuntimeError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "expected torch to be imported" in done.stdout


def test_an_unknown_clock_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"expected one of {', '.join(CLOCKS)}, found 'sundial'"):
        Stopwatch("sundial")


def test_resolution_is_finer_than_a_millisecond_here() -> None:
    assert 0 < resolution_ns("wall") < 1e6
    if sys.platform != "win32":
        assert 0 < resolution_ns("cpu") < 1e6


class Hand:
    """Both clocks of a process, told by hand: it works, or waits for a CPU; a reading is work as well."""

    READING_NS = 1000

    def __init__(self) -> None:
        self.wall = self.cpu = 0

    def work(self, nanoseconds: float) -> None:
        self.wall, self.cpu = self.wall + int(nanoseconds), self.cpu + int(nanoseconds)

    def wait(self, nanoseconds: float) -> None:
        self.wall += int(nanoseconds)

    def read_wall(self) -> int:
        self.work(self.READING_NS)
        return self.wall

    def read_cpu(self) -> int:
        return self.cpu


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    made = Hand()
    monkeypatch.setattr("harness.clock.perf_counter_ns", made.read_wall)
    monkeypatch.setattr("harness.clock.process_time_ns", made.read_cpu)
    return made


@pytest.mark.parametrize(("clock", "reading", "own"), [("cpu", "cpu_ns", 10e6), ("wall", "wall_ns", 14e6)])
def test_a_slowed_stopwatch_adds_its_share_each_time_it_is_asked(hand: Hand, clock: str, reading: str, own: float) -> None:
    watch = SlowedStopwatch(clock, 0.5)
    for _ in range(2):
        before = hand.cpu if clock == "cpu" else hand.wall
        watch.start()
        for number in (1, 2):
            hand.work(10e6)
            hand.wait(4e6)
            found = getattr(watch.elapsed(), reading)
            assert found == pytest.approx(number * 1.5 * own, abs=10 * Hand.READING_NS)
            assert number * 1.5 * own <= found <= (hand.cpu if clock == "cpu" else hand.wall) - before, "it really worked so long"


def test_the_tail_is_slowed_by_a_share_of_its_own(hand: Hand) -> None:
    watch, took = SlowedStopwatch("cpu", 0.1, tail=(1.0, 0.0)), []
    for number in range(60):
        watch.start()
        hand.work(4e6 if number == 59 else 0.5e6)
        took.append(watch.elapsed().cpu_ns)
    assert took[:59] == pytest.approx([0.55e6] * 59, abs=10 * Hand.READING_NS)
    assert took[59] == pytest.approx(8e6, abs=10 * Hand.READING_NS)


@pytest.mark.parametrize("laps", [0, 3, 4, 10])
def test_a_region_that_laps_divide_gets_its_own_share_in_all(hand: Hand, laps: int) -> None:
    watch = SlowedStopwatch("wall", 0.05, whole=(0.5, 0.0))
    watch.start()
    for number in range(1, laps + 1):
        hand.work(1e6)
        assert watch.lap_ns() == pytest.approx(number * 1.05e6, abs=2 * (number + 1) * Hand.READING_NS)
    hand.work(1e6)
    share = 1.5 if laps >= 4 else 1.05
    assert watch.elapsed().wall_ns == pytest.approx(share * (laps + 1) * 1e6, abs=4 * (laps + 5) * Hand.READING_NS)


def test_without_a_share_nothing_is_added(hand: Hand) -> None:
    watch = SlowedStopwatch("cpu", 0.0)
    watch.start()
    hand.work(10e6)
    assert watch.elapsed().cpu_ns == pytest.approx(10e6, abs=2 * Hand.READING_NS)
