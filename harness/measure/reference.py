"""Reference outputs: computed once in a worker of their own, kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.component import Implementation, Outputs
from harness.measure.plan import reference_settings
from harness.measure.process import WorkerFailed, WorkerProcess
from harness.measure.workload import Workload
from harness.record import Outcome
from harness.registry import Registry
from harness.settings import Settings

CACHE_BYTES = 2 << 30
PATIENCE_SECONDS = 600.0
PREFIX = "output_"  # an output may have the name of a parameter of np.savez


def cache_folder() -> Path:
    """The user's cache folder of this program on this platform (HARNESS_CACHE_FOLDER overrides)."""
    if override := os.environ.get("HARNESS_CACHE_FOLDER"):
        return Path(override)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audio-perf-harness"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audio-perf-harness"


class References:
    """What the reference of each component answers. Outputs of the current case stay in memory, all stay on disk.

    notes: damaged cache files that were computed anew.
    """

    def __init__(self, registry: Registry, machine: str, *, environment: Mapping[str, str], folder: Path | None = None) -> None:
        self._registry, self._machine, self._environment = registry, machine, environment
        self._folder = (folder or cache_folder()) / "reference"
        self._current: tuple[str, str] = ("", "")
        self._outputs: dict[Path, Outputs] = {}
        self._code: dict[str, str] = {}
        self.notes: list[str] = []

    def outputs(self, component: str, workload: Workload, case: str, seeds: Sequence[int], row: Settings) -> dict[int, Outputs]:
        """Outputs for each seed, as the reference answers under the row's settings; WorkerFailed says why it cannot."""
        if (component, case) != self._current:
            self._current, self._outputs = (component, case), {}
        reference = self._registry.reference(component)
        settings = reference_settings(reference, row)
        paths = {seed: self._path(reference, settings, case, seed) for seed in seeds}
        for path in paths.values():
            if path not in self._outputs and (found := self._read(path)) is not None:
                self._outputs[path] = found
        absent = [seed for seed, path in paths.items() if path not in self._outputs]
        if absent:
            for seed, outputs in self._compute(reference, settings, workload, case, absent).items():
                self._outputs[paths[seed]] = outputs
                self._write(paths[seed], outputs)
        return {seed: self._outputs[path] for seed, path in paths.items()}

    def _compute(
        self, reference: Implementation, settings: Settings, workload: Workload, case: str, seeds: Sequence[int]
    ) -> dict[int, Outputs]:
        name = f"{reference.component}.{reference.name}"
        found: dict[int, Outputs] = {}
        try:
            with WorkerProcess(name, self._environment) as worker:
                worker.ask("prepare", inputs={str(seed): workload.inputs(seed) for seed in seeds}, seed=0)
                value = self._registry.entry(name).value
                worker.ask("load", implementation=value, settings=settings.given())
                for seed in seeds:
                    found[seed] = worker.ask("outputs", PATIENCE_SECONDS, seeds=[seed])["outputs"][0]
        except WorkerFailed as failure:
            message = f"no reference outputs for case {case}: {failure.outcome.message}"
            raise WorkerFailed(dataclasses.replace(failure.outcome, message=message)) from None
        return found

    def _path(self, reference: Implementation, settings: Settings, case: str, seed: int) -> Path:
        component = self._registry.components[reference.component]
        entry = self._registry.entry(f"{reference.component}.{reference.name}").value
        build = [component.name, component.version, entry, self._build(reference), np.__version__]
        key = [build, settings.given(), case, seed, self._machine]
        return self._folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.npz"

    def _build(self, reference: Implementation) -> str:
        """Hash of the code of the packages that hold the component and its reference: either may import any part of its own."""
        names = (reference.component, f"{reference.component}.{reference.name}")
        packages = dict.fromkeys(self._registry.entry(name).value.partition(":")[0].partition(".")[0] for name in names)
        for package in packages:
            if package not in self._code:
                self._code[package] = _code(package)
        return "".join(self._code[package] for package in packages)

    def _read(self, path: Path) -> Outputs | None:
        try:
            _check_stored(path)
            with np.load(path, allow_pickle=False) as file:
                outputs = {name.removeprefix(PREFIX): file[name] for name in file.files}
            if wrong := [name for name, value in outputs.items() if not isinstance(value, np.ndarray)]:
                raise ValueError(f"expected arrays, found {wrong[0][:60]!r}, which is none")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, RuntimeError, MemoryError, zipfile.BadZipFile) as error:
            self.notes.append(f"damaged reference cache {path.name} ({error}): computed anew")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # recently used
        return outputs

    def _write(self, path: Path, outputs: Outputs) -> None:
        """Atomically; a cache that cannot be written is a slower run, not a failed one."""
        if sum(array.nbytes for array in outputs.values()) > CACHE_BYTES // 4:
            return
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, **{PREFIX + name: array for name, array in outputs.items()})
            os.replace(temporary, path)
            self._trim()
        except OSError as error:
            self.notes.append(f"reference outputs are not cached in {self._folder}: {error}")
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _trim(self) -> None:
        files = sorted(((path.stat(), path) for path in self._folder.glob("*.npz")), key=lambda item: -item[0].st_mtime)
        total = 0
        for stat, path in files:
            total += stat.st_size
            if total > CACHE_BYTES:
                path.unlink(missing_ok=True)


def _code(package: str) -> str:
    """Digest of every source, binary and file of weights of a top-level package, or of the one file that it is."""
    module = importlib.import_module(package)
    folders = [Path(folder) for folder in getattr(module, "__path__", [])]
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))] or [Path(str(module.__file__))]
    state = hashlib.sha256()
    for path in (path for path in paths if path.suffix in (".py", ".so", ".pyd", ".safetensors") and path.is_file()):
        state.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def _check_stored(path: Path) -> None:
    """ValueError where a file holds more than its own size: what we write is not compressed."""
    with zipfile.ZipFile(path) as archive:
        packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise ValueError(f"expected arrays that are not compressed, found {packed[0][:60]!r}")


def no_outputs(failure: WorkerFailed) -> Outcome:
    """The outcome of a row whose reference failed: not its own fault, and yet nothing to be trusted."""
    return Outcome("unavailable", failure.outcome.message)
