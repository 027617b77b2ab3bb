"""NVIDIA GPUs without a framework: through nvidia-ml-py where it is installed, else out of /proc/driver/nvidia."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from harness.machine.identity import Gpu, memory_class

PROC = Path("/proc/driver/nvidia")


def gpus(proc: Path = PROC) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """GPUs, and notes about what could not be learned. Nothing is imported on a Linux machine without NVIDIA's driver."""
    if sys.platform == "linux" and not proc.is_dir() and not Path("/dev/nvidiactl").exists():
        return (), ()
    if importlib.util.find_spec("pynvml") is None:
        return _from_proc(proc, "nvidia-ml-py is not installed (extra `nvidia`): compute capability and GPU memory are unknown")
    try:
        return _from_nvml(), ()
    except Exception as error:  # NVML raises its own types; a GPU that cannot be asked is a fact about the machine
        return _from_proc(proc, f"NVML: {error}")


def model_of(information: str) -> str | None:
    """The model out of the text of /proc/driver/nvidia/gpus/<address>/information."""
    found = re.search(r"^Model:\s*(\S.*?)\s*$", information, re.MULTILINE)
    return found[1] if found else None


def _from_proc(proc: Path, note: str) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    names = [model_of(path.read_text(errors="replace")) for path in sorted(proc.glob("gpus/*/information"))]
    found = tuple(Gpu("cuda", name) for name in names if name)
    # Windows without a GPU has no library either: that is no news there.
    return found, (note,) if found or sys.platform == "linux" else ()


def _from_nvml() -> tuple[Gpu, ...]:
    import pynvml

    pynvml.nvmlInit()
    try:
        return tuple(_ask(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()


def _ask(nvml: Any, handle: Any) -> Gpu:
    name = nvml.nvmlDeviceGetName(handle)
    capability = memory = None
    # Machines with one memory for CPU and GPU (GB10) do not answer the second question.
    with contextlib.suppress(nvml.NVMLError):
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        capability = major + minor / 10
    with contextlib.suppress(nvml.NVMLError):
        memory = memory_class(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return Gpu("cuda", name.decode() if isinstance(name, bytes) else name, capability, memory)
