"""The sides of a comparison: base, head and a second build of base, each built from its files and isolated in an environment of its own.

Nothing of a side is ever loaded from the working tree: its workers run its own interpreter, which finds its unpacked wheel
first, then the shared dependencies by plain folders, so that no editable install, PYTHONPATH or user site has a say.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import json
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.gate import cache as store
from harness.gate import environment, inventory, sources, wheel
from harness.gate.inventory import Entry
from harness.gate.sources import Distribution, Source, project_distribution
from harness.gate.wheel import BuildFailed
from harness.measure.process import without_python
from harness.settings import ConfigurationError

__all__ = ["BuildFailed", "Distribution", "Entry", "Side", "build", "project_distribution"]

FORMAT = 1
"""Of a built side; raised when it changes, older entries are not used any more."""


@dataclass(frozen=True)
class Side:
    """A built side. python and paths: for its workers. folder: where all modules of the distribution must come from.

    dirty: built from a working tree that differs from `commit`. version: of the distribution. packages: its packages and modules,
    as paths in `folder`. shared: where its dependencies are.
    """

    name: str
    commit: str
    dirty: bool
    python: Path
    paths: tuple[str, ...]
    folder: Path
    entries: Mapping[str, Entry]
    version: str = ""
    packages: tuple[str, ...] = ()
    shared: tuple[str, ...] = field(default=(), repr=False)

    def stray(self, files: Iterable[str]) -> list[str]:
        """Those of the files (absolute, real) that belong to the distribution but lie elsewhere."""
        home, shared = self.folder.resolve(), [Path(folder).resolve() for folder in self.shared]
        found = []
        for file in files:
            path = Path(file)
            if path.is_relative_to(home):
                continue
            base = next((folder for folder in shared if path.is_relative_to(folder)), None)
            known = f"/{path.as_posix().lstrip('/') if base is None else path.relative_to(base).as_posix()}/"
            inside = str.__contains__ if base is None else str.startswith
            if any(inside(known, f"/{name}/") for name in self.packages):
                found.append(file)
        return found


def build(distribution: Distribution, ref: str | None, name: str, *, cache: Path, note: Callable[[str], None]) -> Side:
    """The side `name` from the files of commit `ref`, None for the working tree; taken from the cache where it is there whole.

    Each name has builds of its own: two sides never share files, not even those of one commit. note: told what takes long and
    what is left out. BuildFailed: with the reason. ConfigurationError: no such commit, no place to build.
    """
    source = sources.working_tree(distribution) if ref is None else sources.at(distribution, ref)
    label = f"{name} ({source.commit[:12]}{' with changes' if source.dirty else ''})"
    for left_out in source.notes:
        note(f"{label}: {left_out}")
    cache = cache.resolve()
    shared = environment.shared_folders(distribution.root)
    try:
        paths = (environment.exposed(cache, distribution.name),)
        key = _key(distribution, source, name, shared)
        facts = store.take(cache, key)
        if facts is None:
            note(f"building {label}")
            _make(distribution, source, cache, key, shared)
            facts = store.take(cache, key)
        if facts is None:
            raise BuildFailed(f"{cache / key} changes while it is read; something else writes there")
        folder, python = environment.site_packages(cache / key), environment.interpreter(cache / key)
        entries, files = inventory.read(python, paths, folder, without_python())
        side = Side(
            name=name,
            commit=source.commit,
            dirty=source.dirty,
            python=python,
            paths=paths,
            folder=folder,
            entries={entry.name: entry for entry in entries},
            version=facts["version"],
            packages=inventory.packages(folder),
            shared=shared,
        )
        if strays := side.stray(files):
            raise BuildFailed(f"it loads modules of {distribution.name} from elsewhere than its own build: {', '.join(strays[:5])}")
    except BuildFailed as failure:
        raise BuildFailed(f"{label}: {failure}") from None
    except OSError as error:
        raise ConfigurationError(f"{label}: cannot be built in {cache}: {error}; HARNESS_DATA names another place") from None
    return side


def _make(distribution: Distribution, source: Source, cache: Path, key: str, shared: tuple[str, ...]) -> None:
    """Build the wheel and unpack it into an environment, the entry `key` of the cache."""
    with store.workshop(cache) as workshop:
        place = workshop / "side"
        environment.make(place, shared)
        root = sources.unpack(distribution, source, workshop / "source")
        version = f"0+g{source.identity[:12]}"
        built = wheel.build(root, workshop / "wheel", environment.interpreter(place), version=version)
        wheel.unpack(built, place)
        folder = environment.site_packages(place)
        found = [importlib.metadata.Distribution.at(path) for path in folder.glob("*.dist-info")]
        if [about.metadata["Name"].replace("_", "-").lower() for about in found] != [distribution.name.replace("_", "-").lower()]:
            raise BuildFailed(f"expected a wheel of {distribution.name}, found {built.name}")
        if environment.is_ours(distribution.name):
            shutil.rmtree(folder / environment.PROGRAM)  # the running one drives all sides
        # Compiled beforehand, so that no worker pays for it; with the path it will have.
        final = environment.site_packages(cache / key)
        compileall.compile_dir(folder, ddir=str(final), quiet=2, workers=1)
        store.keep(cache, key, place, {"version": found[0].version, "commit": source.commit, "dirty": source.dirty})


def _key(distribution: Distribution, source: Source, name: str, shared: tuple[str, ...]) -> str:
    """Sixteen hexadecimal digits: equal where a build would give the same."""
    interpreter = [sys.version, sys.base_prefix, sys.prefix, sysconfig.get_platform(), str(sysconfig.get_config_var("SOABI"))]
    parts = [FORMAT, distribution.name, source.identity, name, interpreter, shared, wheel.tools(source.pyproject)]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
