"""The items of the pytest door, and what they share: nothing is measured twice in one run of pytest."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import limits, lock, measure, targets, verdict
from harness.context import Context
from harness.metrics import Key, key
from harness.record import Plan, Planned
from harness.report.text import measured as shown
from harness.settings import Settings
from harness.targets import Target
from harness.verdict import Answer, Row, Verdicts


class Measured:
    """What the items of one run have measured so far.

    plan: whole components, by default cases. run: begins the names of its sessions. shared: processes of pytest-xdist measure
    one after the other, and read what another one has measured of a component.
    """

    def __init__(self, context: Context, plan: Plan, found: Sequence[Target], run: str, *, shared: bool) -> None:
        self.context, self.plan, self.targets, self._run, self._shared = context, plan, found, run, shared
        self.bounds = targets.in_force(found, context.profile.lineage)
        self._parity: dict[Key, Row] = {}
        self._timed: dict[str, Verdicts] = {}

    def parity(self, planned: Planned) -> Row:
        """The row compared with the reference on every seed of the case."""
        if key(planned) not in self._parity:
            plan = dataclasses.replace(self.plan, planned=(dataclasses.replace(planned, launches=1),))
            with self._alone(fcntl.LOCK_SH):
                self._parity[key(planned)] = self._verdicts(plan, self._measure(plan, timed=False), ()).rows[0]
        return self._parity[key(planned)]

    def timed(self, component: str, wanted: Sequence[Planned]) -> Verdicts:
        """The wanted rows with the references and peers of their cases, interleaved as `harness run` does; measured once."""
        if component not in self._timed:
            cases = {item.case for item in wanted}
            beside = [item for item in self.plan.planned if item in wanted or (item.role != "optimized" and item.case in cases)]
            rows = tuple(item for item in beside if item.component == component)
            plan = dataclasses.replace(self.plan, session=f"{self._run}-{component}", planned=rows)
            with self.alone():
                if plan.session in self.context.store.sessions():
                    stored, records = self.context.store.read(plan.session)
                    self._timed[component] = self._verdicts(stored, records, self.targets)
                else:
                    self._timed[component] = self._verdicts(plan, self._measure(plan, timed=True), self.targets)
        return self._timed[component]

    def unanswered(self, component: str) -> Iterator[tuple[Target, str]]:
        """Targets of a component that no planned row answers to, and why: a thorough case, another setting."""
        for target in self.bounds:
            if target.component == component and not any(verdict.applies(target, item) for item in self.plan.planned):
                left = [out.reason for out in self.plan.left_out if out.component == component and out.case == target.case]
                gone = [out for out in self.plan.unavailable if (out.component, out.implementation) == (component, target.implementation)]
                if left:
                    yield target, f"case {target.case}: {left[0]}"
                elif not gone:  # that its implementation is unavailable is said once, by an item of its own
                    yield target, "no planned row has its case, implementation and settings"

    def _verdicts(self, plan: Plan | None, records: Sequence[Any], found: Sequence[Target]) -> Verdicts:
        return self.context.judge(plan, records, found)

    def _measure(self, plan: Plan, *, timed: bool) -> Sequence[Any]:
        ceilings = limits.cached(self.context.machine)
        return measure.run(
            plan,
            self.context.registry,
            settings=self.context.settings,
            store=self.context.store if timed else None,
            environment=self.context.profile.environment,
            timed=timed,
            floor=limits.floor(ceilings) if ceilings else None,
        )

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Times are taken while nothing else of this user is measured; Busy (a usage error) says who measures."""
        with self._alone(fcntl.LOCK_EX), lock.measuring():
            yield

    @contextlib.contextmanager
    def _alone(self, how: int) -> Iterator[None]:
        """Times are taken while no other process of this run measures anything; results are compared side by side."""
        if not self._shared:
            yield
            return
        folder = self.context.store.folder
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / "measuring.lock", "w", encoding="utf-8") as file:
            fcntl.flock(file, how)
            yield


class _NotGreen(Exception):
    """An item whose answer is not pass; its text is all there is to show."""


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, _NotGreen) else super().repr_failure(excinfo, *rest)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.nodeid


class _WithReason(_Item):
    def __init__(self, *, reason: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.reason = reason


class Skipped(_WithReason):
    """What cannot be measured or judged here, and why."""

    def runtest(self) -> None:
        pytest.skip(self.reason)


class Broken(_WithReason):
    """A plugin that should work here and raised."""

    def runtest(self) -> None:
        raise _NotGreen(f"{self.reason}; repair or uninstall it")


class _RowItem(_Item):
    def __init__(self, *, planned: Planned, measured: Measured, **rest: Any) -> None:
        super().__init__(**rest)
        self.planned, self.measured = planned, measured

    def conclude(self, row: Row, answers: Sequence[Answer]) -> None:
        """Pass only where every answer is pass; say all that is known otherwise."""
        bad = not_green(row, answers)
        if bad:
            raise _NotGreen("\n".join(bad))


class ParityItem(_RowItem):
    """The row computes what the reference computes, on every seed of the case."""

    def runtest(self) -> None:
        row = self.measured.parity(self.planned)
        self.user_properties += [(name, shown(name, row.metrics.get(name))) for result in row.parity for name in result.measured]
        self.conclude(row, row.of("parity"))


class TargetItem(_RowItem):
    """The row meets one target; the first item of a component measures for all of them."""

    def __init__(self, *, target: Target, **rest: Any) -> None:
        super().__init__(**rest)
        self.target = target

    def runtest(self) -> None:
        component = self.planned.component
        selected = [item for item in self.session.items if isinstance(item, TargetItem) and item.planned.component == component]
        verdicts = self.measured.timed(component, [item.planned for item in selected])
        rows = [row for row in verdicts.rows if key(row.planned) == key(self.planned)]
        if not rows:
            raise _NotGreen("; ".join(problem.message for problem in verdicts.problems) or "nothing was measured")
        answers = [answer for answer in rows[0].of("target") if answer.target == self.target]
        for answer in answers:
            self.user_properties += [(answer.metric, shown(answer.metric, answer.value)), ("target", self.target.words)]
            self.user_properties.append(("set in", self.target.origin))
        self.conclude(rows[0], answers)


def not_green(row: Row, answers: Sequence[Answer]) -> list[str]:
    """What is not pass of a row that had to run and to give these answers; without an answer nothing was measured."""
    bad = [answer for answer in (*row.of("run"), *answers) if answer.state != "pass"]
    lines = [f"{answer.question}: {answer.state}: {answer.message}" for answer in bad]
    return [*lines, *(note for answer in bad for note in answer.notes)] or ([] if answers else ["nothing was measured"])


def benchmark(measured: Measured, planned: Planned) -> Callable[..., None]:
    """A test function that hands the implementation, loaded in this process, to pytest-benchmark's fixture.

    Parity comes first, in a worker: what is wrong has no time, and what ends its process must not end this one.
    """

    def function(benchmark: Any) -> None:
        row = measured.parity(planned)
        bad = not_green(row, row.of("parity") if planned.role != "peer" else row.of("run"))
        if bad:
            pytest.fail("\n".join(["no numbers of what does not work:", *bad]), pytrace=False)
        registry = measured.context.registry
        implementation = registry.implementations(planned.component)[planned.implementation]
        inputs = registry.components[planned.component].case(planned.case).make(0)
        with measured.alone(), implementation.load(Settings().merged(planned.settings)) as run:
            # Node ids tell items apart, pytest-benchmark shows names: what may be compared is one group.
            benchmark.name, benchmark.group = planned.row, f"{planned.component} on {planned.case}"
            benchmark(_whole(run), inputs)

    return function


def _whole(run: Any) -> Any:
    """`run`, with a streamed result drawn to its end: a generator that nobody reads has computed nothing."""

    def call(inputs: Any) -> Any:
        outputs = run(inputs)
        return list(outputs) if isinstance(outputs, Iterator) else outputs

    return call
