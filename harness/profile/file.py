"""One profile file: TOML in, a checked Definition out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.profile.predicates import checked
from harness.project import read_toml
from harness.settings import ConfigurationError, Settings

THREADS = ("physical", "performance")
"""Words for `threads`: all physical cores, or the fast ones of a machine with two kinds."""


@dataclass(frozen=True)
class Fact:
    """Something known about hardware, who says so, and the environment that follows for workers where `match` holds.

    value, unit: the fact as a number, where it is one.
    """

    says: str
    source: str
    match: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Margin:
    """The regression verdict's bounds, as shares: fail when surely slower than `fail_above`, pass when surely not by `pass_below`."""

    fail_above: float = 0.01
    pass_below: float = 0.025


@dataclass(frozen=True)
class Definition:
    """One TOML file, checked."""

    name: str
    file: Path
    description: str
    extends: str | None
    manual: bool
    match: Mapping[str, Any]
    settings: Mapping[str, Any]
    margins: Mapping[str, Mapping[str, float]]
    facts: tuple[Fact, ...]


def load(file: Path) -> Definition:
    """The definition in one file; ConfigurationError names the file and the key that is wrong."""
    body = read_toml(file)
    try:
        _only(body, ("description", "extends", "manual", "match", "settings", "margins", "fact"))
        settings = _table(body, "settings")
        settings_of(settings, threads=1)
        margins = _table(body, "margins")
        for metric, margin in margins.items():
            _margin(metric, margin)
        facts = body.get("fact", [])
        if not isinstance(facts, list):
            raise ValueError("fact: expected [[fact]] tables")
        return Definition(
            name=file.stem,
            file=file,
            description=_typed(body, "description", str),
            extends=_typed(body, "extends", str) if "extends" in body else None,
            manual=_typed(body, "manual", bool) if "manual" in body else False,
            match=_match(_table(body, "match")),
            settings=settings,
            margins=margins,
            facts=tuple(_fact(number, fact) for number, fact in enumerate(facts, 1)),
        )
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{file}: {error}") from None


# Checks of one file: ValueError names the key.


def settings_of(values: Mapping[str, Any], *, threads: int) -> Settings:
    """Settings of a table; a word for `threads` becomes that number."""
    unknown = set(values) - set(Settings.__dataclass_fields__)
    if unknown:
        raise ValueError(f"settings: unknown {sorted(unknown)}; known: {', '.join(Settings.__dataclass_fields__)}")
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if isinstance(plain.get("threads"), str):
        if plain["threads"] not in THREADS:
            raise ValueError(f"settings.threads: expected a number or one of {', '.join(THREADS)}, found {plain['threads']!r}")
        plain["threads"] = threads
    return Settings(**plain)


def _margin(metric: str, margin: Any) -> None:
    if not isinstance(margin, dict) or not all(isinstance(value, (int, float)) for value in margin.values()):
        raise ValueError(f"margins.{metric}: expected a table with fail_above and pass_below, found {margin!r}")
    _only(margin, ("fail_above", "pass_below"), f"margins.{metric}.")
    both = Margin(**margin)
    if not 0 < both.fail_above <= both.pass_below < 1:
        raise ValueError(f"margins.{metric}: expected 0 < fail_above <= pass_below < 1, found {both.fail_above:g} and {both.pass_below:g}")


def _fact(number: int, body: Any) -> Fact:
    where = f"fact {number}: "
    if not isinstance(body, dict):
        raise ValueError(f"{where}expected a table, found {body!r}")
    _only(body, ("says", "source", "match", "environment", "value", "unit"), where)
    environment = _table(body, "environment")
    for name, value in environment.items():
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) or not isinstance(value, str):
            raise ValueError(f'{where}environment: expected NAME = "text", found {name} = {value!r}')
    if ("value" in body) != ("unit" in body):
        raise ValueError(f"{where}expected value and unit together")
    return Fact(
        says=_typed(body, "says", str, where),
        source=_typed(body, "source", str, where),
        match=_match(_table(body, "match")),
        environment=environment,
        value=float(_typed(body, "value", (int, float), where)) if "value" in body else None,
        unit=_typed(body, "unit", str, where) if "unit" in body else "",
    )


def _match(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: checked(name, value) for name, value in body.items()}


def _table(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = body.get(key, {})
    if not isinstance(found, dict):
        raise ValueError(f"{key}: expected a table, found {found!r}")
    return found


def _typed(body: Mapping[str, Any], key: str, kind: Any, where: str = "") -> Any:
    if not isinstance(body.get(key), kind):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise ValueError(f"{where}{key}: expected {names}, found {body.get(key)!r}")
    return body[key]


def _only(body: Mapping[str, Any], known: tuple[str, ...], where: str = "") -> None:
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise ValueError(f"{where}unknown key {', '.join(map(repr, unknown))}; known: {', '.join(known)}")
