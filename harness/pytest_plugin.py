"""pytest door: registry entries as test items.

Nothing is collected unless `--harness[=PATTERN]` is given, `[tool.harness] pytest = true` stands in pyproject.toml, or node
ids such as `spectrogram::native::parity[quick]` are named. Parity and target items run through worker processes as
`harness run` does; benchmark items go through pytest-benchmark's fixture: numbers without a verdict.
"""

from __future__ import annotations

import datetime
import os
import types
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.component import Implementation
    from harness.pytest_items import Measured
    from harness.record import LeftOut, Planned

NODE_IDS = pytest.StashKey[list[str]]()
RUN = "harness_run"
"""What the processes of pytest-xdist call their common run."""


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


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process of pytest-xdist the name of the run, so that what one measured is not measured again by another."""
    node.workerinput[RUN] = node.config.stash.setdefault(_NAME, _new_name())


_NAME = pytest.StashKey[str]()


def _new_name() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"


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
    from harness.settings import ConfigurationError

    wanted = config.stash.get(NODE_IDS, [])
    try:
        patterns = _patterns(config)
        if not wanted and not patterns:
            return
        collected = list(_collected(session, patterns or list(dict.fromkeys(node.partition("::")[0] for node in wanted))))
    except ConfigurationError as error:
        raise pytest.UsageError(f"--harness: {error}") from None
    missing = [node for node in wanted if not any(_selects(node, item.nodeid) for item in collected)]
    if missing:
        raise pytest.UsageError(f"no such item: {', '.join(missing)}; `pytest --harness --collect-only -q` lists them")
    chosen = [item for item in collected if patterns or any(_selects(node, item.nodeid) for node in wanted)]
    _check_some_can_run(chosen, patterns or wanted)
    items.extend(chosen)


def _check_some_can_run(chosen: Sequence[pytest.Item], asked: Sequence[str]) -> None:
    """What was asked for and cannot be measured at all is no pass: items that only skip would be one."""
    from harness.pytest_items import Skipped

    skipped = [item for item in chosen if isinstance(item, Skipped)]
    if len(skipped) == len(chosen):
        found = "; ".join(f"{item.nodeid}: {item.reason}" for item in skipped) or "without pytest-benchmark a peer has no items"
        raise pytest.UsageError(f"--harness: nothing of {', '.join(asked)} can be measured here: {found}")


def _is_node_id(argument: str) -> bool:
    head, colons, _ = argument.partition("::")
    return bool(colons) and head.isidentifier() and not Path(head).is_file()


def _selects(node: str, nodeid: str) -> bool:
    return nodeid == node or nodeid.startswith((node + "::", node + "["))


def _patterns(config: pytest.Config) -> list[str]:
    from harness import project
    from harness.settings import ConfigurationError

    given = config.getoption("harness")
    if given is not None and Path(given).exists():
        raise pytest.UsageError(f"--harness took {given!r} for its PATTERN: write --harness=PATTERN, or put --harness behind the files")
    if given is not None:
        return [str(given)]
    path = config.rootpath / "pyproject.toml"
    wanted = project.table(path if path.is_file() else None).get("pytest", False)
    if not isinstance(wanted, bool):
        raise ConfigurationError(f"{path}: [tool.harness] pytest: expected true or false, found {wanted!r}")
    return ["*"] if wanted else []


def _collected(session: pytest.Session, patterns: Sequence[str]) -> Iterator[pytest.Item]:
    """The items of every implementation that a pattern names."""
    from harness import context
    from harness.pytest_items import Measured

    found = context.gather()
    selection = found.registry.select(patterns)
    # The plan holds whole components: a target may be a speed-up over a peer that no pattern names.
    plan = found.plan(list(selection))
    broken = [out for out in found.plan(patterns).unavailable if out.broken]
    inputs = getattr(session.config, "workerinput", None)
    measured = Measured(found, plan, found.targets(plan), inputs[RUN] if inputs else _new_name(), shared=inputs is not None)
    for component in dict.fromkeys([*selection, *(out.component for out in broken)]):
        parent = _Component.from_parent(session, path=_folder(measured, component) / "component.py", name=component, nodeid=component)
        for item in selection.get(component, ()):
            node = f"{component}::{item.name}"
            collector = _Implementation.from_parent(parent, name=item.name, nodeid=node, implementation=item, measured=measured)
            yield from session.genitems(collector)
        names = {item.name for item in selection.get(component, ())}
        yield from _of_component(parent, component, names, measured, [out for out in broken if out.component == component])


def _folder(measured: Measured, component: str) -> Path:
    entries = {entry.name: entry.folder for entry in measured.context.registry.entries}
    return entries.get(component) or Path.cwd()


def _of_component(
    parent: _Component, component: str, names: Collection[str], measured: Measured, broken: Sequence[LeftOut]
) -> Iterator[pytest.Item]:
    """What belongs to no row: plugins that raise fail, and targets that no planned row answers to are skipped with the reason."""
    from harness.pytest_items import Broken, Skipped

    for out in broken:
        name = "broken" if not out.implementation else f"{out.implementation}::broken"
        yield Broken.from_parent(parent, name=name, nodeid=f"{component}::{name}", reason=out.reason)
    for target, reason in measured.unanswered(component):
        if target.implementation is None or target.implementation in names:
            name = f"target[{target.case or 'every case'}-{target.words}]"
            yield Skipped.from_parent(parent, name=name, nodeid=f"{component}::{name}", reason=f"target not judged: {reason}")


class _Component(pytest.Module):
    """A stand-in for the test module that a component does not have: fixtures of module scope live as long as it."""

    def _getobj(self) -> types.ModuleType:
        return types.ModuleType(self.name)

    def collect(self) -> list[pytest.Item]:
        return []


class _Implementation(pytest.Collector):
    """The parity and target items of an implementation's rows, and benchmark items where pytest-benchmark is active."""

    def __init__(self, *, implementation: Implementation, measured: Measured, **rest: Any) -> None:
        super().__init__(**rest)
        self.implementation, self.measured = implementation, measured

    def collect(self) -> Iterator[pytest.Item]:
        from harness.pytest_items import ParityItem, Skipped, TargetItem, benchmark
        from harness.verdict import applies

        plan, component, name = self.measured.plan, self.implementation.component, self.implementation.name
        gone = [out.reason for out in plan.unavailable if (out.component, out.implementation) == (component, name)]
        if gone:
            yield Skipped.from_parent(self, name="unavailable", reason=gone[0])
            return
        planned = [item for item in plan.planned if (item.component, item.implementation) == (component, name)]
        if not planned:
            left = "; ".join(f"case {out.case}: {out.reason}" for out in plan.left_out if out.component == component)
            yield Skipped.from_parent(self, name="left out", reason=left)
        # An outside peer is measured beside us, never judged: it has numbers, no verdicts.
        for item in (item for item in planned if item.role != "peer"):
            yield ParityItem.from_parent(self, name=f"parity[{_parameters(item)}]", planned=item, measured=self.measured)
        for target in self.measured.bounds:
            for item in planned:
                if applies(target, item):
                    node = f"target[{_parameters(item)}-{target.words}]"
                    yield TargetItem.from_parent(self, name=node, planned=item, target=target, measured=self.measured)
        if self.config.pluginmanager.hasplugin("benchmark"):
            for item in planned:
                yield pytest.Function.from_parent(self, name=f"benchmark[{_parameters(item)}]", callobj=benchmark(self.measured, item))


def _parameters(item: Planned) -> str:
    """`quick`, and for a variant `precision=float32-quick`: what stands in the brackets of a node id."""
    return "-".join([*(f"{name}={value}" for name, value in sorted(item.variant.items())), item.case])
