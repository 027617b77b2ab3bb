"""The project around a folder: its pyproject.toml and the table [tool.harness] in it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.settings import ConfigurationError

KEYS = ("profiles", "pytest", "targets")
"""What [tool.harness] may hold: a folder of profiles, whether pytest collects without --harness, targets by component."""


def find(start: Path | None = None) -> Path | None:
    """The nearest pyproject.toml around `start` (default: the current folder)."""
    start = Path.cwd() if start is None else start
    return next((folder / "pyproject.toml" for folder in (start, *start.parents) if (folder / "pyproject.toml").is_file()), None)


def name(path: Path | None) -> str:
    """The name of the distribution that a pyproject.toml makes; empty where there is none."""
    found: Any = read_toml(path).get("project", {}) if path is not None else {}
    return str(found.get("name", "")) if isinstance(found, dict) else ""


def table(path: Path | None) -> Mapping[str, Any]:
    """[tool.harness] of a pyproject.toml, empty where there is none; ConfigurationError says what is wrong with it.

    An unknown key is an error: targets under a misspelt name would never be judged.
    """
    found: Any = read_toml(path) if path is not None else {}
    for place, name in (("tool", "tool"), ("tool.harness", "harness")):
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise ConfigurationError(f"{path}: [{place}]: expected a table, found {found!r}")
    unknown = sorted(set(found) - set(KEYS))
    if unknown:
        raise ConfigurationError(f"{path}: [tool.harness]: unknown key {', '.join(map(repr, unknown))}; known: {', '.join(KEYS)}")
    return dict(found)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file; ConfigurationError names it and the line that is wrong."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: expected a readable TOML file, found: {error}") from None
