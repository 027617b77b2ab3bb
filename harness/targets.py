"""Targets: the bounds a component has to meet per hardware profile; read from TOML, checked against the component.

`targets.toml` beside component.py holds entries such as

    [[target]]
    profile = "any"
    metric = "speedup_over_madmom"
    at_least = 25
    case = "stems"
    source = "the issue"
    kind = "stated"

`implementation` (default: every optimized exact one), `case` (default: every case) and `settings` (default: any) narrow it; so does
`component`, where several share the folder (default: each of them).
`[[tool.harness.targets.<component>]]` in pyproject.toml has the same entries and overrides.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness import metrics, project
from harness.component import Component, Implementation, Metric, Parity, metrics_of
from harness.settings import ConfigurationError, Settings, label

_KEYS = {"profile": str, "metric": str, "source": str, "kind": str, "component": str, "implementation": str, "case": str, "settings": dict}
_NEEDED = ("profile", "metric", "source", "kind")


@dataclass(frozen=True)
class Target:
    """One bound. origin: the file and entry that set it, for the report. override: it came from the user's pyproject.toml."""

    component: str
    profile: str
    metric: str
    source: str
    kind: Literal["stated", "measured"]
    at_most: float | None = None
    at_least: float | None = None
    implementation: str | None = None
    case: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    override: bool = False

    @property
    def bound(self) -> float:
        """The bound, whichever side it limits."""
        return self.at_most if self.at_most is not None else self.at_least  # type: ignore[return-value]

    @property
    def bounds(self) -> tuple[object, ...]:
        """What it bounds: two targets with equal `bounds` say the same thing twice, or one overrides the other."""
        settings = tuple(sorted((name, str(value)) for name, value in self.settings.items()))
        return (self.component, self.metric, self.at_most is None, self.case, self.implementation, settings)

    @property
    def words(self) -> str:
        """The target in words: `rtf <= 0.1`."""
        return f"{self.metric} {'<=' if self.at_most is not None else '>='} {self.bound:g}"


class TargetError(ConfigurationError):
    """A target that cannot be: the message names the file, the entry, what was expected and what was found."""


def load(
    path: Path, component: Component, implementations: Iterable[Implementation], profiles: Collection[str], *, beside: Collection[str] = ()
) -> tuple[Target, ...]:
    """The targets of one component in a targets.toml; TargetError where an entry cannot be.

    beside: names of the components that share the file; their own entries are left to them.
    """
    body = _read(path)
    unknown = sorted(set(body) - {"target"})
    if unknown:
        raise TargetError(f"{path}: expected only [[target]] entries, found {unknown}")
    found, names = tuple(implementations), {component.name, *beside}
    return _targets(body.get("target", []), component, found, profiles, where=str(path), override=False, names=names)


def load_overrides(
    path: Path, components: Mapping[str, tuple[Component, Iterable[Implementation]]], profiles: Collection[str]
) -> tuple[Target, ...]:
    """The targets in [tool.harness.targets] of a pyproject.toml, by component; none without that table."""
    table = project.table(path).get("targets", {})
    if not isinstance(table, dict):
        raise TargetError(f"{path}: [tool.harness.targets]: expected a table, found {table!r}")
    found: list[Target] = []
    for name, entries in table.items():
        if name not in components:
            raise TargetError(f"{path}: tool.harness.targets.{name}: unknown component; known: {', '.join(sorted(components)) or 'none'}")
        component, implementations = components[name]
        where = f"{path}: tool.harness.targets.{name}"
        found += _targets(entries, component, tuple(implementations), profiles, where=where, override=True, names={name})
    return tuple(found)


def in_force(targets: Iterable[Target], profiles: Sequence[str]) -> tuple[Target, ...]:
    """The targets that apply under a profile, given as names from the most specific to the least.

    Of several on the same metric, case, implementation and settings one counts: the user's own, then the most specific profile's.
    """
    rank = {name: number for number, name in enumerate(profiles)}
    best: dict[tuple[object, ...], Target] = {}
    for target in targets:
        if target.profile not in rank:
            continue
        held = best.get(target.bounds)
        if held is None or (not target.override, rank[target.profile]) < (not held.override, rank[held.profile]):
            best[target.bounds] = target
    return tuple(best.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        return project.read_toml(path)
    except ConfigurationError as error:
        raise TargetError(str(error)) from None


def _targets(
    entries: Any,
    component: Component,
    implementations: Sequence[Implementation],
    profiles: Collection[str],
    *,
    where: str,
    override: bool,
    names: Collection[str],
) -> tuple[Target, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TargetError(f"{where}: expected a list of entries in double brackets, found {entries!r}")
    found: dict[tuple[object, ...], str] = {}
    targets = []
    for number, entry in enumerate(entries, 1):
        origin = f"{where}: entry {number}"
        place = f"{origin} ({entry.get('metric', 'no metric')})"
        if "component" in entry:
            _one_of(place, "component here", entry["component"], names)
            if entry["component"] != component.name:
                continue
        target = replace(_target(entry, component, implementations, profiles, place=place), origin=origin, override=override)
        same = (target.profile, target.bounds)
        if same in found:
            raise TargetError(f"{place}: bounds the same as {found[same]}; keep one of them")
        found[same] = f"entry {number}"
        targets.append(target)
    return tuple(targets)


def _target(
    entry: Mapping[str, Any], component: Component, implementations: Sequence[Implementation], profiles: Collection[str], *, place: str
) -> Target:
    unknown = sorted(set(entry) - set(_KEYS) - {"at_most", "at_least"})
    if unknown:
        raise TargetError(f"{place}: unknown keys {unknown}; known: {', '.join((*_KEYS, 'at_most', 'at_least'))}")
    for name in _NEEDED:
        if not entry.get(name):
            raise TargetError(f"{place}: expected {name!r}, found none")
    for name, kind in _KEYS.items():
        if name in entry and not isinstance(entry[name], kind):
            raise TargetError(f"{place}: {name}: expected a {kind.__name__}, found {entry[name]!r}")
    _one_of(place, "kind", entry["kind"], ("stated", "measured"))
    _one_of(place, "profile", entry["profile"], profiles)
    if "case" in entry:
        _one_of(place, f"case of {component.name}", entry["case"], [case.name for case in component.cases])
    if "implementation" in entry:
        _one_of(place, f"implementation of {component.name}", entry["implementation"], [item.name for item in implementations])
    try:
        Settings(**entry.get("settings", {}))
    except (TypeError, ConfigurationError) as error:
        raise TargetError(f"{place}: settings: {error}") from None
    _check_bound(place, entry, _metrics_of(component, implementations), component)
    return Target(
        component=component.name, profile=entry["profile"], metric=entry["metric"], source=entry["source"], kind=entry["kind"],
        at_most=entry.get("at_most"), at_least=entry.get("at_least"), implementation=entry.get("implementation"),
        case=entry.get("case"), settings=entry.get("settings", {}),
    )  # fmt: skip


def _one_of(place: str, what: str, found: str, known: Collection[str]) -> None:
    if found not in known:
        raise TargetError(f"{place}: unknown {what} {found!r}; known: {', '.join(sorted(known)) or 'none'}")


def _metrics_of(component: Component, implementations: Sequence[Implementation]) -> set[str]:
    """The names of every metric that records of this component can have."""
    names = {name for name, about in metrics.METRICS.items() if about.noise or about.unit == "bytes"}
    names |= {"max_abs_difference", "differing", "agreement"}
    names |= set(_own_metrics(component, implementations))
    for item in implementations:
        if item.role == "reference":
            names.add(f"{metrics.SPEEDUP}reference")
        elif item.role == "peer":
            rows = [item.name] if item.plain else []
            names |= {metrics.SPEEDUP + row for row in rows + [label(item.name, variant.settings) for variant in item.variants]}
    return names


def _own_metrics(component: Component, implementations: Sequence[Implementation]) -> dict[str, Metric]:
    policies: list[Parity] = list(component.policy.values())
    policies += [parity for item in implementations for variant in item.variants for parity in variant.parity.values()]
    return {metric.name: metric for policy in policies for metric in metrics_of(policy)}


def _check_bound(place: str, entry: Mapping[str, Any], known: set[str], component: Component) -> None:
    name = entry["metric"]
    _one_of(place, f"metric of {component.name}", name, known)
    given = [side for side in ("at_most", "at_least") if side in entry]
    if len(given) != 1:
        raise TargetError(f"{place}: expected exactly one of at_most and at_least, found {' and '.join(given) or 'neither'}")
    side, bound, about = given[0], entry[given[0]], metrics.about(name)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
        raise TargetError(f"{place}: {side}: expected a finite number, found {bound!r}")
    if about.better is not None and side != {"less": "at_most", "more": "at_least"}[about.better]:
        right = "at_most" if about.better == "less" else "at_least"
        raise TargetError(f"{place}: of {name} {about.better} is better: expected {right}, found {side}")
    if name == "rtf" and component.unit.audio_seconds is None:
        raise TargetError(f"{place}: {component.name} has no rtf: its unit ({component.unit.name}) stands for no audio")
    if name == "limit_share" and component.work is None:
        raise TargetError(f"{place}: {component.name} has no limit_share: it has no work model")
    if (side == "at_most" and bound < about.lowest) or (side == "at_least" and bound > about.highest):
        raise TargetError(f"{place}: no {name} can satisfy {side} = {bound:g}: it lies in [{about.lowest:g}, {about.highest:g}]")
