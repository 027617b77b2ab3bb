"""What every door needs first: what is registered, on which machine, under which profile, settings and targets."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import lightweight, profile, project, registry, targets, verdict
from harness.installed import Code, Contract, Installed
from harness.machine import Machine, this_machine
from harness.origin import native_hash
from harness.parity import describe
from harness.profile import Profile
from harness.record import Build, Plan, Record
from harness.registry import Registry, unavailable
from harness.settings import Settings
from harness.store import Store, default_folder
from harness.targets import Target
from harness.verdict import Verdicts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """settings: profile, environment and command line, merged; settings_from: where each came from."""

    registry: Registry
    machine: Machine
    profile: Profile
    settings: Settings
    settings_from: Mapping[str, str]
    store: Store

    def plan(self, patterns: Sequence[str] = (), **options: Any) -> Plan:
        """The expected set of a session here (`measure.plan` says what the options are)."""
        from harness import measure  # what judges alone measures nothing

        return measure.plan(self.registry, self.settings, patterns, machine=self.machine.name, profile=self.profile.name, **options)

    def targets(self, plan: Plan) -> tuple[Target, ...]:
        """The targets of what a plan measures: each component's targets.toml, overridden by [tool.harness.targets] of the project.

        Read them before measuring: a file that cannot be is to be mended first.
        """
        names = set(profile.load_all(profile.project_folders()))
        components = dict.fromkeys(item.component for item in plan.planned)
        wanted = {name: self.registry.components[name] for name in components if name in self.registry.components}
        found: list[Target] = []
        for name, component in wanted.items():
            folder = self.registry.entry(name).folder
            if folder is not None and (folder / "targets.toml").is_file():
                beside = {other for other in self.registry.components if self.registry.entry(other).folder == folder}
                rows = self.registry.implementations(name).values()
                found += targets.load(folder / "targets.toml", component, rows, names, beside=beside)
        path = project.find()
        if path is not None:
            known = {name: (item, self.registry.implementations(name).values()) for name, item in self.registry.components.items()}
            found += [target for target in targets.load_overrides(path, known, names) if target.component in wanted]
        return tuple(found)

    def judge(
        self, plan: Plan | None, records: Sequence[Record], targets: Iterable[Target] | None, *, rejudge: bool = False, stored: bool = False
    ) -> Verdicts:
        """The verdicts of a session under this machine's profile. stored: it was measured earlier, maybe by other code."""
        installed = installed_of(self.registry) if stored else None
        return verdict.judge(plan, records, targets, self.profile.lineage, machine=self.machine.name, rejudge=rejudge, installed=installed)


def gather(*, profile_name: str | None = None, given: Settings | None = None) -> Context:
    """Look at the machine, the project and the environment; ConfigurationError says what cannot be."""
    machine = this_machine()
    chosen = profile.choose(machine, profile_name, folders=profile.project_folders())
    settings, origin = profile.settings_for(chosen, cli=given)
    settings, why = lightweight.decided(settings, machine, os.environ)
    if why:
        origin = {**origin, "mode": f"{origin['mode']}, {why}"}
    _log.info("\n".join(lightweight.block(settings, machine)))
    return Context(registry.discover(), machine, chosen, settings, origin, Store(default_folder()))


def installed_of(registry: Registry) -> Installed:
    """What is registered, as far as an old result has to agree with it."""
    found = {}
    for name, component in registry.components.items():
        codes = {}
        for item in registry.implementations(name).values():
            entry, native = registry.entry(f"{name}.{item.name}"), item.requires.native
            build = Build(entry.distribution, entry.version, native_hash(native) if native else "")
            codes[item.name] = Code(item.settings, build, unavailable(item) or "")
        bounds = {output: describe(parity) for output, parity in component.policy.items()}
        found[name] = Contract(component.version, tuple(case.name for case in component.cases), codes, bounds)
    return Installed(found, {entry.name: entry.error for entry in registry.broken})
