"""A lane: one row in one launch, its process, what was measured of it, and whether its outputs are right."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.component import Approximate, Component, Implementation, Outputs
from harness.measure.process import PATIENCE_SECONDS, WorkerFailed, WorkerProcess
from harness.measure.trust import Witness
from harness.measure.workload import Workload
from harness.parity import ParityResult, compare, not_finite, of_inputs
from harness.record import Block, Outcome, Planned
from harness.settings import show

SLOWEST_COPY = 200e6  # bytes per second
SETTLE_SECONDS = 0.016


@dataclass(frozen=True)
class Target:
    """What one lane runs: a planned row, the code behind it, and the environment of its process.

    replaced: policies that its variant replaces. expected: reference outputs by seed, or the outcome of their absence.
    paths: sys.path of the worker, None for the harness's own. python: its interpreter, likewise. slowdown:
    what is added to what is measured of it (`Runner.load`). control: "" for a row that is judged.
    others: entry point values of the component's other implementations.
    """

    planned: Planned
    component: Component
    implementation: Implementation
    workload: Workload
    implementation_value: str
    distribution: str
    replaced: Mapping[str, Approximate]
    expected: Mapping[int, Outputs] | Outcome
    environment: Mapping[str, str]
    affinity: Sequence[int] = ()
    audio: bool = False
    memory_limit: int | None = None
    paths: Sequence[str] | None = None
    python: str | None = None
    slowdown: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    control: str = ""
    others: Sequence[str] = ()

    @property
    def name(self) -> str:
        return f"{self.planned.component}.{self.planned.row}"

    @property
    def lane_name(self) -> str:
        """The row under its settings, on any case."""
        return f"{self.name} {sorted(self.planned.settings.items())} {self.control}"


@dataclass
class Lane:
    """A row in this launch: its process, and what was measured of it so far.

    before: the lane of another case whose process this one goes on in. more: another case follows, in the same process if
    that was slow to get ready. first: the answer to the first call.
    """

    target: Target
    patience: float = PATIENCE_SECONDS
    before: Lane | None = None
    more: bool = False
    worker: WorkerProcess | None = None
    outcome: Outcome = field(default_factory=Outcome)
    parity: tuple[ParityResult, ...] = ()
    loaded: dict[str, Any] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)
    produced: float | None = None
    seconds: float = 0.0  # of one warm call
    blocks: list[Block] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    slices: list[int] = field(default_factory=list)  # calls of each turn
    row_seconds: float | None = None  # of audio in a row of the output, where it is audio
    chunks: list[tuple[float, ...]] = field(default_factory=list)
    chunk_seconds: list[tuple[float, ...]] = field(default_factory=list)
    block_chunks: list[tuple[list[int], list[int]]] = field(default_factory=list)  # (nanoseconds, rows) of each block of one call
    first_chunks: list[float] = field(default_factory=list)
    trusted: dict[int, set[str]] = field(default_factory=dict)  # digests of outputs whose parity was established, by seed
    witness: Witness = field(default_factory=Witness)
    called: int = 0  # timed calls so far
    memory: list[tuple[int, int]] = field(default_factory=list)  # (timed calls so far, bytes held then)
    notes: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    clock: str = ""

    def __post_init__(self) -> None:
        self.clock = self.target.implementation.clock
        if self.before is not None:
            self.worker, self.loaded, self.before.worker = self.before.worker, self.before.loaded, None
            self.notes.append("its process had run another case: no first call, no memory (--thorough starts one for each case)")

    @property
    def fresh(self) -> bool:
        """Whether the process was started for this case."""
        return self.before is None

    @property
    def waits(self) -> bool:
        """Whether the process is left for the next case."""
        return self.done and self.worker is not None and not self.worker.closed

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        assert self.worker is not None
        return self.worker.ask(command, self.patience, **arguments)

    def settle(self) -> None:
        """Calls that are not timed, before some that are, where several threads work.

        After a pause they all wake where they last ran or where their waker runs: often on one CPU, one behind the other, until the
        system spreads them. That takes it some 4 to 12 ms (a tick is 4), longer than a block, in which it would be taken for the row.
        """
        if self.clock == "wall" and self.seconds <= SETTLE_SECONDS:
            self.called += self.ask("settle", seconds=SETTLE_SECONDS, stay=True)["calls"]

    def end(self, outcome: Outcome | None = None, *, leave: bool = False) -> None:
        """No more of this row in this launch; its process goes, or is left for the next case."""
        if outcome is not None:
            self.outcome = outcome
        self.done = True
        if self.worker is not None and not leave:
            problem = self.worker.close(min(self.patience, 10.0))
            self.notes += [problem] if problem else []

    def distrust(self, reason: str) -> WorkerFailed:
        return WorkerFailed(Outcome("untrusted", f"{self.target.name}: {reason}"))

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """What goes wrong in one row is that row's outcome; the others go on."""
        try:
            yield
        except WorkerFailed as failure:
            self.end(failure.outcome)


def ask_together(lanes: Sequence[Lane], command: str, **arguments: Any) -> list[tuple[Lane, dict[str, Any]]]:
    """The answers of lanes that work side by side, for nothing of it is timed; those that fail have none."""
    for lane in lanes:
        with lane.attempt():
            assert lane.worker is not None
            lane.worker.tell(command, lane.patience, **arguments)
    found = []
    for lane in lanes:
        with lane.attempt():
            if not lane.done:
                assert lane.worker is not None
                found.append((lane, lane.worker.answer(lane.patience)))
    return found


def judge_outputs(lane: Lane, seed: int, outputs: Outputs, where: str, expected: Outputs | None = None) -> None:
    """Judge outputs, against those expected of a seed of the case where none are given; a row that is wrong is not timed."""
    target, planned = lane.target, lane.target.planned
    if expected is None:
        assert not isinstance(target.expected, Outcome)
        expected = target.expected[seed]
    place = f"{target.name}, case {planned.case}, seed {seed}, {where}"
    again = f"reproduce: {reproduce(target, seed)}"
    if (bad := not_finite(outputs)) is not None and not_finite(expected) is None:
        lane.end(Outcome("not finite", f"{place}: output {bad[0]!r} is NaN at {list(bad[1])}; {again}"))
        return
    # What a variant's own metric judges may be left out on purpose; everything else is empty only by mistake.
    exact = expected.keys() - target.replaced.keys()
    empty = [name for name, array in outputs.items() if array.size == 0 and name in exact and expected[name].size]
    if empty:
        lane.end(Outcome("empty output", f"{place}: output {empty[0]!r} is empty, expected shape {expected[empty[0]].shape}; {again}"))
        return
    asked = of_inputs(target.component.policy, target.replaced)
    inputs = target.workload.inputs(seed, keep=False) if asked else None
    results = tuple(
        result if result.passed else _told(result, f"{place}: {result.message}; {again}")
        for result in compare(expected, outputs, target.component.policy, replaced=target.replaced, inputs=inputs)
    )
    lane.parity = _worst(lane.parity, results)
    if not all(result.passed for result in results):
        lane.end()


def reproduce(target: Target, seed: int) -> str:
    """The command that compares this row on this seed alone."""
    planned = target.planned
    declared = any(dict(variant.settings) == dict(planned.variant) for variant in target.implementation.variants)
    case = f"--case {planned.case} --seed {seed}" if not target.audio else "--input FILE"
    given = {name: value for name, value in planned.settings.items() if not (declared and name in planned.variant)}
    turned = "".join(f" --{name.replace('_', '-')} {show(value)}" for name, value in sorted(given.items()))
    return f"harness run {planned.component}.{planned.implementation} --only parity {case}{turned}"


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


def judge_inputs(lane: Lane, answer: Mapping[str, Any]) -> None:
    if answer["mutated"] and not lane.done:
        lane.end(Outcome("untrusted", f"{lane.target.name}: a call changed {answer['mutated']}; run() must leave its inputs as they are"))


def check_kept(lane: Lane) -> float:
    """Check the output that the last timed command kept; the CPU seconds that other threads of the process took since."""
    answer = lane.ask("check", inputs=False)
    if answer["rewritten"]:
        raise lane.distrust("a later call changed the output of the first one; each call must return arrays of its own")
    if answer["digest"] not in lane.trusted.setdefault(answer["seed"], set()):
        judge_outputs(lane, answer["seed"], lane.ask("kept")["outputs"], "a timed call")
        if not lane.done:
            lane.trusted[answer["seed"]].add(answer["digest"])
    lane.memory.append((lane.called, answer["rss_bytes"]))
    return float(answer["hidden_cpu_ns"] / 1e9)


def copying(lane: Lane, answer: Mapping[str, Any]) -> float:
    """Seconds that the worker took to keep an output after the timer had stopped: as it says, within what its bytes can explain."""
    assert not isinstance(lane.target.expected, Outcome)
    most = max(sum(array.nbytes for array in outputs.values()) for outputs in lane.target.expected.values())
    return float(min(answer["after_ns"] / 1e9, most / SLOWEST_COPY))
