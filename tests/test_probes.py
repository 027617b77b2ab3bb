"""Every probe against an independent measurement of the same quantity: another library or another method, timed by itself."""

import time
import timeit
from collections.abc import Callable

import numpy as np
import pytest
import scipy.fft
import scipy.linalg.blas
import threadpoolctl

from harness.limits import probes
from harness.machine import state

torch = pytest.importorskip("torch")

PATIENCE = 12.0
NATIVE = probes._native()


@pytest.fixture(autouse=True)
def one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def agree(probe: Callable[[], float], independent: Callable[[], float], *, better: Callable[..., float] = max) -> None:
    """Both, alternately, until the best of each lie within 15 %. Never agreeing fails on a quiet machine; a busy one cannot tell."""
    since, started = state.counters(), time.monotonic()
    ours, theirs = probe(), independent()
    while not 1 / 1.15 <= ours / theirs <= 1.15:
        if time.monotonic() - started > PATIENCE:
            busy = state.state(since).busy_reason()
            if busy:
                pytest.skip(f"the machine was busy ({busy}): {ours:.4g} against {theirs:.4g}")
            pytest.fail(f"the probe says {ours:.4g}, an independent measurement {theirs:.4g}")
        ours, theirs = better(ours, probe()), better(theirs, independent())


def shortest(call: Callable[[], object], repeats: int = 20) -> float:
    return min(timeit.repeat(call, number=1, repeat=repeats))


def dot_bandwidth(small: int, large: int) -> float:
    """GB/s of OpenBLAS's dot product over two vectors of `small` and `large` bytes: the slope takes the cost of the call away.

    Of both in turns, and the middle one of the slopes: where the clock rises between the two the slope is steeper than any cache.
    """

    def timer(size: int, calls: int = 500) -> Callable[[], float]:
        x, y = probes.aligned(size, np.float32), probes.aligned(size, np.float32)
        rows = np.broadcast_to(x, (calls, 1, len(x)))
        return lambda: shortest(lambda: np.matmul(rows, y[:, None]), 3) / calls

    less, more = timer(small), timer(large)
    return 2 * (large - small) / float(np.median([more() - less() for _ in range(9)])) / 1e9


def reduce_bandwidth(size: int) -> float:
    data = probes.aligned(size, np.uint64)
    return size / shortest(lambda: np.maximum.reduce(data), 8) / 1e9


def read(name: str, size: int, **options: bool) -> float:
    return float(probes.read_bandwidth(name=name, bytes=size, capacity=None, threads=1, **options)["value"])


@pytest.mark.skipif(NATIVE is None, reason="native probe: not built")
@pytest.mark.parametrize(
    ("name", "size", "independent"),
    [
        ("L1", 16 << 10, lambda: dot_bandwidth(4 << 10, 12 << 10)),
        ("L2", 512 << 10, lambda: dot_bandwidth(64 << 10, 256 << 10)),
        ("L3", 8 << 20, lambda: reduce_bandwidth(8 << 20)),
        ("memory", 256 << 20, lambda: reduce_bandwidth(256 << 20)),
    ],
)
def test_read_bandwidth(name: str, size: int, independent: Callable[[], float]) -> None:
    agree(lambda: read(name, size), independent)


@pytest.mark.skipif(NATIVE is None, reason="native probe: not built")
def test_without_the_native_probe_memory_is_read_as_fast_and_it_says_how() -> None:
    found = probes.read_bandwidth(name="memory", bytes=256 << 20, capacity=None, threads=2, native=False)
    assert found["how"] == "NumPy maximum.reduce, no native probe: a lower bound"
    agree(lambda: read("memory", 256 << 20, native=False), lambda: read("memory", 256 << 20))


@pytest.mark.skipif(NATIVE is None, reason="native probe: not built")
def test_the_native_probe_reads_everything_at_every_level() -> None:
    data = np.arange(4096, dtype=np.uint64)
    for level in NATIVE.levels():
        assert NATIVE.read(data, passes=3, threads=1, level=level) == 3 * int(data.sum())
        assert NATIVE.read(data, passes=1, threads=4, level=level) == int(data.sum())
    with pytest.raises(ValueError, match=r"level: expected one of .*, found 'avx1024'"):
        NATIVE.read(data, passes=1, threads=1, level="avx1024")
    with pytest.raises(ValueError, match="expected at least 1 pass and 1 thread"):
        NATIVE.read(data, passes=0, threads=1)


def gemm(precision: str) -> float:
    found = next(found for found in probes.gemm(1) if found.get("detail") == precision)
    return float(found["value"])


def product(precision: str, size: int = 512) -> float:
    """G operations/s of the libraries beside the probe, called their own way on another size."""
    if precision == "int8":
        a = torch.ones(size, size, dtype=torch.int8)
        return 2 * size**3 / shortest(lambda: torch._int_mm(a, a)) / 1e9
    b = torch.ones(size, size, dtype=getattr(torch, precision))
    rates = [2 * size**3 / shortest(lambda: torch.nn.functional.linear(b, b)) / 1e9]
    if precision in ("float32", "float64"):
        c = np.ones((size, size), precision, order="F")
        call = scipy.linalg.blas.sgemm if precision == "float32" else scipy.linalg.blas.dgemm
        rates.append(2 * size**3 / shortest(lambda: call(1.0, c, c)) / 1e9)
    return max(rates)


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16", "int8"])
def test_gemm(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not probes._fast(precision, "cpu"):
        pytest.skip(f"no library here has a fast path for {precision}")
    monkeypatch.setattr(probes, "PRECISIONS", (precision,))
    agree(lambda: gemm(precision), lambda: product(precision))


def test_convolution() -> None:
    x, w = torch.ones(1, 128, 1, 2048), torch.ones(128, 128, 1, 7)
    operations = 2 * 128 * 128 * 7 * 2042
    agree(
        lambda: float(next(probes.convolution(1))["value"]),
        lambda: operations / shortest(lambda: torch.nn.functional.conv2d(x, w)) / 1e9,
    )


def test_fft() -> None:
    x = torch.ones(64, 2048)
    y = x.numpy()
    operations = 64 * 2.5 * 2048 * 11
    agree(
        lambda: float(next(found for found in probes.fft(1) if found["detail"] == "float32")["value"]),
        lambda: operations / min(shortest(lambda: torch.fft.rfft(x), 200), shortest(lambda: scipy.fft.rfft(y), 200)) / 1e9,
    )


def test_call_overhead() -> None:
    one, add = np.ones(1), np.add

    def loop() -> float:
        turns = range(1000)
        started = time.perf_counter_ns()
        for _ in turns:
            add(one, one)
        return (time.perf_counter_ns() - started) / 1e6

    agree(lambda: float(next(probes.overhead())["value"]), lambda: min(loop() for _ in range(20)), better=min)


def test_the_shortest_call_is_taken_after_one_that_is_not_counted() -> None:
    pauses = iter([0.0, 0.02, 0.01, 0.005, *[0.01] * 1000])
    seconds = probes.best_seconds(lambda: time.sleep(next(pauses)), seconds=0.01)
    assert 0.005 <= seconds < 0.01


def test_a_probe_that_no_library_can_run_says_why() -> None:
    def refused() -> None:
        raise RuntimeError("not implemented for 'Half'\nand more")

    found = probes._fastest("gemm", "float16", 1, iter([("torch", 1.0, refused)]), unit="GFLOP/s")
    assert found == {"missing": "cpu gemm float16, 1 threads: not implemented for 'Half'"}
    assert "no installed library has a fast path" in probes._fastest("gemm", "float16", 1, iter([]), unit="x")["missing"]


def test_the_fastest_library_is_named() -> None:
    calls = [("slow", 1e6, lambda: time.sleep(0.004)), ("fast", 1e6, lambda: time.sleep(0.001))]
    assert probes._fastest("gemm", "float32", 1, iter(calls), unit="GFLOP/s")["how"] == "fast"
