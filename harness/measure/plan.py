"""What a session sets out to measure: rows (implementation and settings) times cases, and what is left out, with the reason."""

from __future__ import annotations

import datetime
import fnmatch
import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.audio import read
from harness.component import Approximate, Case, Component, Implementation
from harness.measure import slow
from harness.measure.effort import DEFAULT, THOROUGH
from harness.record import LeftOut, Plan, Planned
from harness.registry import IMPLEMENTATIONS, Registry, unavailable
from harness.settings import ConfigurationError, Settings

LAUNCHES, THOROUGH_LAUNCHES = 3, 5
"""Student's factor over the root of n is 2.5 with three launches, 1.2 with five."""

APPROXIMATIONS = ("precision", "mode", "steps")
"""Settings that approximate the result: the reference never takes them from the session."""


def plan(
    registry: Registry,
    settings: Settings,
    patterns: Sequence[str] = (),
    *,
    machine: str,
    profile: str,
    cases: Sequence[str] = (),
    thorough: bool = False,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    audio: Path | None = None,
    launches: int | None = None,
) -> Plan:
    """The expected set of a session.

    patterns: as Registry.select; the reference of each component comes along. settings: profile, environment and command
    line, merged. cases: names, all but the thorough ones without. sweep: settings to be measured under several values, in
    the same rounds. audio: a file that takes the place of the cases. launches: 3 by default, 5
    with `thorough`. ConfigurationError: nothing to measure, unknown names.
    """
    if launches is None:
        launches = THOROUGH_LAUNCHES if thorough else LAUNCHES
    if launches < 1:
        raise ConfigurationError(f"launches: expected at least 1, found {launches}")
    chosen = {name: _with_reference(registry, name, items) for name, items in registry.select(patterns).items()}
    _check_cases(registry, chosen, cases)
    own = "" if audio is None else audio_case(audio)
    lanes = [settings.merged(values) for values in _combinations(sweep or {})]
    planned: list[Planned] = []
    missing: list[LeftOut] = [*_broken(registry, patterns)]
    left_out: list[LeftOut] = []
    for name, implementations in chosen.items():
        component = registry.components[name]
        if audio is not None and component.from_audio is None:
            if patterns:
                raise ConfigurationError(f"component {name} takes no audio input; leave it out or leave --input out")
            left_out.append(LeftOut(name, "", own, "takes no audio input"))
            continue
        names, later = ((own,), []) if own else _cases(component, cases, thorough)
        left_out += later
        for item in implementations:
            reason = unavailable(item)
            if reason is not None:
                missing += [LeftOut(name, item.name, case, reason) for case in names or ("",)]
                continue
            planned += [row for case in names for row in _rows(component, item, case, lanes, launches)]
    if not planned:
        reasons = "; ".join(dict.fromkeys(f"{out.component}.{out.implementation}: {out.reason}" for out in [*missing, *left_out]))
        raise ConfigurationError(f"nothing can be measured: {reasons or 'no case is selected'}")
    known, effort = slow.remembered(machine), THOROUGH if thorough else DEFAULT
    cold = [(row, slow.reason(known.get(slow.name_of(row), 0.0), effort)) for row in planned]
    left_out += [LeftOut(row.component, row.row, row.case, reason) for row, reason in cold if reason]
    session, created = session_name()
    # By case, the rows of a case together: they are measured interleaved.
    order = {key: number for number, key in enumerate(dict.fromkeys((row.component, row.case) for row in planned))}
    planned.sort(key=lambda row: order[row.component, row.case])
    return Plan(session, created, machine, profile, tuple(planned), tuple(missing), tuple(left_out))


def session_name() -> tuple[str, str]:
    """A name for a session that begins now, and the time."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%S}-{os.urandom(3).hex()}", now.isoformat(timespec="seconds")


def replaced(implementation: Implementation, row: Mapping[str, Any]) -> dict[str, Approximate]:
    """The policies that the variants contained in a row's settings replace."""
    found: dict[str, Approximate] = {}
    for variant in implementation.variants:
        if variant.settings and all(row.get(name) == value for name, value in variant.settings.items()):
            found |= variant.parity
    return found


def reference_settings(reference: Implementation, row: Settings) -> Settings:
    """What the reference must honour so that its outputs answer the same question as the row's."""
    asked = row.only(reference.settings).given()
    return Settings(**{name: value for name, value in asked.items() if name not in APPROXIMATIONS})


def audio_case(audio: Path) -> str:
    """The case name of a user's file: its content, never its name. ConfigurationError where it is not audio."""
    read(audio)
    return f"input-{hashlib.sha256(audio.read_bytes()).hexdigest()[:12]}"


def _with_reference(registry: Registry, component: str, items: Sequence[Implementation]) -> list[Implementation]:
    reference = registry.reference(component)
    return [reference, *(item for item in items if item.name != reference.name)]


def _check_cases(registry: Registry, chosen: Mapping[str, object], cases: Sequence[str]) -> None:
    known = {case.name for name in chosen for case in registry.components[name].cases}
    unknown = [name for name in cases if name not in known]
    if unknown:
        raise ConfigurationError(f"no case {', '.join(map(repr, unknown))}; known: {', '.join(sorted(known))}")


def _cases(component: Component, cases: Sequence[str], thorough: bool) -> tuple[tuple[str, ...], list[LeftOut]]:
    def wanted(case: Case) -> bool:
        return case.name in cases if cases else thorough or not case.thorough

    names = tuple(case.name for case in component.cases if wanted(case))
    if cases:
        return names, [] if names else [LeftOut(component.name, "", "", f"has no case {' or '.join(cases)}")]
    long = [case for case in component.cases if case.thorough and not wanted(case)]
    return names, [LeftOut(component.name, "", case.name, f"only with --thorough: {case.thorough}") for case in long]


def _combinations(sweep: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*sweep.values()):
        yield dict(zip(sweep, values, strict=True))


def _rows(component: Component, item: Implementation, case: str, lanes: Sequence[Settings], launches: int) -> list[Planned]:
    """The plain row and the variants, once for each value of the sweep that makes a difference to them."""
    found: dict[str, Planned] = {}
    for lane in lanes:
        base = lane.only(item.settings)
        if item.role == "reference":
            base = reference_settings(item, base)
        turned = [base] if item.plain or base.variant() else []
        makes: list[Mapping[str, Any]] = [{} for _ in turned]
        for variant in item.variants:
            turned.append(base.merged(variant.settings))
            makes.append(variant.settings)
        for settings, making in zip(turned, makes, strict=True):
            row = {**settings.variant(), **making}
            policies = {**component.policy, **replaced(item, row)}
            exact = not any(isinstance(policy, Approximate) for policy in policies.values())
            entry = Planned(component.name, item.name, item.role, row, settings.given(), case, launches, exact)
            found.setdefault(f"{entry.row} {settings.digest()}", entry)
    return list(found.values())


def _broken(registry: Registry, patterns: Sequence[str]) -> list[LeftOut]:
    def selected(name: str) -> bool:
        heads = (name, name.partition(".")[0])
        return not patterns or any(fnmatch.fnmatchcase(head, pattern) for head in heads for pattern in patterns)

    found = []
    for entry in registry.broken:
        component, _, implementation = entry.name.partition(".")
        if selected(entry.name):
            group = "" if entry.group == IMPLEMENTATIONS else "component "
            found.append(LeftOut(component, implementation, "", f"{group}broken: {entry.error}", broken=True))
    return found
