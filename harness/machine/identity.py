"""The machine: what stays the same across reboots. It names the series of a measurement and selects the profile.

What changes (pressure, throttling, governor) is `harness.machine.state`. Nothing here imports a framework.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.machine.state import State

GIB = 1 << 30

# What arithmetic can use, as /proc/cpuinfo spells it. The other flags (mitigations, timers, virtualization) come and go with kernels.
_SETS = """
sse sse2 pni ssse3 sse4_1 sse4_2 sse4a popcnt abm bmi1 bmi2 movbe adx aes pclmulqdq vaes vpclmulqdq gfni sha_ni f16c fma avx avx2
avx_vnni avx_vnni_int8 avx_ifma avx512f avx512dq avx512cd avx512bw avx512vl avx512ifma avx512vbmi avx512_vbmi2 avx512_vnni
avx512_bitalg avx512_vpopcntdq avx512_bf16 avx512_fp16 avx512_vp2intersect amx_tile amx_int8 amx_bf16 amx_fp16
neon vfpv4 fp asimd asimdhp fphp asimdrdm asimddp asimdfhm jscvt fcma atomics crc32 pmull sha1 sha2 sha3 sha512 bf16 i8mm frint
sve sve2 sveaes svebitperm svebf16 svei8mm svef32mm sme sme2 smei16i64 smef64f64
"""
KNOWN_SETS = frozenset(_SETS.split())


@dataclass(frozen=True)
class Core:
    """One kind of core and how many of it this process may use.

    family, model: CPUID numbers; on ARM the model is the part number and there is no family; on Apple it is hw.cpufamily.
    kind: "performance" or "efficiency" where the system tells them apart. capacity: 1024 for the fastest kind, where known.
    """

    vendor: str
    model: int
    count: int
    family: int | None = None
    kind: str = ""
    capacity: int | None = None


@dataclass(frozen=True)
class Cache:
    """`count` caches of `bytes` each, every one shared by `shared_by` of the logical cores that this process may use."""

    level: int
    kind: str
    bytes: int
    shared_by: int
    count: int


@dataclass(frozen=True)
class Gpu:
    """A GPU; `kind` is "cuda" or "mps". Capability such as 9.0 and memory are None where nothing told."""

    kind: str
    name: str
    capability: float | None = None
    memory_gib: float | None = None


@dataclass(frozen=True)
class Machine:
    """Hardware as this process may use it (affinity and cgroup limits included).

    architecture: "x86_64" or "arm64". cores: kinds, fastest first. memory_gib: rounded up to a usual size.
    instruction_sets: as /proc/cpuinfo spells them, on every system. platform: how the firmware names the board
    (device-tree `compatible`, "dmi:" vendor and product, "hypervisor"). notes: what could not be read, and why.
    """

    system: str
    architecture: str
    brand: str
    cores: tuple[Core, ...]
    physical_cores: int
    logical_cores: int
    caches: tuple[Cache, ...]
    memory_gib: float
    instruction_sets: tuple[str, ...]
    gpus: tuple[Gpu, ...] = ()
    platform: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def vendor(self) -> str:
        return self.cores[0].vendor

    @property
    def family(self) -> int | None:
        return self.cores[0].family

    @property
    def models(self) -> tuple[int, ...]:
        """Model or part numbers of the kinds of core, fastest first."""
        return tuple(dict.fromkeys(core.model for core in self.cores))

    @property
    def performance_cores(self) -> int:
        """Physical cores of the fastest kind; the other kinds have one thread per core on every processor known."""
        others = sum(core.count for core in self.cores if (core.kind, core.model) != (self.cores[0].kind, self.cores[0].model))
        fast = self.logical_cores - others
        return max(1, min(fast, self.physical_cores - others)) if fast > 0 else self.physical_cores

    @functools.cached_property
    def identity(self) -> str:
        """SHA-256 over what every reader of this machine agrees on.

        Left out: notes, and what depends on the kernel (capacity) or on an optional package (a GPU's capability and memory).
        """
        body = dataclasses.asdict(self)
        del body["notes"]
        body["cores"] = sorted([c.vendor, c.family or 0, c.model, c.kind, c.count] for c in self.cores)
        body["gpus"] = [gpu.name for gpu in self.gpus]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    @functools.cached_property
    def name(self) -> str:
        """A folder name: `x86_64-amd-25-17-2c-24g-<8 digits of the identity>`."""
        if self.vendor == "apple":
            kind = re.sub(r"[^a-z0-9]+", "-", self.brand.lower().removeprefix("apple")).strip("-")
        elif self.family is None:
            kind = "-".join(f"{model:x}" for model in sorted(self.models))
        else:
            kind = f"{self.family}-{self.models[0]}"
        gpu = f"-{len(self.gpus)}gpu" if any(gpu.kind == "cuda" for gpu in self.gpus) else ""
        vendor = re.sub(r"[^a-z0-9]+", "-", self.vendor.lower()).strip("-")
        return f"{self.architecture}-{vendor}-{kind}-{self.logical_cores}c-{self.memory_gib:g}g{gpu}-{self.identity[:8]}"

    def cache_bytes(self, level: int) -> int:
        """Size of one data or unified cache of that level (of the fastest kind of core); 0 where there is none."""
        return max((cache.bytes for cache in self.caches if cache.level == level and cache.kind != "instruction"), default=0)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)


def from_json(text: str, *, where: str = "machine") -> Machine:
    """The Machine that `to_json` wrote; ValueError says what is wrong and where."""
    try:
        body = json.loads(text)
        parts = {"cores": Core, "caches": Cache, "gpus": Gpu}
        lists = {name: tuple(kind(**item) for item in body[name]) for name, kind in parts.items()}
        plain = {name: tuple(body[name]) for name in ("instruction_sets", "platform", "notes")}
        machine = Machine(**{**body, **lists, **plain})
        if not machine.cores or not all(isinstance(core.model, int) for core in machine.cores):
            raise ValueError("expected at least one core with a model number")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{where}: expected the JSON of a Machine, found {text[:60]!r} ({type(error).__name__}: {error})") from None
    return machine


def memory_class(size: float) -> float:
    """Bytes rounded up to a usual size in GiB: what the kernel keeps for itself differs from boot to boot."""
    sizes = [0.5, 1.0, *(step * 2.0**power for power in range(1, 20) for step in (1.0, 1.5))]
    return next(usual for usual in sorted(sizes) if size <= usual * GIB)


def describe(machine: Machine, state: State) -> list[tuple[str, str]]:
    """(label, value) lines about the machine and its state, for people."""
    lines = [
        ("machine", machine.name),
        ("processor", f"{machine.brand or 'unnamed'} ({machine.vendor} {', '.join(map(_core, machine.cores))})"),
        ("cores", f"{machine.physical_cores} physical, {machine.logical_cores} logical, usable by this process"),
    ]
    data = [cache for cache in machine.caches if cache.kind != "instruction"]
    if data:
        lines.append(("caches", ", ".join(f"L{c.level} {c.count} x {_bytes(c.bytes)}" for c in data)))
    lines.append(("memory", f"{machine.memory_gib:g} GiB"))
    lines.append(("instruction sets", " ".join(machine.instruction_sets) or "none known"))
    lines += [("GPU", _gpu(gpu)) for gpu in machine.gpus] or [("GPU", "none found")]
    if machine.platform:
        lines.append(("platform", ", ".join(machine.platform)))
    lines += state.describe()
    lines += [("note", note) for note in machine.notes]
    return lines


def _core(core: Core) -> str:
    number = f"part {core.model:#x}" if core.family is None else f"family {core.family} model {core.model}"
    return f"{core.count} x {number}{' ' + core.kind if core.kind else ''}"


def _gpu(gpu: Gpu) -> str:
    capability = f", compute capability {gpu.capability:g}" if gpu.capability is not None else ""
    memory = f", {gpu.memory_gib:g} GiB" if gpu.memory_gib is not None else ""
    return f"{gpu.name} ({gpu.kind}{capability}{memory})"


def _bytes(size: int) -> str:
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size / 1024:g} KiB"


def build(*, memory_bytes: float, cores: Iterable[Core], instruction_sets: Iterable[str], **rest: Any) -> Machine:
    """A Machine from a reader's facts, sorted and rounded so that equal hardware is equal."""
    return Machine(
        memory_gib=memory_class(memory_bytes),
        cores=tuple(sorted(cores, key=lambda core: (-(core.capacity or 0), core.kind == "efficiency", core.model))),
        instruction_sets=tuple(sorted(set(instruction_sets) & KNOWN_SETS)),
        **rest,
    )
