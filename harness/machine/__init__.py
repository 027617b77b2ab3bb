"""The machine: its identity, and its state from minute to minute. Nothing here imports a framework."""

from __future__ import annotations

import functools
import sys

from harness.machine.identity import Cache, Core, Gpu, Machine, describe, from_json, memory_class

__all__ = ["Cache", "Core", "Gpu", "Machine", "describe", "from_json", "memory_class", "this_machine"]


@functools.cache
def this_machine() -> Machine:
    """The machine this process runs on, read once. OSError where the system is none of Linux, macOS and Windows."""
    if sys.platform == "linux":
        from harness.machine import linux as reader
    elif sys.platform == "darwin":
        from harness.machine import macos as reader  # type: ignore[no-redef]
    elif sys.platform == "win32":
        from harness.machine import windows as reader  # type: ignore[no-redef]
    else:
        raise OSError(f"expected Linux, macOS or Windows, found {sys.platform}")
    return reader.machine()
