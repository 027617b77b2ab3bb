"""One launch of one case: a fresh process for each row, parity first, then rounds in which the rows take turns."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from harness.component import Approximate, Component, Implementation, Outputs
from harness.measure.calibration import Calibration
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, WorkerProcess
from harness.parity import ParityResult, compare, not_finite
from harness.record import Block, Outcome, Planned

BLOCK_SECONDS = 0.002
COLD_ONLY_SECONDS = 10.0
QUICK_SECONDS = 0.5
MOST_ROUNDS, LEAST_ROUNDS = 48, 3
MOST_CALLS = 1000
SLICES = 4
REPLAY_FACTOR, REPLAY_SECONDS = 3.0, 50e-6
CLOCK_FACTOR, CLOCK_SECONDS = 3.0, 0.001
GROSS_FACTOR, GROSS_SECONDS = 10.0, 0.25
MOST_CALLS_PER_BLOCK = 2000
HIDDEN_SHARE, HIDDEN_SECONDS = 0.1, 0.0002


@dataclass(frozen=True)
class Target:
    """What one lane runs: a planned row, the code behind it, and the environment of its process.

    replaced: policies that its variant replaces. expected: reference outputs by seed, or the outcome of their absence.
    paths: sys.path of the worker, None for the harness's own. control: "" for a row that is judged.
    """

    planned: Planned
    component: Component
    implementation: Implementation
    component_value: str
    implementation_value: str
    distribution: str
    replaced: Mapping[str, Approximate]
    expected: Mapping[int, Outputs] | Outcome
    environment: Mapping[str, str]
    audio: str | None = None
    memory_limit: int | None = None
    paths: Sequence[str] | None = None
    control: str = ""

    @property
    def name(self) -> str:
        return f"{self.planned.component}.{self.planned.row}"


@dataclass
class Lane:
    """A row in this launch: its process, and what was measured of it so far."""

    target: Target
    patience: float = PATIENCE_SECONDS
    worker: WorkerProcess | None = None
    outcome: Outcome = field(default_factory=Outcome)
    parity: tuple[ParityResult, ...] = ()
    loaded: dict[str, Any] = field(default_factory=dict)
    cold: dict[str, Any] = field(default_factory=dict)
    work: dict[str, Any] | None = None
    seconds: float = 0.0  # of one warm call
    blocks: list[Block] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    chunks: list[tuple[float, ...]] = field(default_factory=list)
    trusted: dict[int, set[str]] = field(default_factory=dict)  # digests of outputs whose parity was established, by seed
    excess: list[tuple[float, float]] = field(default_factory=list)  # (reported, seen from here) seconds of timed commands
    notes: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    clock: str = ""

    def __post_init__(self) -> None:
        self.clock = self.target.implementation.clock

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert self.worker is not None
        return self.worker.ask(command, self.patience, **arguments)

    def end(self, outcome: Outcome | None = None) -> None:
        """No more of this row in this launch; its process goes."""
        if outcome is not None:
            self.outcome = outcome
        self.done = True
        if self.worker is not None:
            problem = self.worker.close(min(self.patience, 10.0))
            self.notes += [problem] if problem else []

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """What goes wrong in one row is that row's outcome; the others go on."""
        try:
            yield
        except WorkerFailed as failure:
            self.end(failure.outcome)


def measure(
    lanes: Sequence[Lane],
    launch: int,
    *,
    seeds: Sequence[int],
    seconds: Callable[[], float],
    calibration: Calibration,
    rng: random.Random,
    timed: bool = True,
) -> None:
    """Fill the lanes and end them. `seconds()` is asked when parity is done: how long rounds and single calls may take together.

    timed: False stops after parity, on every seed. Interrupted, lanes keep what they have; the caller kills their processes.
    """
    _start(lanes, seeds, rng)
    for lane in rng.sample(_active(lanes), len(_active(lanes))):
        with lane.attempt():
            _first_call(lane, seeds[launch % len(seeds)])
    for lane in _active(lanes):
        with lane.attempt():
            _warm(lane, seeds, every=not timed)
    for lane in _active(lanes):
        if not timed:
            _finish(lane, fresh=False)
        elif lane.seconds > COLD_ONLY_SECONDS:
            lane.notes.append(f"one call takes {lane.seconds:.1f} s, more than {COLD_ONLY_SECONDS:g} s: only its first call was timed")
            _finish(lane, fresh=False)
    if not _active(lanes):
        return
    budget = seconds()
    _rounds(_active(lanes), 0.6 * budget, calibration, rng)
    _single_calls(_active(lanes), 0.3 * budget, rng)
    for lane in _active(lanes):
        _finish(lane, fresh=launch == 0 and len(seeds) > 1)


def _active(lanes: Sequence[Lane]) -> list[Lane]:
    return [lane for lane in lanes if not lane.done]


def _start(lanes: Sequence[Lane], seeds: Sequence[int], rng: random.Random) -> None:
    """Start every process; interpreters and inputs get ready side by side, for nothing is timed yet."""
    for lane in lanes:
        target = lane.target
        if isinstance(target.expected, Outcome):
            lane.end(target.expected)
            continue
        lane.worker = WorkerProcess(target.name, target.environment, paths=target.paths)
        with lane.attempt():
            lane.worker.tell(
                "prepare",
                component=target.component_value,
                case=target.planned.case,
                audio=target.audio,
                seeds=list(seeds),
                seed=rng.randrange(1 << 62),
            )
    for lane in _active(lanes):
        with lane.attempt():
            assert lane.worker is not None
            lane.work = lane.worker.answer()["work"]


def _first_call(lane: Lane, seed: int) -> None:
    """Load and first call, alone on the machine; then the first answer to "is it the same?"."""
    planned = lane.target.planned
    lane.loaded = lane.ask(
        "load",
        implementation=lane.target.implementation_value,
        settings=dict(planned.settings),
        affinity=list(planned.settings.get("affinity") or ()) or None,
        memory_limit=lane.target.memory_limit,
    )
    lane.cold = lane.ask("cold", seed=seed)
    lane.seconds = lane.cold["wall_ns"] / 1e9
    _compare(lane, seed, lane.cold.pop("outputs"), "the first call")
    _unchanged(lane, lane.cold)
    if "unproduced" in lane.cold and all(result.passed for result in lane.parity) and not lane.done:
        planned = lane.target.planned
        raise WorkerFailed(Outcome("raised", f"{planned.component}: counting what {planned.row} produced: {lane.cold['unproduced']}"))


def _warm(lane: Lane, seeds: Sequence[int], *, every: bool) -> None:
    """Warm calls on all seeds, their outputs held together and compared; of a slow row only where parity alone is asked."""
    if lane.seconds > QUICK_SECONDS and not every:
        return
    answer = lane.ask("outputs", seeds=list(seeds))
    lane.seconds = min(answer["wall_ns"]) / 1e9
    for seed, outputs in zip(seeds, answer["outputs"], strict=True):
        if not lane.done:
            _compare(lane, seed, outputs, "a warm call")
    _unchanged(lane, answer)


def _compare(lane: Lane, seed: int, outputs: Outputs, where: str) -> None:
    """Judge outputs; a row that is wrong is recorded, and not timed."""
    target, planned = lane.target, lane.target.planned
    assert not isinstance(target.expected, Outcome)
    expected = target.expected[seed]
    place = f"{target.name}, case {planned.case}, seed {seed}, {where}"
    again = f"reproduce: harness run {planned.component}.{planned.implementation} --only parity --case {planned.case} --seed {seed}"
    if (bad := not_finite(outputs)) is not None and not_finite(expected) is None:
        lane.end(Outcome("not finite", f"{place}: output {bad[0]!r} is NaN at {list(bad[1])}; {again}"))
        return
    empty = [name for name, array in outputs.items() if array.size == 0 and name in expected and expected[name].size]
    if empty:
        lane.end(Outcome("empty output", f"{place}: output {empty[0]!r} is empty, expected shape {expected[empty[0]].shape}; {again}"))
        return
    results = tuple(
        result if result.passed else _told(result, f"{place}: {result.message}; {again}")
        for result in compare(expected, outputs, target.component.policy, replaced=target.replaced)
    )
    lane.parity = _worst(lane.parity, results)
    if not all(result.passed for result in results):
        lane.end()


def _told(result: ParityResult, message: str) -> ParityResult:
    return dataclasses.replace(result, message=message)


def _worst(old: Sequence[ParityResult], new: Sequence[ParityResult]) -> tuple[ParityResult, ...]:
    """For each output the result that says most against it."""
    found = {result.output: result for result in old}
    for result in new:
        before = found.get(result.output)
        if before is None or (before.passed and (not result.passed or _distance(result) > _distance(before))):
            found[result.output] = result
    return tuple(found.values())


def _distance(result: ParityResult) -> float:
    return result.measured.get("max_abs_difference", 0.0)


def _unchanged(lane: Lane, answer: Mapping[str, Any]) -> None:
    if answer["mutated"] and not lane.done:
        lane.end(Outcome("untrusted", f"{lane.target.name}: a call changed {answer['mutated']}; run() must leave its inputs as they are"))


def _rounds(lanes: Sequence[Lane], budget: float, calibration: Calibration, rng: random.Random) -> None:
    """Rounds of one block per lane in random order. Slow lanes sit out some rounds, the same ones, so that they stay paired."""
    if not lanes:
        return
    share = budget / len(lanes)
    # The least is taken in any case; of slow rows one round in each launch.
    least = {id(lane): LEAST_ROUNDS if lane.seconds < QUICK_SECONDS else 1 for lane in lanes}
    affordable = {id(lane): share / max(lane.seconds, BLOCK_SECONDS) for lane in lanes}
    total = int(min(MOST_ROUNDS, max(*least.values(), *affordable.values())))
    strides = {key: _stride(total, count, least[key]) for key, count in affordable.items()}
    speeds: list[float] = []  # of the calibration kernel around each round
    started = time.monotonic()

    def wanted() -> bool:
        """The planned rounds; then one for each noisy round, as far as time allows."""
        quiet = sum(calibration.quiet(speed) for speed in speeds)
        replacing = len(speeds) < 1.5 * total and time.monotonic() - started < 1.5 * budget
        return len(speeds) < total or (quiet < total and replacing)

    before = calibration()
    while wanted():
        number = len(speeds)
        turn = [lane for lane in _active(lanes) if number % strides[id(lane)] == 0]
        measured = [(lane, timing) for lane in rng.sample(turn, len(turn)) if (timing := _block(lane)) is not None]
        speeds.append(max(before, calibration()))
        for lane, (calls, wall, cpu) in measured:
            hidden = 0.0
            with lane.attempt():
                hidden = _checked(lane)
            charged = hidden if hidden > max(HIDDEN_SECONDS, HIDDEN_SHARE * cpu) else 0.0
            lane.blocks.append(Block(number, calls, wall, cpu + charged, calibration.quiet(speeds[-1])))
        before = calibration()
    # What is usual is known better now than when the first rounds ended.
    for lane in lanes:
        lane.blocks = [dataclasses.replace(block, quiet=calibration.quiet(speeds[block.round])) for block in lane.blocks]


def _stride(total: int, affordable: float, least: int) -> int:
    """The smallest power of two that leaves at most `affordable` of `total` rounds, but at least `least`."""
    stride = 1
    while -(-total // stride) > max(affordable, 1) and -(-total // (2 * stride)) >= least:
        stride *= 2
    return stride


def _block(lane: Lane) -> tuple[int, float, float] | None:
    """(calls, wall, cpu) of one timed block, or None when the row failed in it."""
    calls = min(MOST_CALLS_PER_BLOCK, max(1, round(BLOCK_SECONDS / max(lane.seconds, 1e-7))))
    with lane.attempt():
        started = time.perf_counter()
        answer = lane.ask("block", calls=calls)
        wall, cpu = answer["wall_ns"] / 1e9, answer["cpu_ns"] / 1e9
        lane.excess.append((wall, time.perf_counter() - started))
        if sum(seen > GROSS_FACTOR * reported + GROSS_SECONDS for reported, seen in lane.excess) > 1:
            raise _distrust_clock(lane)
        return calls, wall, cpu
    return None


def _checked(lane: Lane) -> float:
    """Check the output that the last timed command kept; the CPU seconds that other threads of the process took since."""
    answer = lane.ask("check", inputs=False)
    if answer["digest"] not in lane.trusted.setdefault(answer["seed"], set()):
        _compare(lane, answer["seed"], lane.ask("kept")["outputs"], "a timed call")
        if not lane.done:
            lane.trusted[answer["seed"]].add(answer["digest"])
    return float(answer["hidden_cpu_ns"] / 1e9)


def _single_calls(lanes: Sequence[Lane], budget: float, rng: random.Random) -> None:
    """One stamp per call, in slices that take turns. Blocks of one call are single calls already."""
    share = budget / max(1, len(lanes))
    for lane in lanes:
        if lane.seconds > share / SLICES and all(block.calls == 1 for block in lane.blocks):
            lane.calls = [block.wall_seconds for block in lane.blocks]
    for _ in range(SLICES):
        for lane in rng.sample(list(lanes), len(lanes)):
            if not lane.done and not (lane.seconds > share / SLICES and lane.calls):
                with lane.attempt():
                    _slice(lane, share / SLICES)


def _slice(lane: Lane, seconds: float) -> None:
    started = time.perf_counter()
    answer = lane.ask("calls", count=MOST_CALLS // SLICES, seconds=seconds)
    stamps = answer["calls_ns"] / 1e9
    lane.excess.append((float(stamps.sum()), time.perf_counter() - started - 20e-6 * len(stamps)))
    lane.calls += stamps.tolist()
    lane.chunks += [tuple(arrival / 1e9 for arrival in arrivals) for arrivals in answer["chunks_ns"]]
    _checked(lane)


def _finish(lane: Lane, *, fresh: bool) -> None:
    """The last checks: clocks that agree, inputs unchanged, nothing replayed; then what really ran."""
    with lane.attempt():
        if lane.excess:
            # The calmer half: whatever else ran on this machine only adds to what is seen from here.
            calm = sorted(lane.excess, key=lambda pair: pair[1] - CLOCK_FACTOR * pair[0])[: (len(lane.excess) + 1) // 2]
            if sum(seen - CLOCK_FACTOR * reported - CLOCK_SECONDS for reported, seen in calm) > 0:
                raise _distrust_clock(lane)
            _unchanged(lane, lane.ask("check", inputs=True))
            _processes(lane)
        # One call may be slow by chance; four are slow for a reason.
        if fresh and not lane.done and lane.seconds < QUICK_SECONDS and _replayed(lane, 1) and (times := _replayed(lane, 3)):
            raise _distrust(lane, "inputs it has seen take {:.3g} s, new ones {:.3g} s: it replays results".format(*times))
        if not lane.done:
            lane.state = lane.ask("state")
            lane.end()


def _replayed(lane: Lane, calls: int) -> tuple[float, float] | None:
    """Seconds on known and on fresh inputs where the known are much faster, else None."""
    answer = lane.ask("fresh", calls=calls)
    known, unseen = max(answer["known_ns"]) / 1e9, min(answer["fresh_ns"]) / 1e9
    return (known, unseen) if unseen > REPLAY_FACTOR * known + REPLAY_SECONDS else None


def _processes(lane: Lane) -> None:
    assert lane.worker is not None
    with contextlib.suppress(psutil.Error):
        if lane.clock == "cpu" and (children := psutil.Process(lane.worker.pid).children()):
            lane.clock = "wall"
            lane.notes.append(f"{len(children)} child processes work for it, which its CPU clock does not see: judged on wall time")


def _distrust_clock(lane: Lane) -> WorkerFailed:
    reported, seen = (sum(pair[i] for pair in lane.excess) for i in (0, 1))
    return _distrust(lane, f"its clock reports {reported:.3g} s for what took {seen:.3g} s here")


def _distrust(lane: Lane, reason: str) -> WorkerFailed:
    return WorkerFailed(Outcome("untrusted", f"{lane.target.name}: {reason}"))
