"""Windows: the machine out of the registry's description of processor 0, and what kernel32 says it can run."""

from __future__ import annotations

import platform
import re
import sys

from harness.machine import nvidia
from harness.machine.identity import Core, Gpu, Machine, build

_KEY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"

# Numbers of IsProcessorFeaturePresent (winnt.h), and the sets each stands for.
FEATURES = {
    6: "sse", 10: "sse2", 13: "pni", 36: "ssse3", 37: "sse4_1", 38: "sse4_2", 39: "avx", 40: "avx2", 41: "avx512f",
    19: "asimd", 30: "aes", 31: "crc32", 34: "atomics", 43: "asimddp",
}  # fmt: skip


def machine() -> Machine:
    """This machine."""
    if sys.platform != "win32":
        raise OSError(f"expected Windows, found {sys.platform}")
    import ctypes
    import winreg

    import psutil

    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _KEY) as key:
        values = {name: str(winreg.QueryValueEx(key, name)[0]) for name in ("ProcessorNameString", "Identifier", "VendorIdentifier")}
    features = [number for number in FEATURES if ctypes.windll.kernel32.IsProcessorFeaturePresent(number)]
    logical = len(psutil.Process().cpu_affinity())
    counts = (min(logical, psutil.cpu_count(logical=False) or logical), logical)
    gpus, notes = nvidia.gpus()
    return from_values(
        values,
        platform.machine(),
        features=features,
        counts=counts,
        memory_bytes=psutil.virtual_memory().total,
        gpus=gpus,
        notes=notes,
    )


def from_values(
    values: dict[str, str],
    architecture: str,
    *,
    features: list[int],
    counts: tuple[int, int],
    memory_bytes: int,
    gpus: tuple[Gpu, ...] = (),
    notes: tuple[str, ...] = (),
) -> Machine:
    """The Machine out of registry values ("AMD64 Family 25 Model 17 Stepping 1"), feature numbers and (physical, logical) cores."""
    numbers = re.search(r"Family (\w+) Model (\w+)", values["Identifier"])
    family, model = (int(number, 16 if "ARM" in values["Identifier"] else 10) for number in numbers.groups()) if numbers else (0, 0)
    vendors = {"GenuineIntel": "intel", "AuthenticAMD": "amd", "Qualcomm Technologies Inc": "qualcomm"}
    vendor = vendors.get(values["VendorIdentifier"], values["VendorIdentifier"].lower())
    arm = architecture.upper().startswith("ARM")
    sets = {FEATURES[number] for number in features}
    # Every processor with AVX2 that Windows runs on has these two, and Windows has no number for them.
    sets |= {"fma", "f16c"} if "avx2" in sets else set()
    return build(
        system="windows",
        architecture="arm64" if arm else "x86_64",
        brand=values["ProcessorNameString"].strip(),
        cores=[Core(vendor, model, counts[1], None if arm else family)],
        physical_cores=counts[0],
        logical_cores=counts[1],
        caches=(),
        memory_bytes=memory_bytes,
        instruction_sets=sets,
        gpus=gpus,
        notes=("cache sizes are not read on Windows", *notes),
    )
