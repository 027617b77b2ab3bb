"""What is installed now, and what of an old result it contradicts: a stored pass says nothing of code that has changed its contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.record import Build, Plan, Planned, Record

OWN_AUDIO = "input-"
MOST_NAMES = 8


@dataclass(frozen=True)
class Code:
    """One registered implementation: the settings it honours, its build (without the file), and why it cannot run here, if so."""

    settings: tuple[str, ...]
    build: Build
    unavailable: str = ""


@dataclass(frozen=True)
class Contract:
    """One registered component: the version of its contract, its cases, its implementations by name.

    bounds: what is allowed of each output, in the words that a record keeps.
    """

    version: int
    cases: tuple[str, ...]
    implementations: Mapping[str, Code]
    bounds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Installed:
    """Every registered component by name. broken: entries that cannot be loaded, with the error."""

    components: Mapping[str, Contract]
    broken: Mapping[str, str] = field(default_factory=dict)

    def other_contract(self, component: str, found: Iterable[int | str]) -> str:
        """Why results under these contract versions do not hold for the installed component; empty when they do."""
        known = self.components.get(component)
        others = sorted({str(version) for version in found} - {str(known.version)}) if known else []
        if known is None or not others:
            return ""
        return (
            f"it was measured under contract version {', '.join(others)} of {component}, installed is version {known.version}: "
            "cases, outputs or bounds mean something else now"
        )

    def other_bounds(self, component: str, records: Iterable[Record]) -> str:
        """Why passing parity of these records is none by the installed bounds, whatever their version says; empty when it is."""
        known = self.components.get(component)
        for record in records if known else ():
            then = {result.output: result.instead_of or result.allowed for result in record.parity if result.passed}
            for output, now in known.bounds.items() if known and len(then) == len(record.parity) > 0 else ():
                if then.get(output) != now:
                    was = f"compared by '{then[output]}'" if output in then else "not compared"
                    return f"its output {output!r} was {was}, installed is '{now}': the component changed without a new version"
        return ""

    def gone(self, item: Planned) -> str:
        """Why what was planned is no longer what is installed: uninstalled, broken or renamed; empty when it is there."""
        known, name = self.components.get(item.component), f"{item.component}.{item.implementation}"
        broken = next((f" (broken: {self.broken[key]})" for key in (item.component, name) if key in self.broken), "")
        if known is None:
            return f"component {item.component} is not registered now{broken}: its contract and targets are unknown; install it again"
        again = f"measure what there is with `harness run {item.component}`"
        code = known.implementations.get(item.implementation)
        if code is None:
            there = ", ".join(known.implementations) or "nothing"
            return f"{name} is not registered now, uninstalled or renamed since{broken} (registered: {there}); {again}"
        if item.case not in known.cases and not item.case.startswith(OWN_AUDIO):
            return f"{item.component} has no case {item.case!r} now, removed or renamed since (cases: {', '.join(known.cases)}); {again}"
        dead = sorted(set(item.settings) - set(code.settings))
        if dead:
            return f"{name} does not honour {', '.join(dead)} now (honoured: {', '.join(code.settings) or 'nothing'}); {again}"
        return ""

    def notes(self, plan: Plan, records: Sequence[Record]) -> list[str]:
        """What is no contradiction and worth knowing: other builds, what cannot run now, what is registered beyond the session."""
        return [*self._builds(records), *self._unavailable(plan), *self._beyond(plan)]

    def _builds(self, records: Sequence[Record]) -> list[str]:
        differing: dict[tuple[str, str], dict[str, None]] = {}
        for record in (record for record in records if record.outcome.kind == "measured"):
            code = self._code(record.component, record.implementation)
            if code is not None and replace(record.build, file="") != code.build:
                names = differing.setdefault((_named(record.build), _named(code.build)), {})
                names[f"{record.component}.{record.implementation}"] = None
        return [
            f"measured was {then}, installed is {now}: what was measured is judged, not what is installed ({few(names)})"
            for (then, now), names in differing.items()
        ]

    def _unavailable(self, plan: Plan) -> list[str]:
        found: dict[str, str] = {}
        for item in plan.planned:
            code = self._code(item.component, item.implementation)
            if code is not None and code.unavailable:
                found[f"{item.component}.{item.implementation}"] = code.unavailable
        return [f"{name} cannot run here now ({reason}): what was measured is judged" for name, reason in found.items()]

    def _beyond(self, plan: Plan) -> list[str]:
        had = {(item.component, item.implementation) for item in plan.planned}
        had |= {(item.component, item.implementation) for item in plan.unavailable}
        components = {component for component, _ in had}
        beyond = [name for name in self.components if name not in components]
        for component in sorted(components & self.components.keys()):
            beyond += [f"{component}.{name}" for name in self.components[component].implementations if (component, name) not in had]
        return [f"registered now, not in this session, not judged: {few(beyond)}; `harness run` measures it"] if beyond else []

    def _code(self, component: str, implementation: str) -> Code | None:
        known = self.components.get(component)
        return known.implementations.get(implementation) if known else None


def _named(build: Build) -> str:
    name = f"{build.distribution} {build.version}".strip() or "code of no distribution"
    return f"{name} (native sources {build.native[:8]})" if build.native else name


def few(names: Iterable[str]) -> str:
    """The first of them in words, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
