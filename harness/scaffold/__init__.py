"""A plugin package from a template: names are checked, files are written once and never over others."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from harness.registry import Registry
from harness.settings import ConfigurationError

TEMPLATES = Path(__file__).parent / "templates"
PACKAGE, SUFFIX = "__package__", ".in"
"""In a template's paths: the folder that gets the package's name, and what every file ends with (none of them is a module here)."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
LONGEST = 64


@dataclass(frozen=True)
class Scaffold:
    """A package to be written. words: what its template says in place of `${...}`. pattern: its rows, for `harness list` and `run`."""

    kind: Literal["component", "implementation"]
    package: str
    pattern: str
    words: Mapping[str, str]


def component(name: str, registry: Registry) -> Scaffold:
    """A package with a component of its own, a reference and an optimized implementation; ConfigurationError where the name cannot be."""
    _check(name, "component", "loudness_meter")
    if name in registry.components:
        owner = registry.entry(name).distribution
        raise ConfigurationError(
            f"component {name} is registered already, by {owner}; choose another name, "
            f"or write an implementation of it: harness new implementation {name}.NAME"
        )
    _check_package(name)
    return Scaffold("component", name, name, {"component": name, **_common(name)})


def implementation(name: str, registry: Registry) -> Scaffold:
    """A package with an implementation of a registered component; it begins as the component's reference, to be replaced."""
    of, dot, own = name.partition(".")
    if not dot or not of or not own:
        raise ConfigurationError(f"expected COMPONENT.NAME such as spectrogram.mine, found {name!r}")
    if of not in registry.components:
        known = ", ".join(sorted(registry.components)) or "none"
        raise ConfigurationError(f"component {of!r} is not registered; known: {known}; a new one: harness new component NAME")
    _check(own, "implementation", "mine")
    if own in registry.implementations(of):
        raise ConfigurationError(f"{name} is registered already, by {registry.entry(name).distribution}; choose another name")
    package = f"{of}_{own}"
    _check_package(package)
    reference = registry.reference(of)
    module, _, attribute = registry.entry(f"{of}.{reference.name}").value.partition(":")
    words = {
        "component": of,
        "implementation": own,
        "reference": f"{of}.{reference.name}",
        "reference_module": module,
        "reference_attribute": attribute,
        "component_module": registry.entry(of).value.partition(":")[0],
        "distribution_of_component": registry.entry(of).distribution,
        "quick": next(case.name for case in registry.components[of].cases if case.quick),
        "clock": reference.clock,
    }
    return Scaffold("implementation", package, name, {**words, **_common(package)})


def write(found: Scaffold, folder: Path) -> list[Path]:
    """Write the package into a folder that is absent or empty; its files. ConfigurationError: something is there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder}: expected a folder that does not exist yet, found something there; name another with -o DIR")
    template, written = TEMPLATES / found.kind, []
    for source in sorted(path for path in template.rglob(f"*{SUFFIX}") if path.is_file()):
        place = source.relative_to(template).as_posix().removesuffix(SUFFIX).replace(PACKAGE, found.package)
        path = folder / place.replace("dot-", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(Template(source.read_text(encoding="utf-8")).substitute(found.words))
        written.append(path)
    return written


def _common(package: str) -> dict[str, str]:
    return {"package": package, "distribution": package.replace("_", "-"), "title": package.replace("_", " ").capitalize()}


def _check(name: str, what: str, such_as: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST:
        raise ConfigurationError(
            f"name of the {what}: expected lower case letters, digits and underscores that begin with a letter and are no word of "
            f"Python's own, at most {LONGEST} of them, such as {such_as}; found {name!r}"
        )


def _check_package(package: str) -> None:
    """The package must hide no other one."""
    found = importlib.util.find_spec(package)
    if found is not None:
        where = found.origin or ", ".join(found.submodule_search_locations or ())
        raise ConfigurationError(f"a package {package} can be imported here already ({where}) and would be hidden; choose another name")
