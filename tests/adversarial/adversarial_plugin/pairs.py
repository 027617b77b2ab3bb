"""Each cheat beside its honest twin: the same code, called with cheats=True and cheats=False.

An entry point names one of the two: `adversarial_plugin.pairs:REPLAYS.cheats`, `adversarial_plugin.pairs:REPLAYS.honest`.
"""

import ctypes
import importlib
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from adversarial_plugin.component import made, make
from adversarial_plugin.honest import REFERENCE
from harness.component import Implementation, Requires


def sort(x):
    return np.sort(x, kind="stable")


def pair(name, component="sorting", **options):
    """Makes both implementations of the decorated function (cheats, settings) -> run."""

    def register(build):
        def implementation(cheats):
            @contextmanager
            def load(settings):
                yield build(cheats, settings)

            full = name if cheats else f"{name}_honest"
            if component == "sorting":
                return made(full, load, **options)
            return Implementation(component, full, "optimized", load, clock="cpu", **options)

        return SimpleNamespace(cheats=implementation(True), honest=implementation(False))

    return register


# Work that is not done.


@pair("replays")
def REPLAYS(cheats, settings):
    seen = {}

    def run(inputs):
        key = inputs["x"][:8].tobytes()
        if not cheats or key not in seen:
            for _ in range(3):
                sort(inputs["x"])
            seen[key] = sort(inputs["x"])
        return {"y": seen[key].copy()}

    return run


@pair("skips_repeats")
def SKIPS_REPEATS(cheats, settings):
    last = [None, None]

    def run(inputs):
        if not cheats or inputs["x"] is not last[0]:
            for _ in range(5):
                sort(inputs["x"])
            last[:] = inputs["x"], sort(inputs["x"])
        return {"y": last[1].copy()}

    return run


@pair("stale")
def STALE(cheats, settings):
    first = []

    def run(inputs):
        if not (cheats and first):
            first[:] = [sort(inputs["x"])]
        return {"y": first[0].copy()}

    return run


@pair("knows_the_inputs")
def KNOWS_THE_INPUTS(cheats, settings):
    known = {make(seed)["x"][:8].tobytes() for seed in range(3)}

    def run(inputs):
        if cheats and inputs["x"][:8].tobytes() not in known:
            return {"y": inputs["x"].copy()}
        return {"y": sort(inputs["x"])}

    return run


@pair("wrong_later")
def WRONG_LATER(cheats, settings):
    calls = []

    def run(inputs):
        calls.append(0)
        y = sort(inputs["x"])
        return {"y": y[::-1].copy() if cheats and len(calls) > 12 else y}

    return run


class Later:
    """An output that is computed only when somebody looks."""

    def __init__(self, x):
        self.x = x

    def __array__(self, dtype=None, copy=None):
        return sort(self.x)


@pair("lazy")
def LAZY(cheats, settings):
    return lambda inputs: {"y": Later(inputs["x"]) if cheats else sort(inputs["x"])}


@pair("unfinished")
def UNFINISHED(cheats, settings):
    def run(inputs):
        y = np.zeros(inputs["x"].shape)

        def finish():
            time.sleep(0.05)
            y[:] = sort(inputs["x"])

        thread = threading.Thread(target=finish)
        thread.start()
        if not cheats:
            thread.join()
        return {"y": y}

    return run


@pair("hides_work")
def HIDES_WORK(cheats, settings):
    """Leaves the rest of a call to a thread, which goes on when the timer has stopped and ends before it starts again.

    It knows when that is: else the cores that happen to be free would decide how much of the rest falls into the calls after it.
    """
    from harness.runner import Runner

    left, check = [], Runner.check

    def rest(x):
        for _ in range(6):
            sort(x)

    def catch_up(self, **asked):
        for thread in left:
            thread.start()
            thread.join()
        left.clear()
        return check(self, **asked)

    def run(inputs):
        thread = threading.Thread(target=rest, args=(inputs["x"],))
        if cheats:
            left.append(thread)
        else:
            thread.start()
            thread.join()
        return {"y": sort(inputs["x"])}

    if cheats:
        Runner.check = catch_up
    return run


@pair("aliases")
def ALIASES(cheats, settings):
    buffers = {}

    def run(inputs):
        buffer = buffers.setdefault(inputs["x"].size, np.zeros(inputs["x"].size)) if cheats else np.zeros(inputs["x"].size)
        buffer[:] = sort(inputs["x"])
        return {"y": buffer}

    return run


@pair("mutates")
def MUTATES(cheats, settings):
    def run(inputs):
        x = inputs["x"] if cheats else inputs["x"].copy()
        x[:2] = x[1::-1]
        return {"y": sort(x)}

    return run


# Time that is not told.


@pair("patches_time")
def PATCHES_TIME(cheats, settings):
    if cheats:
        for name in ("perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "thread_time_ns", "monotonic", "time"):
            setattr(time, name, lambda: 0)
    return lambda inputs: {"y": sort(inputs["x"])}


@pair("patches_clock")
def PATCHES_CLOCK(cheats, settings):
    from harness import clock

    original = clock.Stopwatch.elapsed

    def elapsed(self):
        wall, cpu = original(self)
        return clock.Elapsed(wall // 20, cpu // 20)

    if cheats:
        clock.Stopwatch.elapsed = elapsed
    return lambda inputs: {"y": sort(inputs["x"])}


@pair("more_threads", settings=("threads",))
def MORE_THREADS(cheats, settings):
    def part(x, y):
        y[:] = sort(np.tile(x, 40))[::40]  # at once: between many sorts the threads would wait for each other's lock

    def run(inputs):
        x, y = inputs["x"], np.empty(inputs["x"].shape)
        half = x.size // 2
        parts = [threading.Thread(target=part, args=(x[at], y[at])) for at in (slice(half), slice(half, None))]
        for thread in parts:
            thread.start()
            if not cheats:
                thread.join()
        for thread in parts:
            thread.join()
        return {"y": sort(y)}

    return run


# Another result.


def wrong(name, change):
    """A pair whose cheating half changes the sorted numbers."""
    return pair(name)(lambda cheats, settings: lambda inputs: {"y": change(sort(inputs["x"])) if cheats else sort(inputs["x"])})


def _nan(y):
    y[7] = np.nan
    return y


def _off_by_one(y):
    y[-1] = y[-2]
    return y


def _flushed(y):
    y[np.abs(y) < np.finfo(y.dtype).tiny] = 0.0
    return y


NAN = wrong("nan", _nan)
OFF_BY_ONE = wrong("off_by_one", _off_by_one)
FLUSHES_DENORMALS = wrong("flushes_denormals", _flushed)
WRONG_DTYPE = wrong("wrong_dtype", lambda y: y.astype(np.float32))
WRONG_SHAPE = wrong("wrong_shape", lambda y: y[None])
UNEQUAL_WORK = wrong("unequal_work", lambda y: y[: y.size * 4 // 30])


@pair("loses_a_tail")
def LOSES_A_TAIL(cheats, settings):
    """Like a codec that lost audio when a length left the remainder 104 of 320: here lengths of 7 lose their last number."""
    return lambda inputs: {"y": sort(inputs["x"])[: -1 if cheats and inputs["x"].size % 8 == 7 else None]}


@pair("unsteady")
def UNSTEADY(cheats, settings):
    random, calls = np.random.default_rng(), []

    def run(inputs):
        y = sort(inputs["x"])
        calls.append(0)
        if cheats and len(calls) > 1:
            y[0] -= random.random()
        return {"y": y}

    return run


# Another way.


@pair("falls_back", requires=Requires(packages=("wave",)))
def FALLS_BACK(cheats, settings):
    """Without the library that it names it quietly computes with another."""
    if not cheats:
        importlib.import_module("wave")
    return lambda inputs: {"y": sort(inputs["x"])}


@pair("borrows")
def BORROWS(cheats, settings):
    if cheats:
        return REFERENCE.load(settings).__enter__()
    return lambda inputs: {"y": sort(inputs["x"])}


@pair("dead_setting", settings=("precision",))
def DEAD_SETTING(cheats, settings):
    dtype = np.dtype("float64" if cheats else settings.precision or "float64")
    return lambda inputs: {"y": sort(inputs["x"].astype(dtype)).astype(np.float64)}


# Bad ends.


@pair("leaks")
def LEAKS(cheats, settings):
    kept = []

    def run(inputs):
        y = sort(inputs["x"])
        kept.append(np.tile(y, 8))
        if not cheats:
            kept.clear()
        return {"y": y}

    return run


@pair("segfaults")
def SEGFAULTS(cheats, settings):
    def run(inputs):
        if cheats:
            ctypes.string_at(0)
        return {"y": sort(inputs["x"])}

    return run


@pair("hangs")
def HANGS(cheats, settings):
    """Long enough to be taken for a hang where two seconds are allowed."""
    waits = [3.0] if cheats else []

    def run(inputs):
        if waits:
            time.sleep(waits.pop())
        return {"y": sort(inputs["x"])}

    return run
