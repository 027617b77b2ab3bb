"""Machines as the text of their files: tests/machines/<name>.txt holds a note, then `== path` and what that file says."""

import re
from pathlib import Path

from harness.machine import Machine, linux, macos

FOLDER = Path(__file__).parent / "machines"
ARM = ("raspberry-pi-4", "raspberry-pi-5", "graviton-2", "graviton-3", "gb10", "apple-m1", "apple-m3-pro")
X86 = ("amd-epyc-vm", "intel-hybrid", "intel-xeon-container", "intel-mac")
MACHINES = (*ARM, *X86)


def files(name: str) -> dict[str, str]:
    parts = re.split(r"^== (.*)\n", (FOLDER / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return {path: text.strip() for path, text in zip(parts[1::2], parts[2::2], strict=True)}


def machine(name: str, **arguments: object) -> Machine:
    found = files(name)
    architecture = "aarch64" if name in ARM else "x86_64"
    if "sysctl hw machdep.cpu kern.hv_vmm_present" in found:
        return macos.from_text(*found.values(), architecture="arm64" if name in ARM else "x86_64")
    cpus = arguments.pop("cpus", range(64))
    return linux.from_text(lambda path: found.get(path, ""), cpus, architecture, **arguments)
