"""Measured ceilings of a machine, and the least time they allow for a piece of work.

Kept per machine in the user's data folder. A ceiling is the best of many runs: noise can hide it, never raise it.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.component import Work
from harness.files import data_folder, write_atomically
from harness.machine import Machine
from harness.machine.state import counters, state
from harness.record import Floor
from harness.settings import ConfigurationError

SCHEMA = 1
MIB = 1 << 20


@dataclass(frozen=True)
class Ceiling:
    """The best that one probe reached.

    name: read, gemm, convolution, fft or call. detail: cache level, precision or library. threads: 1, or all physical cores.
    how: library and kernel that gave it. capacity: bytes that fit into that cache level, per thread.
    """

    name: str
    detail: str
    threads: int
    value: float
    unit: str
    how: str
    capacity: int | None = None
    device: str = "cpu"

    @property
    def key(self) -> tuple[str, str, str, int]:
        return (self.device, self.name, self.detail, self.threads)


@dataclass(frozen=True)
class Limits:
    """The ceilings of a machine. missing: probes without a figure, and why. busy: why the machine was not quiet, if it was not."""

    machine: str
    measured: str
    ceilings: tuple[Ceiling, ...]
    missing: tuple[str, ...] = ()
    busy: str = ""
    schema: int = SCHEMA

    def of(self, name: str, device: str = "cpu") -> tuple[Ceiling, ...]:
        """All ceilings of that name on that device."""
        return tuple(ceiling for ceiling in self.ceilings if (ceiling.name, ceiling.device) == (name, device))


def measure_limits(
    machine: Machine, progress: Callable[[str], None] = lambda text: None, *, environment: Mapping[str, str] | None = None
) -> Limits:
    """Measure all ceilings in a fresh process (about 15 s on a quiet machine) and keep them.

    environment: the profile's, so that the libraries choose the kernels that workers use. On a busy machine the better of
    the new and the kept figures stay, and `busy` says so; not where each of the kept ones comes from a quiet machine, for
    noise hides no ceiling then.
    """
    before = counters()
    found, missing = [], []
    for line in _probe(_plan(machine), environment or {}):
        if "missing" in line:
            missing.append(line["missing"])
        else:
            found.append(Ceiling(**line))
            progress(": ".join(_line(found[-1])))
    busy = state(before).busy_reason() or ""
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    if busy and (kept := _kept(machine)) is not None:
        found = list(_better(kept.ceilings, found))
        if not kept.busy and {ceiling.key for ceiling in found} <= {ceiling.key for ceiling in kept.ceilings}:
            progress(f"the machine was busy ({busy}): the better of these figures and those of {kept.measured} stay")
            busy, when = "", kept.measured
    limits = Limits(machine.name, when, tuple(found), tuple(missing), busy)
    write_atomically(_file(machine), to_json(limits))
    return limits


def cached(machine: Machine) -> Limits | None:
    """The kept ceilings of this machine, or None; ConfigurationError where the file is damaged."""
    file = _file(machine)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    limits = from_json(text, where=str(file))
    if limits.machine != machine.name:
        raise ConfigurationError(
            f"{file}: expected the limits of {machine.name}, found those of {limits.machine}; delete it and measure again"
        )
    return limits


def to_json(limits: Limits) -> str:
    return json.dumps(dataclasses.asdict(limits), indent=1)


def from_json(text: str, *, where: str = "limits") -> Limits:
    """The Limits that `to_json` wrote; ConfigurationError says what is wrong and where."""
    try:
        body = json.loads(text)
        if body["schema"] > SCHEMA:
            raise ValueError(f"schema {body['schema']} is newer than the {SCHEMA} this version reads")
        ceilings = tuple(Ceiling(**item) for item in body["ceilings"])
        if any(not (isinstance(c.value, (int, float)) and math.isfinite(c.value) and c.value > 0) for c in ceilings):
            raise ValueError("expected values above 0")
        return Limits(**{**body, "ceilings": ceilings, "missing": tuple(body["missing"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"{where}: damaged ({type(error).__name__}: {error}); measure again: harness machine --limits") from None


def floor(limits: Limits) -> Callable[..., Floor | None]:
    """`floor_seconds` on these limits: (work, threads, device: "cpu", "cuda", "mps" or "mlx") -> Floor.

    None for all work where the machine was busy: a ceiling that noise hid would make reachable targets look unreachable.
    """
    if limits.busy:
        return lambda work, threads=None, device="cpu": None
    # Metal has one set of ceilings, whoever drives it; elsewhere MLX computes on the CPU.
    metal = "mlx" if limits.machine.startswith("arm64-apple-") else "cpu"
    names = {"mps": metal, "mlx": metal}
    return lambda work, threads=None, device="cpu": floor_seconds(work, limits, threads, names.get(device) or device)


def floor_seconds(work: Work, limits: Limits, threads: int | None = None, device: str = "cpu") -> Floor | None:
    """The least seconds for `work` with so many threads (all without), and the ceiling that sets them; None without one.

    The bytes of a call, or those that it reads over and over, pick the cache level they fit into. What is stated in a narrow type may
    be computed in a wider one, so the fastest of these counts; a precision that was not measured gets the fastest of all.
    """
    bounds = []
    gemm = _at(limits.of("gemm", device), threads)
    if gemm and work.operations > 0:
        rate, precision = _rate(gemm, work.precision)
        instead = "" if precision == work.precision else f" ({work.precision} was not faster, or not measured)"
        bounds.append((work.operations / (rate * 1e9), f"{precision} products at {rate:.4g} G operations/s{instead}"))
    read = _at(limits.of("read", device), threads)
    if read and work.bytes > 0:
        held = work.bytes if work.repeated_bytes is None else work.repeated_bytes
        level = _level(held, limits.of("read", device), threads)
        bounds.append((work.bytes / (read[level] * 1e9), f"reading {level} at {read[level]:.4g} GB/s"))
    return Floor(*max(bounds), work.operations, work.bytes) if bounds else None


def describe(limits: Limits) -> list[tuple[str, str]]:
    """(label, value) lines for people."""
    quiet = f"; the machine was busy: {limits.busy}" if limits.busy else ""
    lines = [("limits", f"measured {limits.measured}{quiet}")]
    lines += [_line(ceiling) for ceiling in limits.ceilings]
    return lines + [("not measured", text) for text in limits.missing]


def _line(ceiling: Ceiling) -> tuple[str, str]:
    threads = (
        f", {ceiling.threads} thread{'s' if ceiling.threads > 1 else ''}" if ceiling.device == "cpu" and ceiling.name != "call" else ""
    )
    device = "" if ceiling.device == "cpu" else f" on {ceiling.device}"
    return f"{ceiling.name} {ceiling.detail}{device}{threads}", f"{ceiling.value:.4g} {ceiling.unit} ({ceiling.how})"


def _rate(gemm: Mapping[str, float], precision: str) -> tuple[float, str]:
    wider = ("float64", "float32")
    able = wider[: wider.index(precision) + 1] if precision in wider else (*wider, precision)
    rates = {name: gemm[name] for name in (able if precision in gemm else gemm) if name in gemm}
    return max((rate, name) for name, rate in rates.items())


def _at(ceilings: tuple[Ceiling, ...], threads: int | None) -> dict[str, float]:
    """Rates by detail with so many threads: never more than `threads` times one thread's, nor than those of all threads."""
    rates: dict[str, float] = {}
    for detail in dict.fromkeys(ceiling.detail for ceiling in ceilings):
        same = {ceiling.threads: ceiling.value for ceiling in ceilings if ceiling.detail == detail}
        best = max(same.values())
        rates[detail] = best if threads is None or 1 not in same else min(best, threads * same[1])
    return rates


def _level(size: float, ceilings: tuple[Ceiling, ...], threads: int | None) -> str:
    """The first cache level whose capacity over all threads holds `size` bytes; the last one (memory) holds everything."""
    most = max(ceiling.threads for ceiling in ceilings)
    for ceiling in ceilings:
        if ceiling.capacity is None or size <= ceiling.capacity * min(threads or most, most):
            return ceiling.detail
    return ceilings[-1].detail


def _plan(machine: Machine) -> dict[str, Any]:
    """What the probes measure: half of each cache (the other half is for whoever else needs it), then memory."""
    data = [cache for cache in machine.caches if cache.kind != "instruction"]
    levels = []
    for level in sorted({cache.level for cache in data}):
        largest = max((cache for cache in data if cache.level == level), key=lambda cache: cache.bytes)
        # A shared cache holds one part per core that shares it, once all of them read.
        share = largest.bytes // max(1, min(largest.shared_by, machine.physical_cores))
        levels.append({"name": f"L{level}", "bytes": share // 2, "capacity": share})
    biggest = max((cache.bytes * cache.count for cache in data), default=0)
    if not levels:
        # Sizes unknown: what is read from the first level bounds everything that may lie in any cache.
        levels.append({"name": "cache", "bytes": 16 << 10, "capacity": 64 * MIB})
    memory = min(max(128 * MIB, 4 * biggest), int(machine.memory_gib * 1024 / 8) * MIB)
    levels.append({"name": "memory", "bytes": memory, "capacity": None})
    return {"threads": sorted({1, machine.physical_cores}), "levels": levels}


def _probe(plan: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "harness.limits.probes", json.dumps(plan)]
    # The parent's sys.path, so that the same harness is found whichever way it was installed.
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment, "PYTHONPATH": paths}
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            yield json.loads(line)
        message = process.stderr.read().strip()
    if process.returncode:
        last = message.split("\n")[-1] if message else "no message"
        raise ConfigurationError(f"measuring limits: expected exit code 0, found {process.returncode}: {last}")


def _better(old: tuple[Ceiling, ...], new: list[Ceiling]) -> Iterator[Ceiling]:
    kept = {ceiling.key: ceiling for ceiling in old}
    for ceiling in new:
        before = kept.get(ceiling.key, ceiling)
        worse = before.value > ceiling.value if ceiling.name == "call" else before.value < ceiling.value
        yield ceiling if worse else before


def _kept(machine: Machine) -> Limits | None:
    try:
        return cached(machine)
    except ConfigurationError:
        return None


def _file(machine: Machine) -> Path:
    return data_folder() / "limits" / f"{machine.name}.json"
