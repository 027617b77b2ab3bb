"""pytest door: registry entries as test items.

Nothing is collected unless `--harness[=PATTERN]` is given, `[tool.harness] pytest = true` stands in pyproject.toml, or node
ids such as `spectrogram::native::parity[quick]` are named. Parity and target items run through worker processes as
`harness run` does; benchmark items go through pytest-benchmark's fixture: numbers without a verdict.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.context import Context
    from harness.record import Plan, Planned
    from harness.targets import Target
    from harness.verdict import Answer, Row, Verdicts

NODE_IDS = pytest.StashKey[list[str]]()
MEASURED = pytest.StashKey[dict[str, "Verdicts"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --harness."""
    group = parser.getgroup("harness", "audio performance harness")
    group.addoption(
        "--harness",
        nargs="?",
        const="*",
        default=None,
        metavar="PATTERN",
        help="collect parity, target and benchmark items for the registered implementations that match (all without PATTERN)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Take our node ids off the arguments before pytest looks for files of that name."""
    arguments = [str(argument) for argument in session.config.args]
    ours = [argument for argument in arguments if _is_node_id(argument)]
    session.config.stash[NODE_IDS] = ours
    if ours:
        session.config.args[:] = [argument for argument in arguments if argument not in ours]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the items of the registry; -k, -m and --deselect see them like any other."""
    wanted = config.stash.get(NODE_IDS, [])
    patterns = _patterns(config)
    if not wanted and not patterns:
        return
    from harness import context
    from harness.settings import ConfigurationError

    try:
        found = context.gather()
        selection = found.registry.select(patterns or sorted({"{}.{}".format(*_names(node)) for node in wanted}))
        config.stash[MEASURED] = {}
        collected = [
            item
            for component, chosen in selection.items()
            for collector in _collectors(session, found, component, [item.name for item in chosen])
            for item in session.genitems(collector)
        ]
    except ConfigurationError as error:
        raise pytest.UsageError(f"--harness: {error}") from None
    if wanted:
        missing = [node for node in wanted if not any(_selects(node, item.nodeid) for item in collected)]
        if missing:
            raise pytest.UsageError(f"no such item: {', '.join(missing)}; `pytest --harness --collect-only -q` lists them")
        if not patterns:
            collected = [item for item in collected if any(_selects(node, item.nodeid) for node in wanted)]
    items.extend(collected)


def _is_node_id(argument: str) -> bool:
    parts = argument.split("::")
    return len(parts) >= 2 and parts[0].isidentifier() and not Path(parts[0]).exists()


def _names(node: str) -> tuple[str, str]:
    component, implementation = node.split("::")[:2]
    return component, implementation.partition("[")[0]


def _selects(node: str, nodeid: str) -> bool:
    return nodeid == node or nodeid.startswith((node + "::", node + "["))


def _patterns(config: pytest.Config) -> list[str]:
    given = config.getoption("harness")
    if given is not None:
        return [str(given)]
    path = config.rootpath / "pyproject.toml"
    if not path.is_file():
        return []
    try:
        wanted = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("harness", {}).get("pytest", False)
    except tomllib.TOMLDecodeError as error:
        raise pytest.UsageError(f"{path}: not valid TOML: {error}") from None
    if not isinstance(wanted, bool):
        raise pytest.UsageError(f"{path}: [tool.harness] pytest: expected true or false, found {wanted!r}")
    return ["*"] if wanted else []


def _collectors(session: pytest.Session, context: Context, component: str, names: Sequence[str]) -> Iterator[_Implementation]:
    """One collector per implementation; unavailable ones keep a place, to be reported with the reason."""
    from harness import measure

    plan = measure.plan(context.registry, context.settings, [component], machine=context.machine.name, profile=context.profile.name)
    targets = context.targets(plan)
    parent = _Component.of(session, context, component)
    reasons = {out.implementation: out.reason for out in plan.unavailable}
    for name in names:
        nodeid = f"{component}::{name}"
        yield _Implementation.from_parent(
            parent, name=name, nodeid=nodeid, context=context, plan=plan, targets=targets, reason=reasons.get(name, "")
        )


class _Component(pytest.Module):
    """A stand-in for the test module that a component does not have: fixtures of module scope live as long as it."""

    @classmethod
    def of(cls, session: pytest.Session, context: Context, component: str) -> _Component:
        folder = context.registry.entry(component).folder or Path(session.path)
        made: _Component = cls.from_parent(session, path=folder / "component.py", name=component, nodeid=component)
        return made

    def _getobj(self) -> types.ModuleType:
        return types.ModuleType(self.name)

    def collect(self) -> list[pytest.Item]:
        return []


class _Implementation(pytest.Collector):
    """The parity and target items of an implementation's rows, and benchmark items where pytest-benchmark is active."""

    def __init__(self, *, context: Context, plan: Plan, targets: Sequence[Target], reason: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.context, self.plan, self.targets, self.reason = context, plan, targets, reason

    def collect(self) -> Iterator[pytest.Item]:
        if self.reason:
            yield _Unavailable.from_parent(self, name="unavailable", reason=self.reason)
            return
        from harness.targets import in_force
        from harness.verdict import applies

        planned = [item for item in self.plan.planned if item.implementation == self.name]
        # An outside peer is measured beside us, never judged: it has numbers, no verdicts.
        for item in (item for item in planned if item.role != "peer"):
            yield _ParityItem.from_parent(self, name=f"parity[{_parameters(item)}]", planned=item)
        for target in in_force(self.targets, self.context.profile.lineage):
            for item in planned:
                if applies(target, item):
                    yield _TargetItem.from_parent(self, name=f"target[{_parameters(item)}-{target.words}]", planned=item, target=target)
        if self.config.pluginmanager.hasplugin("benchmark"):
            for item in planned:
                yield pytest.Function.from_parent(self, name=f"benchmark[{_parameters(item)}]", callobj=_benchmark(self.context, item))


def _parameters(item: Planned) -> str:
    """`quick`, and for a variant `precision=float32-quick`: what stands in the brackets of a node id."""
    return "-".join([*(f"{name}={value}" for name, value in sorted(item.variant.items())), item.case])


class _NotGreen(Exception):
    """An item whose answer is not pass; its text is all there is to show."""


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *rest: Any) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, _NotGreen) else super().repr_failure(excinfo, *rest)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.nodeid


class _Unavailable(_Item):
    def __init__(self, *, reason: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.reason = reason

    def runtest(self) -> None:
        pytest.skip(self.reason)


class _RowItem(_Item):
    parent: _Implementation

    def __init__(self, *, planned: Planned, **rest: Any) -> None:
        super().__init__(**rest)
        self.planned = planned

    def conclude(self, row: Row, answers: Sequence[Answer]) -> None:
        """Pass only where every answer is pass; say all that is known otherwise."""
        self.user_properties += [(answer.metric or answer.question, f"{answer.state} {answer.value}") for answer in answers]
        bad = [answer for answer in (*row.of("run"), *answers) if answer.state != "pass"]
        if bad or not answers:
            lines = [f"{answer.question}: {answer.state}: {answer.message}" for answer in bad] or ["nothing was measured"]
            raise _NotGreen("\n".join([*lines, *(note for answer in bad for note in answer.notes)]))


class _ParityItem(_RowItem):
    """The row computes what the reference computes, on every seed of the case."""

    def runtest(self) -> None:
        verdicts = _measure(self.parent.context, dataclasses.replace(self.parent.plan, planned=(self.planned,)), timed=False)
        self.conclude(verdicts.rows[0], verdicts.rows[0].of("parity"))


class _TargetItem(_RowItem):
    """The row meets one target; the first item of a component measures all of its rows interleaved, as `harness run` does."""

    def __init__(self, *, target: Target, **rest: Any) -> None:
        super().__init__(**rest)
        self.target = target

    def runtest(self) -> None:
        measured, component = self.config.stash[MEASURED], self.planned.component
        if component not in measured:
            measured[component] = _measure(self.parent.context, self.parent.plan, timed=True)
        (row,) = (row for row in measured[component].rows if row.planned == self.planned)
        self.conclude(row, [answer for answer in row.of("target") if answer.target == self.target])


def _measure(context: Context, plan: Plan, *, timed: bool) -> Verdicts:
    from harness import limits, measure

    if not timed:
        plan = dataclasses.replace(plan, planned=tuple(dataclasses.replace(item, launches=1) for item in plan.planned))
    found = limits.cached(context.machine)
    records = measure.run(
        plan,
        context.registry,
        settings=context.settings,
        store=context.store if timed else None,
        environment=context.profile.environment,
        timed=timed,
        floor=limits.floor(found) if found else None,
    )
    return context.judge(plan, records, context.targets(plan) if timed else ())


def _benchmark(context: Context, planned: Planned) -> Any:
    """A test function that hands the implementation, loaded in this process, to pytest-benchmark's fixture."""

    def function(benchmark: Any) -> None:
        implementation = context.registry.implementations(planned.component)[planned.implementation]
        inputs = context.registry.components[planned.component].case(planned.case).make(0)
        with implementation.load(context.settings.merged(dict(planned.settings))) as run:
            benchmark(_whole(run), inputs)

    return function


def _whole(run: Any) -> Any:
    """`run`, with a streamed result drawn to its end: a generator that nobody reads has computed nothing."""

    def call(inputs: Any) -> Any:
        outputs = run(inputs)
        return list(outputs) if isinstance(outputs, Iterator) else outputs

    return call
