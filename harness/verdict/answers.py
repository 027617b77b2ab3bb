"""What verdicts are made of: answers to questions about rows, the rows, what is wrong with a session, the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.metrics import Value
from harness.parity import ParityResult
from harness.record import Build, Floor, Plan, Planned
from harness.targets import Target

State = Literal["pass", "fail", "inconclusive", "invalid", "no target"]
Question = Literal["run", "parity", "target", "regression", "realtime"]

_WORST: tuple[State, ...] = ("invalid", "fail", "inconclusive", "no target", "pass")


@dataclass(frozen=True)
class Answer:
    """The answer to one question about one row on one case.

    message: one sentence that says why; empty for a plain pass. value: what was judged. limit: the bound of a target, or the
    margin of a regression (then value is the slow-down of head over base). notes: what to know beside the state (`unreachable: ...`).
    """

    question: Question
    state: State
    message: str = ""
    metric: str = ""
    value: Value | None = None
    limit: float | None = None
    target: Target | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """All that is known of one row on one case.

    launches: how many measured it. missing: fewer than planned left a record. metrics: times are absent where parity did not
    pass. parity: the results per output of the first launch that failed, else of the last. notes: what its launches had to say
    beside what they measured (child processes that work for it, a process that did not end well).
    """

    planned: Planned
    answers: tuple[Answer, ...]
    metrics: Mapping[str, Value] = field(default_factory=dict)
    parity: tuple[ParityResult, ...] = ()
    launches: int = 0
    missing: bool = False
    unit: str = ""
    build: Build | None = None
    floor: Floor | None = None
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The worst of its answers."""
        return min((answer.state for answer in self.answers), key=_WORST.index)

    def of(self, question: Question) -> tuple[Answer, ...]:
        """The answers to one question."""
        return tuple(answer for answer in self.answers if answer.question == question)

    @property
    def judged(self) -> tuple[Answer, ...]:
        """The answers that the session answers for: an outside peer's own parity or crash is information, a bound set on it is not."""
        return tuple(a for a in self.answers if self.planned.role != "peer" or a.question in ("target", "regression"))


@dataclass(frozen=True)
class Problem:
    """What is wrong with the session as a whole."""

    state: Literal["invalid", "missing"]
    message: str


@dataclass(frozen=True)
class Verdicts:
    """The outcome of a session. notes: what was not judged, and why."""

    plan: Plan | None
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def exit_code(verdicts: Verdicts) -> int:
    """0 pass, 1 fail, 3 inconclusive, 4 invalid, 5 nothing or less than planned was measured."""
    states = {answer.state for row in verdicts.rows for answer in row.judged}
    problems = {problem.state for problem in verdicts.problems}
    if "invalid" in states | problems:
        return 4
    if "fail" in states:
        return 1
    if not verdicts.rows or "missing" in problems or any(row.missing for row in verdicts.rows):
        return 5
    return 3 if "inconclusive" in states else 0
