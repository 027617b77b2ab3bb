"""Linux: the machine out of the text of /proc and /sys.

Everything but `machine` is a function of text: `read(path)` gives a file's text, "" where there is none.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from harness.machine import nvidia
from harness.machine.identity import Cache, Core, Gpu, Machine, build

Read = Callable[[str], str]

_CPU = "/sys/devices/system/cpu"

# ARM's list of implementers (MIDR_EL1).
IMPLEMENTERS = {0x41: "arm", 0x42: "broadcom", 0x43: "cavium", 0x46: "fujitsu", 0x48: "hisilicon", 0x4E: "nvidia", 0x51: "qualcomm"} | {
    0x53: "samsung", 0x61: "apple", 0x6D: "microsoft", 0xC0: "ampere"
}  # fmt: skip
X86_VENDORS = {"GenuineIntel": "intel", "AuthenticAMD": "amd", "HygonGenuine": "hygon", "CentaurHauls": "centaur"}


def machine() -> Machine:
    """This machine."""
    gpus, notes = nvidia.gpus()
    return from_text(read_file, os.sched_getaffinity(0), platform.machine(), gpus, notes)


def read_file(path: str) -> str:
    """The text of a file without NUL bytes, "" where it cannot be read."""
    try:
        return Path(path).read_bytes().decode(errors="replace").replace("\0", "\n").strip()
    except OSError:
        return ""


def from_text(read: Read, cpus: Iterable[int], architecture: str, gpus: tuple[Gpu, ...] = (), notes: tuple[str, ...] = ()) -> Machine:
    """The Machine out of the files that `read` gives, for a process that may run on `cpus`."""
    blocks = cpuinfo(read("/proc/cpuinfo"))
    cpus = sorted(set(cpus) & blocks.keys()) or sorted(blocks)
    if not cpus:
        raise OSError("/proc/cpuinfo: expected at least one processor, found none")
    flags = blocks[cpus[0]].get("flags", blocks[cpus[0]].get("Features", "")).split()
    quota = cpu_quota(read)
    board = [*read("/proc/device-tree/compatible").split("\n"), *_dmi(read), "hypervisor" if "hypervisor" in flags else ""]
    return build(
        system="linux",
        architecture={"aarch64": "arm64", "AMD64": "x86_64"}.get(architecture, architecture),
        brand=blocks[cpus[0]].get("model name", ""),
        cores=_cores(blocks, cpus, read),
        physical_cores=_at_most(quota, _physical(read, cpus)),
        logical_cores=_at_most(quota, len(cpus)),
        caches=_caches(read, cpus),
        memory_bytes=memory_bytes(read),
        instruction_sets=flags,
        gpus=gpus,
        platform=tuple(name for name in board if name),
        notes=notes,
    )


def cpuinfo(text: str) -> dict[int, dict[str, str]]:
    """The fields of /proc/cpuinfo by processor number; a trailing block about the board has none and is left out."""
    blocks: dict[int, dict[str, str]] = {}
    for part in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([^:\n]*[^:\s])\s*:[ \t]*(.*?)\s*$", part, re.MULTILINE))
        if fields.get("processor", "").isdigit():
            blocks[int(fields["processor"])] = fields
    return blocks


def cpu_list(text: str) -> set[int]:
    """{0, 1, 2, 8} out of "0-2,8"."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def cpu_quota(read: Read) -> float | None:
    """CPUs that the control groups of this process allow (the strictest of its ancestors), None without a limit."""
    found = []
    for line in read("/proc/self/cgroup").split("\n"):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        for folder in _ancestors(controllers, path, "cpu"):
            quota, period = [*read(f"{folder}/cpu.max").split(), "", ""][:2]
            if not quota:
                quota, period = read(f"{folder}/cpu.cfs_quota_us"), read(f"{folder}/cpu.cfs_period_us")
            if quota.isdigit() and period.isdigit() and int(period):
                found.append(int(quota) / int(period))
    return min(found, default=None)


def memory_bytes(read: Read) -> float:
    """Memory of the machine, or what the control groups of this process leave of it."""
    total = re.search(r"^MemTotal:\s*(\d+) kB", read("/proc/meminfo"), re.MULTILINE)
    found = [float(total[1]) * 1024] if total else []
    for line in read("/proc/self/cgroup").split("\n"):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        for folder in _ancestors(controllers, path, "memory"):
            limit = read(f"{folder}/memory.max") or read(f"{folder}/memory.limit_in_bytes")
            found += [float(limit)] if limit.isdigit() else []
    return min(found, default=0.0)


def _ancestors(controllers: str, path: str, wanted: str) -> list[str]:
    """Folders of a cgroup and all above it: v2 has no controllers in its line, v1 names them; in containers only the root is visible."""
    if not path or (controllers and wanted not in controllers.split(",")):
        return []
    roots = [f"/sys/fs/cgroup/{name}" for name in {controllers, wanted}] if controllers else ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
    inside = PurePosixPath(path.lstrip("/"))
    return [str(PurePosixPath(root) / step) for root in sorted(roots) for step in (inside, *inside.parents)]


def _cores(blocks: dict[int, dict[str, str]], cpus: list[int], read: Read) -> list[Core]:
    small, big = cpu_list(read("/sys/devices/cpu_atom/cpus")), cpu_list(read("/sys/devices/cpu_core/cpus"))
    # Cores of one part are one kind, also where a few of them may clock higher.
    kinds: Counter[tuple[str, int | None, int, str]] = Counter()
    capacities: dict[tuple[str, int | None, int, str], int] = {}
    for cpu in cpus:
        kind = (*_part(blocks[cpu]), "efficiency" if cpu in small else "performance" if cpu in big else "")
        kinds[kind] += 1
        if (capacity := read(f"{_CPU}/cpu{cpu}/cpu_capacity")).isdigit():
            capacities[kind] = max(int(capacity), capacities.get(kind, 0))
    return [Core(kind[0], kind[2], count, kind[1], kind[3], capacities.get(kind)) for kind, count in kinds.items()]


def _part(fields: dict[str, str]) -> tuple[str, int | None, int]:
    """(vendor, family, model) of one processor; (.., None, part number) on ARM."""
    if "CPU implementer" in fields:
        implementer = int(fields["CPU implementer"], 0)
        return IMPLEMENTERS.get(implementer, f"{implementer:#04x}"), None, int(fields.get("CPU part", "0"), 0)
    vendor = fields.get("vendor_id", "unknown")
    numbers = [fields.get(name, "") for name in ("cpu family", "model")]
    family, model = (int(number) if number.isdigit() else 0 for number in numbers)
    return X86_VENDORS.get(vendor, vendor.lower()), family, model


def _physical(read: Read, cpus: list[int]) -> int:
    """Cores, counting hyperthreads of one core once."""
    siblings = {read(f"{_CPU}/cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in cpus}
    return len(siblings)


def _caches(read: Read, cpus: list[int]) -> tuple[Cache, ...]:
    kinds: Counter[tuple[int, str, int, int]] = Counter()
    seen: set[tuple[int, str, str]] = set()
    for cpu in cpus:
        for index in range(10):
            folder = f"{_CPU}/cpu{cpu}/cache/index{index}"
            level, kind, size = (read(f"{folder}/{name}") for name in ("level", "type", "size"))
            if not (level and size):
                break
            shared = read(f"{folder}/shared_cpu_list") or str(cpu)
            if (int(level), kind, shared) in seen:
                continue
            seen.add((int(level), kind, shared))
            kinds[int(level), kind.lower(), _size(size), len(cpu_list(shared) & set(cpus))] += 1
    return tuple(Cache(level, kind, size, shared, count) for (level, kind, size, shared), count in sorted(kinds.items()))


def _size(text: str) -> int:
    """Bytes out of "32K" or "8M"."""
    return int(text.rstrip("KMG")) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)


def _dmi(read: Read) -> list[str]:
    names = [read(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    return [f"dmi:{name}" for name in names if name]


def _at_most(quota: float | None, count: int) -> int:
    return count if quota is None else max(1, min(count, int(quota)))
