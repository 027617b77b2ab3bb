"""How much memory this process holds and has held at most, on the host and on devices; all figures in bytes."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import sys
from collections.abc import Iterator


def rss() -> int:
    """Resident memory of this process now."""
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_rss() -> int:
    """The largest resident memory of this process since it started, or since `reset_peak_rss` where that works.

    Linux: VmHWM and not ru_maxrss, which a new process inherits from the one that started it, over exec.
    """
    if sys.platform == "linux":
        with open("/proc/self/status", encoding="ascii") as file:
            found = parse_high_water(file.read())
        # A kernel that hides VmHWM (some sandboxes) still answers getrusage.
        return ru_maxrss() if found is None else found
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    return ru_maxrss()


def ru_maxrss() -> int:
    """getrusage's peak of this process; on Linux never below the peak of the process that started it."""
    if sys.platform == "win32":
        raise OSError("ru_maxrss: expected a system with getrusage, found Windows; use peak_rss")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextlib.contextmanager
def first_to_end() -> Iterator[None]:
    """Where memory runs out the system ends this process, which grows, and none that is only held in memory beside it (Linux)."""
    path = "/proc/self/oom_score_adj"
    try:
        with open(path, "r+", encoding="ascii") as file:
            before = file.read()
            file.write("1000")
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as file:
            file.write(before)


def reset_peak_rss() -> str | None:
    """Start a new peak at what is resident now; returns the reason where this system cannot (then the peak is since the start)."""
    if sys.platform != "linux":
        return f"{sys.platform} has no way to reset a process's peak memory"
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError as error:
        return f"/proc/self/clear_refs: {error.strerror}"
    return None


def parse_high_water(status: str) -> int | None:
    """VmHWM in bytes out of the text of /proc/<pid>/status."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def device_peak() -> dict[str, int]:
    """The most memory that frameworks imported in this process have held per device: "cuda", "mlx"; absent where nothing was held.

    Torch keeps no peak for "mps"; there, what its driver holds now is given as "mps_now".
    """
    found = {}
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    if torch is not None and torch.cuda.is_initialized():
        found["cuda"] = sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))
    if torch is not None and torch.backends.mps.is_available():
        found["mps_now"] = torch.mps.driver_allocated_memory()
    if mlx is not None:
        found["mlx"] = mlx.get_peak_memory()
    return {device: int(held) for device, held in found.items() if held}


def raise_peak(share: float, more: int) -> None:
    """Hold for a moment so much that the peak of resident memory grows by a share of itself and an amount more.

    Past the allocator: the C library serves large blocks from its heap, faster, once it has been given one of their size back.
    """
    size = round((1 + share) * peak_rss() + more) - rss()
    if size > 0:
        try:
            pages = mmap.mmap(-1, size)
        except OSError as error:
            raise MemoryError(f"{size} bytes to raise the peak of memory: {error.strerror}") from None
        with pages as held:
            for place in range(0, size, mmap.PAGESIZE):
                held[place] = 1


def raise_device_peak(share: float, more: int) -> None:
    """Hold for a moment so much on each device that its peak grows by a share of itself and an amount more."""
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    if torch is not None and torch.cuda.is_initialized():
        for i in range(torch.cuda.device_count()):
            if peak := torch.cuda.max_memory_allocated(i):
                wanted = round((1 + share) * peak + more) - torch.cuda.memory_allocated(i)
                held = torch.empty(max(0, wanted), dtype=torch.uint8, device=f"cuda:{i}")
                del held
    if mlx is not None and (peak := mlx.get_peak_memory()):
        wanted = round((1 + share) * peak + more) - mlx.get_active_memory()
        held = mlx.zeros((max(0, wanted),), mlx.uint8)
        mlx.eval(held)
        del held


def reset_device_peak() -> None:
    """Start new device peaks at what is held now."""
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    if torch is not None and torch.cuda.is_initialized():
        for i in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(i)
    if mlx is not None:
        mlx.reset_peak_memory()
