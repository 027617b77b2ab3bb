"""The probes of `harness.limits`, run in a process of their own: `python -m harness.limits.probes PLAN`, one line of JSON per ceiling.

Each gives the best of many runs: a ceiling is what the machine can do, and noise only ever hides it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import json
import sys
import timeit
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from harness.clock import Stopwatch

PRECISIONS = ("float64", "float32", "bfloat16", "float16", "int8")

SECONDS = 0.15
"""How long one probe repeats on a quiet machine."""

Report = Callable[[dict[str, Any]], object]


def main(plan: dict[str, Any], report: Report) -> None:
    """Measure what `plan` lists: levels [(name, bytes per thread or in all, bytes of capacity)], threads [1, n], devices."""
    for threads in plan["threads"]:
        with limited(threads):
            for level in plan["levels"]:
                report(read_bandwidth(**level, threads=threads))
            for probe in (gemm, convolution, fft):
                for found in probe(threads):
                    report(found)
    for found in overhead():
        report(found)
    for device in ("cuda", "mlx"):
        for found in on_device(device):
            report(found)


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """Every library here works with so many threads."""
    import threadpoolctl

    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(threads)
    with threadpoolctl.threadpool_limits(threads):
        yield


def best_seconds(call: Callable[[], object], clock: str = "wall", seconds: float = SECONDS) -> float:
    """The shortest call, after one that is not counted: at least five calls and `seconds`, up to six times that until three agree.

    Three calls within 3 % of the shortest are what a quiet machine gives at once, and a busy one only in its gaps.
    """
    watch, spent = Stopwatch(clock), [float("inf")] * 3
    total, calls = 0.0, 0
    call()
    while calls < 5 or total < seconds or (spent[2] > 1.03 * spent[0] and total < 6 * seconds):
        watch.start()
        call()
        now = watch.elapsed().wall_ns / 1e9
        spent = sorted([*spent, now])[:3]
        total, calls = total + now, calls + 1
    return spent[0]


def aligned(size: int, dtype: Any = np.uint64) -> np.ndarray:
    """Ones, at the start of a page: AVX-512 reads a third slower where its vectors straddle two cache lines."""
    raw = np.empty(size + 4096, np.uint8)
    start = -raw.ctypes.data % 4096
    array: np.ndarray = raw[start : start + size].view(dtype)
    array[:] = 1
    return array


def read_bandwidth(*, name: str, bytes: int, capacity: int | None, threads: int, native: bool = True) -> dict[str, Any]:
    """Reading `bytes` per thread again and again (memory: `bytes` in all, shared out), in GB/s over all threads."""
    size = bytes if name == "memory" else bytes * threads
    buffer = aligned(size - size % (1024 * threads))
    # Long enough that starting threads, or a call from Python, costs below 1 %.
    passes = max(1, int((200 << 20) * threads // buffer.nbytes))
    module = _native() if native else None
    if module is not None:
        how = f"native, {module.levels()[0]}"
        seconds = best_seconds(lambda: module.read(buffer, passes=passes, threads=threads))
    else:
        how = "NumPy maximum.reduce, no native probe: a lower bound"
        seconds = _read_with_numpy(buffer, passes, threads)
    return _ceiling("read", name, threads, buffer.nbytes * passes / seconds / 1e9, "GB/s", how=how, capacity=capacity)


def _read_with_numpy(buffer: np.ndarray, passes: int, threads: int) -> float:
    # One row repeated without copying it: one call from Python reads it `passes` times.
    parts = [np.broadcast_to(part, (passes, len(part))) for part in np.array_split(buffer, threads)]
    with ThreadPoolExecutor(threads) as pool:
        return best_seconds(lambda: list(pool.map(lambda part: np.maximum.reduce(part, axis=1), parts)))


def _native() -> Any:
    try:
        return importlib.import_module("harness.limits._native")
    except ImportError:
        return None


def gemm(threads: int) -> Iterator[dict[str, Any]]:
    """Products of square matrices: the fastest library for each precision."""
    # Large enough to be at full speed (seen from 256 on), small enough (1 ms to 2 ms) to fit into the gaps of a busy machine.
    size = 64 * round(6 * threads**0.5)
    for precision in PRECISIONS:
        yield _fastest("gemm", precision, threads, _gemm_calls(precision, size), unit=_unit(precision))


def _gemm_calls(precision: str, size: int, device: str = "cpu") -> Iterator[tuple[str, float, Callable[[], object]]]:
    """(how, operations, call) of each library that can."""
    operations = 2.0 * size**3
    if device == "cpu" and precision in ("float64", "float32"):
        a = aligned(size * size * np.dtype(precision).itemsize, precision).reshape(size, size)
        yield f"NumPy {np.__version__}, {_blas()}", operations, lambda: a @ a
    if importlib.util.find_spec("torch"):
        import torch

        t = torch.ones(size, size, dtype=getattr(torch, precision), device=device)
        product = torch._int_mm if precision == "int8" else torch.matmul
        if _fast(precision, device):
            yield _torch(), operations, lambda: product(t, t)


@functools.cache
def _fast(precision: str, device: str) -> bool:
    """Whether torch has a fast path: a small product (4 million operations) tells before a large one takes seconds."""
    import torch

    small = torch.ones(128, 128, dtype=getattr(torch, precision), device=device)
    product = torch._int_mm if precision == "int8" else torch.matmul
    return best_seconds(lambda: product(small, small), seconds=0.05) < 0.001


def _unit(precision: str) -> str:
    return "GOP/s" if precision == "int8" else "GFLOP/s"


def _blas() -> str:
    from harness.machine.state import blas

    names = dict.fromkeys(
        f"{library.library} {library.version} {library.kernel}".strip() for library in blas() if library.library != "openmp"
    )
    return ", ".join(names) or "its own BLAS"


def _torch() -> str:
    import torch

    return f"torch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}"


def convolution(threads: int) -> Iterator[dict[str, Any]]:
    """One-dimensional, 128 channels to 128, kernel 7, 1024 samples, float32; without torch one channel."""
    channels, kernel, samples = 128, 7, 1024

    def calls() -> Iterator[tuple[str, float, Callable[[], object]]]:
        if importlib.util.find_spec("torch"):
            import torch

            x, w = torch.ones(1, channels, samples), torch.ones(channels, channels, kernel)
            yield _torch(), 2.0 * channels**2 * kernel * (samples - kernel + 1), lambda: torch.conv1d(x, w)
        else:
            a, b = np.ones(1 << 16, np.float32), np.ones(64, np.float32)
            yield f"NumPy {np.__version__} convolve", 2.0 * 64 * ((1 << 16) - 63), lambda: np.convolve(a, b, "valid")

    yield _fastest("convolution", "float32", threads, calls(), unit="GFLOP/s")


def fft(threads: int) -> Iterator[dict[str, Any]]:
    """128 real transforms of 2048 samples, counted as 2.5 N log2 N operations each."""
    operations = 128 * 2.5 * 2048 * 11

    def calls(precision: str) -> Iterator[tuple[str, float, Callable[[], object]]]:
        import scipy
        import scipy.fft

        a = np.ones((128, 2048), precision)
        yield f"SciPy {scipy.__version__}", operations, lambda: scipy.fft.rfft(a, workers=threads)
        if importlib.util.find_spec("torch"):
            import torch

            t = torch.from_numpy(a)
            yield _torch(), operations, lambda: torch.fft.rfft(t)

    for precision in ("float64", "float32"):
        yield _fastest("fft", precision, threads, calls(precision), unit="GFLOP/s")


def overhead() -> Iterator[dict[str, Any]]:
    """What a call from Python costs before any work: one addition of one number."""
    one = np.ones(1)
    yield _ceiling("call", "numpy", 1, _microseconds("add(a, a)", add=np.add, a=one), "us", how=f"NumPy {np.__version__} add")
    if importlib.util.find_spec("torch"):
        import torch

        yield _ceiling("call", "torch", 1, _microseconds("add(a, a)", add=torch.add, a=torch.ones(1)), "us", how=f"{_torch()} add")
    if importlib.util.find_spec("mlx"):
        import mlx.core as mx

        seconds = _microseconds("eval(add(a, a))", add=mx.add, eval=mx.eval, a=mx.ones(1))
        yield _ceiling("call", "mlx", 1, seconds, "us", how="mlx add and eval")


def _microseconds(statement: str, **names: object) -> float:
    # timeit's loop costs some nanoseconds per turn; one of our own around a function would cost as much as the call.
    timer = timeit.Timer(statement, globals=names)
    return best_seconds(lambda: timer.timeit(100), seconds=0.1) / 100 * 1e6


def on_device(device: str) -> Iterator[dict[str, Any]]:
    """Ceilings of an accelerator: products per precision, reading its memory, launching and waiting."""
    if device == "cuda":
        yield from _on_cuda()
    elif device == "mlx":
        yield from _on_metal()


def _on_cuda() -> Iterator[dict[str, Any]]:
    if not importlib.util.find_spec("torch"):
        return
    import torch

    if not torch.cuda.is_available():
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    for precision in PRECISIONS:
        yield _fastest("gemm", precision, 1, _gemm_calls(precision, 8192, "cuda"), unit=_unit(precision), device="cuda")
    data = torch.ones(1 << 28, dtype=torch.float32, device="cuda")
    how = f"torch {torch.__version__} {torch.version.cuda}"
    yield _ceiling("read", "memory", 1, (4 << 28) / best_seconds(data.sum, "cuda") / 1e9, "GB/s", how=how, device="cuda")
    one = torch.ones(1, device="cuda")
    yield _ceiling("call", "torch", 1, best_seconds(lambda: one.add_(1), "cuda", 0.1) * 1e6, "us", how=f"{how} add and wait", device="cuda")


def _on_metal() -> Iterator[dict[str, Any]]:
    if not importlib.util.find_spec("mlx"):
        return
    import mlx.core as mx

    if not mx.metal.is_available():
        return
    size = 4096
    for precision in ("float32", "bfloat16", "float16"):
        a = mx.ones((size, size), getattr(mx, precision))
        seconds = best_seconds(lambda a=a: mx.eval(a @ a), "mlx")  # type: ignore[misc]
        yield _ceiling("gemm", precision, 1, 2.0 * size**3 / seconds / 1e9, "GFLOP/s", how="mlx on Metal", device="mlx")
    data = mx.ones((1 << 27,), mx.float32)
    mx.eval(data)
    yield _ceiling(
        "read", "memory", 1, (4 << 27) / best_seconds(lambda: mx.eval(mx.sum(data)), "mlx") / 1e9, "GB/s", how="mlx on Metal", device="mlx"
    )


def _fastest(
    name: str, detail: str, threads: int, calls: Iterator[tuple[str, float, Callable[[], object]]], *, unit: str, device: str = "cpu"
) -> dict[str, Any]:
    """The best of several libraries; a probe that none can run says why."""
    rates: dict[str, float] = {}
    problem = "no installed library has a fast path"
    try:
        for how, operations, call in calls:
            rates[how] = operations / best_seconds(call, "cuda" if device == "cuda" else "wall") / 1e9
    except (RuntimeError, NotImplementedError, TypeError) as error:
        problem = str(error).split("\n", 1)[0]
    if not rates:
        return {"missing": f"{device} {name} {detail}, {threads} threads: {problem}"}
    how = max(rates, key=lambda how: rates[how])
    return _ceiling(name, detail, threads, rates[how], unit, how=how, device=device)


def _ceiling(
    name: str, detail: str, threads: int, value: float, unit: str, *, how: str, capacity: int | None = None, device: str = "cpu"
) -> dict[str, Any]:
    return {
        "name": name, "detail": detail, "threads": threads, "value": value, "unit": unit, "how": how, "capacity": capacity, "device": device
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main(json.loads(sys.argv[1]), lambda found: sys.stdout.write(json.dumps(found) + "\n"))
