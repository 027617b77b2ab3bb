"""Profiles: a kind of hardware, its settings, the environment of its workers, its margins, and what is known about it.

A profile is a TOML file named after it. Exactly one is chosen: of those whose predicates hold (their parents' included), the one
that the others extend. A machine is named after its fastest processor: every CPU profile asks for `cuda = false`, so that an
NVIDIA machine has one answer whatever its CPU. What must hold on both stands in a fact with its own `match`, on the common parent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import lightweight, project
from harness.machine import Machine
from harness.profile.file import Definition, Fact, Margin, load, settings_of
from harness.profile.predicates import unmet
from harness.settings import ConfigurationError, Settings, from_environment

SHIPPED = Path(__file__).parent.parent / "profiles"

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True)
class Profile:
    """The profile chosen for a machine, with all that it inherits.

    lineage: its name first, then what it extends, up to the root. chosen: "by its predicates" or "by name".
    unmet: predicates that do not hold here (only a profile chosen by name has any). settings_from: which profile gave a setting.
    """

    name: str
    description: str
    lineage: tuple[str, ...]
    chosen: str
    unmet: tuple[str, ...]
    settings: Settings
    settings_from: Mapping[str, str]
    environment: Mapping[str, str]
    margins: Mapping[str, Margin]
    facts: tuple[Fact, ...]

    def margin(self, metric: str) -> Margin:
        """The margin of a metric: its own, else the profile's `default`."""
        return self.margins.get(metric, self.margins.get("default", Margin()))


def choose(machine: Machine, name: str | None = None, *, folders: Iterable[Path] = ()) -> Profile:
    """The profile of a machine, or the one named; ConfigurationError lists the candidates where two fit or none has that name."""
    definitions = load_all(folders)
    if name is not None:
        if name not in definitions:
            raise ConfigurationError(f"no profile {name!r}; known: {', '.join(sorted(definitions))}")
        return _resolve(definitions, name, machine, "by name")
    fitting = {
        candidate
        for candidate in definitions
        if not any(definitions[step].manual or unmet(machine, definitions[step].match) for step in _lineage(definitions, candidate))
    }
    extended = {step for candidate in fitting for step in _lineage(definitions, candidate)[1:]}
    leaves = sorted(fitting - extended)
    if len(leaves) != 1:
        listed = ", ".join(f"{leaf} ({definitions[leaf].file})" for leaf in leaves) or "none"
        raise ConfigurationError(
            f"machine {machine.name}: expected exactly one profile that fits, found {listed}; "
            "let one extend the other, narrow a [match], or choose with --profile"
        )
    return _resolve(definitions, leaves[0], machine, "by its predicates")


def load_all(folders: Iterable[Path] = ()) -> dict[str, Definition]:
    """The shipped profiles and those of `folders` by name, checked: names are distinct and what is extended exists."""
    definitions: dict[str, Definition] = {}
    for folder in (SHIPPED, *folders):
        files = sorted(folder.glob("*.toml"))
        if not files:
            raise ConfigurationError(f"profiles: expected a folder with .toml files, found none in {folder}")
        for file in files:
            definition = load(file)
            if definition.name in definitions:
                other = definitions[definition.name].file
                raise ConfigurationError(f"profile {definition.name!r} is defined twice: {other} and {file}; rename one")
            definitions[definition.name] = definition
    for name in definitions:
        _lineage(definitions, name)
    return definitions


def project_folders(start: Path | None = None) -> tuple[Path, ...]:
    """The folder that `[tool.harness] profiles` names in the nearest pyproject.toml around `start`, relative to that file."""
    path = project.find(start)
    named = project.table(path).get("profiles")
    if path is None or named is None:
        return ()
    if not isinstance(named, str):
        raise ConfigurationError(f"{path}: [tool.harness] profiles: expected the name of a folder, found {named!r}")
    return (path.parent / named,)


def settings_for(
    profile: Profile, environ: Mapping[str, str] | None = None, cli: Settings | None = None
) -> tuple[Settings, dict[str, str]]:
    """Settings of the profile, overridden by the source document's variables, by HARNESS_* variables, by the command line; and where
    each came from."""
    environ = os.environ if environ is None else environ
    documented, given = lightweight.from_environment(environ), from_environment(environ)
    cli = Settings() if cli is None else cli
    sources = {name: f"profile {source}" for name, source in profile.settings_from.items()}
    sources |= {name: f"environment {variable}" for variable, name in lightweight.VARIABLES.items() if name in documented.given()}
    sources |= {name: f"environment HARNESS_{name.upper()}" for name in given.given()}
    sources |= dict.fromkeys(cli.given(), "command line")
    return profile.settings.merged(documented).merged(given).merged(cli), sources


def worker_environment(profile: Profile, settings: Settings) -> dict[str, str]:
    """Variables to start a worker with: the profile's, and the number of threads for every library that asks the environment."""
    threads = {} if settings.threads is None else dict.fromkeys(_THREAD_VARIABLES, str(settings.threads))
    return {**profile.environment, **threads}


def _resolve(definitions: Mapping[str, Definition], name: str, machine: Machine, chosen: str) -> Profile:
    lineage = _lineage(definitions, name)
    settings: dict[str, Any] = {}
    source: dict[str, str] = {}
    margins: dict[str, Margin] = {}
    environment: dict[str, str] = {}
    facts: list[Fact] = []
    for step in reversed(lineage):
        definition = definitions[step]
        settings |= definition.settings
        source |= dict.fromkeys(definition.settings, step)
        margins |= {metric: Margin(**margin) for metric, margin in definition.margins.items()}
        here = [fact for fact in definition.facts if not unmet(machine, fact.match)]
        for fact in here:
            environment |= fact.environment
        facts += here
    threads = {"physical": machine.physical_cores, "performance": machine.performance_cores}
    return Profile(
        name=name,
        description=definitions[name].description,
        lineage=lineage,
        chosen=chosen,
        unmet=tuple(text for step in lineage for text in unmet(machine, definitions[step].match)),
        settings=settings_of(settings, threads=threads.get(settings.get("threads", ""), 1)),
        settings_from=source,
        environment=environment,
        margins=margins,
        facts=tuple(facts),
    )


def _lineage(definitions: Mapping[str, Definition], name: str) -> tuple[str, ...]:
    found = [name]
    while (parent := definitions[found[-1]].extends) is not None:
        if parent not in definitions or parent in found:
            problem = "extends itself" if parent in found else f"is not known; known: {', '.join(sorted(definitions))}"
            raise ConfigurationError(f"{definitions[found[-1]].file}: extends: {parent!r} {problem}")
        found.append(parent)
    return tuple(found)
