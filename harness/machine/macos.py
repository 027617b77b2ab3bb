"""macOS: the machine out of the text of `sysctl hw machdep.cpu`."""

from __future__ import annotations

import platform
import subprocess

from harness.machine.identity import Cache, Core, Gpu, Machine, build

# Apple's names of instruction sets, as Linux spells them.
_ARM_SETS = {
    "AdvSIMD": "asimd", "FEAT_FP16": "asimdhp", "FEAT_DotProd": "asimddp", "FEAT_FHM": "asimdfhm", "FEAT_BF16": "bf16", "FEAT_I8MM": "i8mm",
    "FEAT_RDM": "asimdrdm", "FEAT_FCMA": "fcma", "FEAT_JSCVT": "jscvt", "FEAT_LSE": "atomics", "FEAT_SME": "sme", "FEAT_SME2": "sme2",
    "FEAT_AES": "aes", "FEAT_PMULL": "pmull", "FEAT_SHA1": "sha1", "FEAT_SHA256": "sha2", "FEAT_SHA512": "sha512", "FEAT_SHA3": "sha3",
    "armv8_crc32": "crc32", "floatingpoint": "fp",
}  # fmt: skip
_X86_SETS = {"sse3": "pni", "avx1_0": "avx", "sha": "sha_ni", "lzcnt": "abm"}


def machine() -> Machine:
    """This machine."""
    # Old systems do not know the last name: they print the others and fail.
    command = ["/usr/sbin/sysctl", "hw", "machdep.cpu", "kern.hv_vmm_present"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return from_text(done.stdout, platform.machine())


def from_text(text: str, architecture: str) -> Machine:
    """The Machine out of the lines that sysctl prints."""
    values = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
    apple = architecture == "arm64"
    board = (values.get("hw.model", ""), "hypervisor" if values.get("kern.hv_vmm_present") == "1" else "")
    brand = values.get("machdep.cpu.brand_string", "")
    if not values.get("hw.memsize"):
        raise OSError(f"sysctl hw machdep.cpu: expected hw.memsize among its lines, found {text[:60]!r}")
    return build(
        system="darwin",
        architecture=architecture,
        brand=brand,
        cores=_apple_cores(values) if apple else [_intel_core(values)],
        physical_cores=int(values["hw.physicalcpu"]),
        logical_cores=int(values["hw.logicalcpu"]),
        caches=_apple_caches(values) if apple else _intel_caches(values),
        memory_bytes=float(values["hw.memsize"]),
        instruction_sets=_arm_sets(values) if apple else _x86_sets(values),
        gpus=(Gpu("mps", f"{brand} GPU"),) if apple else (),
        platform=tuple(name for name in board if name),
    )


def _levels(values: dict[str, str]) -> range:
    return range(int(values.get("hw.nperflevels", "1")))


def _apple_cores(values: dict[str, str]) -> list[Core]:
    """Level 0 is the fastest. All levels have one hw.cpufamily."""
    family = int(values["hw.cpufamily"]) % (1 << 32)
    names = ("performance", "efficiency")
    if "hw.perflevel0.logicalcpu" not in values:
        return [Core("apple", family, int(values["hw.logicalcpu"]))]
    return [Core("apple", family, int(values[f"hw.perflevel{i}.logicalcpu"]), kind=names[min(i, 1)]) for i in _levels(values)]


def _apple_caches(values: dict[str, str]) -> tuple[Cache, ...]:
    found = []
    for i in _levels(values):
        prefix = f"hw.perflevel{i}."
        cores = int(values.get(f"{prefix}logicalcpu", values["hw.logicalcpu"]))
        for level, kind, name in ((1, "data", "l1dcachesize"), (1, "instruction", "l1icachesize"), (2, "unified", "l2cachesize")):
            size = int(values.get(prefix + name, "0"))
            shared = int(values.get(f"{prefix}cpusperl2", "1")) if level == 2 else 1
            if size:
                found.append(Cache(level, kind, size, shared, max(1, cores // shared)))
    return tuple(sorted(found, key=lambda cache: (cache.level, cache.kind, cache.bytes)))


def _intel_core(values: dict[str, str]) -> Core:
    vendor = "intel" if values.get("machdep.cpu.vendor") == "GenuineIntel" else values.get("machdep.cpu.vendor", "unknown").lower()
    model, family = int(values.get("machdep.cpu.model", "0")), int(values.get("machdep.cpu.family", "0"))
    return Core(vendor, model, int(values["hw.logicalcpu"]), family)


def _intel_caches(values: dict[str, str]) -> tuple[Cache, ...]:
    # hw.cacheconfig: logical cores per memory, L1, L2, L3.
    shared = [int(number) for number in values.get("hw.cacheconfig", "").split()]
    cores = int(values["hw.logicalcpu"])
    names = ((1, "data", "l1dcachesize"), (1, "instruction", "l1icachesize"), (2, "unified", "l2cachesize"), (3, "unified", "l3cachesize"))
    found = []
    for level, kind, name in names:
        size, share = int(values.get(f"hw.{name}", "0")), shared[level] if level < len(shared) else 0
        if size:
            found.append(Cache(level, kind, size, share or 1, max(1, cores // (share or 1))))
    return tuple(found)


def _arm_sets(values: dict[str, str]) -> list[str]:
    prefixes = ("hw.optional.arm.", "hw.optional.")
    return [flag for name, flag in _ARM_SETS.items() if any(values.get(prefix + name) == "1" for prefix in prefixes)]


def _x86_sets(values: dict[str, str]) -> list[str]:
    names = ("machdep.cpu.features", "machdep.cpu.leaf7_features", "machdep.cpu.extfeatures")
    words = " ".join(values.get(name, "") for name in names)
    flags = words.lower().replace(".", "_").split()
    return [_X86_SETS.get(flag, flag) for flag in flags]
