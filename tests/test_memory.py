import mmap
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest

from harness import memory

MIB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def touched(size: int) -> mmap.mmap:
    """Pages of the system's own, written to: an array may lie in what the process had freed before, and holds already."""
    pages = mmap.mmap(-1, size)
    pages.write(b"\1" * size)
    return pages


def test_rss_grows_with_touched_memory() -> None:
    touched(64 * MIB).close()  # what fills the pages is in memory by now, or is freed again
    before = memory.rss()
    with touched(64 * MIB):
        assert 60 * MIB <= memory.rss() - before <= 80 * MIB


@linux
def test_peak_remembers_what_was_released_until_it_is_reset() -> None:
    assert memory.reset_peak_rss() is None
    base = memory.peak_rss()
    touched(96 * MIB).close()
    assert memory.peak_rss() - base >= 90 * MIB
    assert memory.reset_peak_rss() is None
    assert memory.peak_rss() - base <= 32 * MIB


@linux
def test_a_raised_peak_grows_by_what_was_asked_and_leaves_the_allocator_as_it_was() -> None:
    """glibc serves blocks from its heap up to the size of the largest that it was given back: faster than fresh pages."""
    code = """
        import ctypes
        import numpy as np
        from harness import memory

        class Counts(ctypes.Structure):
            names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
            _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

        libc = ctypes.CDLL("libc.so.6")
        libc.mallinfo2.restype = Counts

        def own_pages():
            before = libc.mallinfo2().hblks
            block = np.empty(8 << 20, np.uint8)
            return libc.mallinfo2().hblks - before

        base = memory.peak_rss()
        memory.raise_peak(0.5, 16 << 20)
        print(own_pages(), memory.peak_rss() / (1.5 * base + (16 << 20)))
        freed = np.ones(16 << 20, np.uint8)
        del freed
        print(own_pages())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    fresh, reached, served = map(float, done.stdout.split())
    assert (fresh, served) == (1, 0)
    assert 0.98 < reached < 1.1


@linux
def test_a_peak_that_cannot_be_raised_is_lack_of_memory() -> None:
    limit = "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))"
    code = f"import resource; from harness import memory; {limit}; memory.raise_peak(0, 4 << 30)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError: 4" in done.stderr.splitlines()[-1]


@linux
def test_peak_of_a_fresh_process_does_not_inherit_its_parents() -> None:
    held = np.ones(256 * MIB, np.uint8)
    code = "from harness import memory; print(memory.peak_rss(), memory.ru_maxrss())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak, inherited = map(int, done.stdout.split())
    assert peak < 128 * MIB
    assert inherited >= peak
    del held


@linux
def test_peak_is_at_least_what_is_resident() -> None:
    assert memory.ru_maxrss() >= memory.peak_rss() - MIB
    assert memory.peak_rss() >= memory.rss() - MIB


def test_high_water_is_read_from_status() -> None:
    assert memory.parse_high_water("Name:\tpython\nVmPeak:\t  300 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n") == 12345 * 1024
    assert memory.parse_high_water("Name:\tpython\n") is None


@linux
def test_a_refused_reset_gives_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert memory.reset_peak_rss() == "/proc/self/clear_refs: Permission denied"


def test_device_peak_of_frameworks_that_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = types.SimpleNamespace(is_initialized=lambda: True, device_count=lambda: 2, max_memory_allocated=lambda i: 100 + i)
    mps = types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda, backends=mps))
    monkeypatch.setitem(sys.modules, "mlx.core", types.SimpleNamespace(get_peak_memory=lambda: 0))
    assert memory.device_peak() == {"cuda": 201}


def test_a_device_peak_is_raised_by_what_is_asked() -> None:
    mx = pytest.importorskip("mlx.core")
    memory.reset_device_peak()
    held = mx.zeros((64 * MIB,), mx.uint8)
    mx.eval(held)
    before = memory.device_peak()["mlx"]
    memory.raise_device_peak(0.05, 8 * MIB)
    assert memory.device_peak()["mlx"] == pytest.approx(1.05 * before + 8 * MIB, abs=MIB / 16)
    memory.raise_device_peak(0.0, 0)
    del held


def test_device_peak_is_absent_without_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "mlx.core", raising=False)
    assert memory.device_peak() == {}
    memory.reset_device_peak()


def test_mlx_peak_can_be_reset() -> None:
    mx = pytest.importorskip("mlx.core")
    memory.reset_device_peak()
    mx.eval(mx.ones((4 * MIB,), mx.float32))
    assert memory.device_peak()["mlx"] >= 16 * MIB
    memory.reset_device_peak()
    assert memory.device_peak().get("mlx", 0) < 16 * MIB


@linux
def test_what_grows_is_the_first_that_the_system_ends() -> None:
    path = Path("/proc/self/oom_score_adj")
    before = path.read_text()
    with memory.first_to_end():
        assert path.read_text().strip() == "1000"
    assert path.read_text() == before
