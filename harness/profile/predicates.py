"""What a profile may ask of a machine: measurable fields, never the processor's marketing name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

from harness.machine import Gpu, Machine

Test = Callable[[Machine, Any], bool]


def unmet(machine: Machine, match: Mapping[str, Any]) -> tuple[str, ...]:
    """The predicates that do not hold, as `name = value`; empty where all hold."""
    return tuple(f"{name} = {value!r}" for name, value in match.items() if not PREDICATES[name][2](machine, value))


def checked(name: str, value: Any) -> Any:
    """`value` as predicate `name` takes it (a single one becomes a list where a list is meant); ValueError says what was expected."""
    if name not in PREDICATES:
        raise ValueError(f"unknown predicate {name!r}; known: {', '.join(PREDICATES)}")
    kind, expected, _ = PREDICATES[name]
    if kind is bool:
        right = isinstance(value, bool)
    elif kind is float:
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        value = value if isinstance(value, list) else [value]
        right = bool(value) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)
    if not right:
        raise ValueError(f"predicate {name}: expected {expected}, found {value!r}")
    return tuple(value) if isinstance(value, list) else value


def _cuda(machine: Machine) -> list[Gpu]:
    return [gpu for gpu in machine.gpus if gpu.kind == "cuda"]


# name -> (type, what is expected in words, test). Lists mean "one of", except instruction_sets: "all of".
PREDICATES: dict[str, tuple[type, str, Test]] = {
    "system": (str, "linux, darwin or windows", lambda m, v: m.system in v),
    "architecture": (str, "x86_64 or arm64", lambda m, v: m.architecture in v),
    "vendor": (str, "vendors of the processor, such as amd", lambda m, v: any(core.vendor in v for core in m.cores)),
    "family": (int, "CPUID families", lambda m, v: any(core.family in v for core in m.cores)),
    "models": (int, "CPUID models, or ARM part numbers such as 0xd0b", lambda m, v: any(core.model in v for core in m.cores)),
    "instruction_sets": (str, "names as in /proc/cpuinfo", lambda m, v: set(v) <= set(m.instruction_sets)),
    "platform": (
        str,
        "patterns of firmware names, such as raspberrypi,*",
        lambda m, v: any(fnmatch.fnmatchcase(name, pattern) for name in m.platform for pattern in v),
    ),
    "cores_min": (float, "a number of logical cores", lambda m, v: m.logical_cores >= v),
    "cores_max": (float, "a number of logical cores", lambda m, v: m.logical_cores <= v),
    "memory_gib_min": (float, "a number of GiB", lambda m, v: m.memory_gib >= v),
    "memory_gib_max": (float, "a number of GiB", lambda m, v: m.memory_gib <= v),
    "cuda": (bool, "true (an NVIDIA GPU) or false (none)", lambda m, v: bool(_cuda(m)) == v),
    "compute_capability_min": (float, "a number such as 8.9", lambda m, v: any((gpu.capability or 0) >= v for gpu in _cuda(m))),
    "gpu_memory_gib_min": (float, "a number of GiB", lambda m, v: any((gpu.memory_gib or 0) >= v for gpu in _cuda(m))),
}
