"""The registry: components and implementations found through entry points, and why any of them cannot be used.

Groups `harness.components` (`spectrogram = "package.component:COMPONENT"`) and `harness.implementations`
(`"spectrogram.native" = "package.native:IMPLEMENTATION"`), for our own and for outsiders alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import fnmatch
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import io
import platform
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.component import Component, Implementation, Requires
from harness.settings import ConfigurationError

COMPONENTS = "harness.components"
IMPLEMENTATIONS = "harness.implementations"
SLOW_IMPORT_SECONDS = 0.05
SLEEPING_IMPORT_SECONDS = 0.3
FRAMEWORKS = ("torch", "mlx", "tensorflow", "jax", "onnxruntime", "openvino", "librosa", "numba", "scipy", "pandas", "hypothesis")


@dataclass(frozen=True)
class Entry:
    """One entry point and what came of loading it: `item` or `error`, and `notes` about its manners.

    folder: where its module lies (targets.toml is looked for there).
    """

    name: str
    group: str
    value: str
    distribution: str
    version: str
    item: Component | Implementation | None = None
    error: str = ""
    notes: tuple[str, ...] = ()
    folder: Path | None = None


class RegistryError(ConfigurationError):
    """A name that nothing registered."""


@dataclass(frozen=True)
class Registry:
    """What is installed. `entries` holds everything, the broken ones too."""

    entries: tuple[Entry, ...]

    @property
    def broken(self) -> tuple[Entry, ...]:
        """Entries that could not be loaded, with the error."""
        return tuple(entry for entry in self.entries if entry.error)

    @property
    def components(self) -> dict[str, Component]:
        """Usable components by name."""
        return {entry.name: entry.item for entry in self.entries if isinstance(entry.item, Component)}

    def implementations(self, component: str) -> dict[str, Implementation]:
        """Usable implementations of a component by name, the reference first, then optimized ones, then peers."""
        order = {"reference": 0, "optimized": 1, "peer": 2}
        found = [entry.item for entry in self.entries if isinstance(entry.item, Implementation) and entry.item.component == component]
        return {item.name: item for item in sorted(found, key=lambda item: (order[item.role], item.name))}

    def reference(self, component: str) -> Implementation:
        """The one reference of a component; RegistryError where there is none or several."""
        found = [item for item in self.implementations(component).values() if item.role == "reference"]
        if len(found) != 1:
            names = ", ".join(item.name for item in found) or "none"
            raise RegistryError(f"component {component}: expected exactly one implementation with role 'reference', found {names}")
        return found[0]

    def entry(self, name: str) -> Entry:
        """The entry `component` or `component.implementation`; RegistryError lists what is known."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise RegistryError(f"nothing is registered as {name!r}; known: {', '.join(sorted(self.components)) or 'nothing'}")

    def registered_by(self, distribution: str) -> tuple[str, ...]:
        """Patterns for what a distribution registers: its components, and its implementations of others' components."""
        mine = [entry.name for entry in self.entries if canonical(entry.distribution) == canonical(distribution)]
        return tuple(dict.fromkeys(name for name in mine if "." not in name or name.partition(".")[0] not in mine))

    def select(self, patterns: Sequence[str] = ()) -> dict[str, tuple[Implementation, ...]]:
        """Implementations by component for patterns such as `spectrogram`, `dbn.native`, `*.torch*`; all without patterns.

        RegistryError names each pattern that matches nothing: a selection is never silently empty.
        """
        chosen: dict[str, dict[str, Implementation]] = {}
        matched: set[str] = set()
        for component in self.components:
            for name, item in self.implementations(component).items():
                full = f"{component}.{name}"
                hits = [p for p in patterns if fnmatch.fnmatchcase(component, p) or fnmatch.fnmatchcase(full, p)]
                matched.update(hits)
                if hits or not patterns:
                    chosen.setdefault(component, {})[name] = item
        missing = [pattern for pattern in patterns if pattern not in matched]
        if missing:
            heads = tuple(pattern.split(".")[0] for pattern in missing)
            broken = [f"{entry.name} is broken: {entry.error}" for entry in self.broken if entry.name.startswith(heads)]
            nothing = f"nothing matches {', '.join(map(repr, missing))}{self._close(missing)}"
            raise RegistryError("; ".join([nothing, *broken, self._known(missing)]))
        return {component: tuple(items.values()) for component, items in chosen.items()}

    def _close(self, names: Sequence[str]) -> str:
        """What may have been meant."""
        every = [entry.name for entry in self.entries if not entry.error]
        near, far = ([one for name in names for one in difflib.get_close_matches(name, every, n=2, cutoff=least)] for least in (0.8, 0.65))
        close = dict.fromkeys(near or far)  # of a short name one letter is much
        return f" (did you mean {' or '.join(close)}?)" if close else ""

    def _known(self, names: Sequence[str]) -> str:
        """What there is: the implementations of the components that are named, else all components."""
        heads = dict.fromkeys(name.partition(".")[0] for name in names)
        if heads.keys() <= self.components.keys():
            return "known: " + ", ".join(f"{head}.{{{','.join(self.implementations(head))}}}" for head in heads)
        return f"known: {', '.join(sorted(self.components)) or 'nothing'}; `harness list` shows their implementations"


def discover(entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> Registry:
    """Load every registered entry; one that raises, prints or lies about its name becomes a fact, never an exception."""
    if entry_points is None:
        entry_points = [*importlib.metadata.entry_points(group=COMPONENTS), *importlib.metadata.entry_points(group=IMPLEMENTATIONS)]
    name_and_version = functools.cache(_name_and_version)  # parsing a distribution's metadata takes a millisecond
    entries = [_load(point, *name_and_version(point.dist)) for point in entry_points]
    return Registry(tuple(_agree(entries)))


def canonical(distribution: str) -> str:
    """The name of a distribution as it compares: `Acme_Loudness` is `acme-loudness`."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def matches(patterns: Iterable[str], component: str, implementation: str) -> bool:
    """Whether a pattern chooses this implementation."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in (component, f"{component}.{implementation}"))


def unavailable(implementation: Implementation) -> str | None:
    """Why an implementation cannot run here ("mlx: not installed"), or None. Imports no framework."""
    requires = implementation.requires
    for package in requires.packages:
        if not _installed(package):
            return f"{package}: not installed"
    missing = [flag for flag in requires.cpu_flags if flag not in _cpu_flags()]
    if missing:
        return f"this CPU lacks {', '.join(missing)}"
    reason = _no_device(requires) or no_native(requires.native)
    if reason or requires.why_not is None:
        return reason
    try:
        return requires.why_not()
    except Exception as error:
        return f"its availability check raised {type(error).__name__}: {error}"


def _name_and_version(distribution: importlib.metadata.Distribution | None) -> tuple[str, str]:
    if distribution is None:
        return "", ""
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def _load(point: importlib.metadata.EntryPoint, distribution: str, version: str) -> Entry:
    base = Entry(point.name, point.group, point.value, distribution, version)
    before, printed, started, waited = set(sys.modules), io.StringIO(), time.process_time(), _asleep()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            item = point.load()
    except (Exception, SystemExit) as error:
        return _replace(base, error=f"importing {point.value} raised {type(error).__name__}: {error}")
    seconds = time.process_time() - started  # not of the wall: a busy machine would make every plugin slow
    notes = []
    frameworks = sorted({name.partition(".")[0] for name in set(sys.modules) - before} & set(FRAMEWORKS))
    if frameworks:
        notes.append(f"imports {', '.join(frameworks)} at import time; move it into load()")
    if seconds > SLOW_IMPORT_SECONDS:
        notes.append(f"takes {seconds * 1e3:.0f} ms of CPU time to import; keep it under {SLOW_IMPORT_SECONDS * 1e3:.0f} ms")
    if (waited := _asleep() - waited) > SLEEPING_IMPORT_SECONDS:
        notes.append(f"waits {waited * 1e3:.0f} ms while it is imported")
    if printed.getvalue().strip():
        notes.append(f"prints at import time: {printed.getvalue().strip()[:80]!r}")
    origin = getattr(sys.modules.get(point.module), "__file__", None)
    return _replace(base, item=item, notes=tuple(notes), folder=Path(origin).parent if origin else None)


def _asleep() -> float:
    """Seconds this thread has neither run nor waited for a CPU; 0 where the system (not Linux) does not tell the two waits apart."""
    try:
        run, queued, _ = Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0.0
    return time.perf_counter() - (int(run) + int(queued)) / 1e9


def _agree(entries: list[Entry]) -> Iterable[Entry]:
    """Check each loaded object against its entry point and against the others."""
    components = {e.name for e in entries if e.group == COMPONENTS and isinstance(e.item, Component)}
    owners: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        first = owners.setdefault((entry.group, entry.name), entry)
        error = entry.error or _mismatch(entry, components)
        if not error and first is not entry:
            error = f"registered twice, by {first.distribution or first.value} and {entry.distribution or entry.value}; the first counts"
        yield _replace(entry, item=None, error=error) if error else entry


def _mismatch(entry: Entry, components: set[str]) -> str:
    expected: type[Any] = Component if entry.group == COMPONENTS else Implementation
    if not isinstance(entry.item, expected):
        return f"{entry.value}: expected a harness.component.{expected.__name__}, found {type(entry.item).__name__}"
    if isinstance(entry.item, Component):
        name = entry.item.name
    else:
        name = f"{entry.item.component}.{entry.item.name}"
        if entry.item.component not in components:
            known = ", ".join(sorted(components)) or "none"
            return f"{entry.value}: its component {entry.item.component!r} is not registered; known: {known}"
    return "" if name == entry.name else f"entry point {entry.name!r} names an object that calls itself {name!r}; make the two equal"


def _replace(entry: Entry, **changes: Any) -> Entry:
    return dataclasses.replace(entry, **changes)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _cpu_flags() -> frozenset[str]:
    from harness.machine import this_machine

    return frozenset(this_machine().instruction_sets)


def _no_device(requires: Requires) -> str | None:
    if requires.device == "cuda":
        if not any(Path("/proc/driver/nvidia/gpus").glob("*")) and not Path("/dev/nvidia0").exists() and sys.platform != "win32":
            return "no CUDA device found"
        if "torch" in requires.packages and "+cpu" in importlib.metadata.version("torch"):
            return "torch: this build has no CUDA"
    if requires.device == "mps" and not (sys.platform == "darwin" and platform.machine() == "arm64"):
        return "no Metal device (needs macOS on Apple silicon)"
    return None


def no_native(module: str | None) -> str | None:
    """Why a native module cannot be used, or None."""
    if module is None:
        return None
    if importlib.util.find_spec(module) is None:
        return "native: not built (no C++ compiler at install time; install one, then reinstall)"
    try:
        built = importlib.import_module(module)
    except ImportError as error:
        return f"native: cannot be loaded ({error})"
    parent = sys.modules[module.rpartition(".")[0]]
    return "native: stale, run pip install -e ." if _stale(built, [Path(folder) for folder in parent.__path__]) else None


def _stale(built: Any, folders: Sequence[Path]) -> bool:
    """Whether the sources beside the package (a checkout) differ from those the module was built from (kernel.cmake)."""
    recorded = getattr(built, "SOURCE_HASH", "")
    names = [name for name in getattr(built, "SOURCE_LIST", "").split(",") if name]
    for folder in folders:
        paths = [folder / name for name in names]
        if recorded and names and all(path.is_file() for path in paths):
            digests = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
            return hashlib.sha256(digests.encode()).hexdigest() != recorded
    return False
