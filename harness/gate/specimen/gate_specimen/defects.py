"""What can be wrong with a kernel: each function turns a good run into a bad one."""

import itertools
import os
import signal
import threading
import time

import numpy as np


def parity(run):
    """Off by far less than an ear hears, and by more than the policy allows."""
    return lambda inputs: {"y": run(inputs)["y"] + 1e-9}


def not_a_number(run):
    """One NaN in the last cell."""

    def spoiled(inputs):
        y = run(inputs)["y"]
        y[-1] = np.nan
        return {"y": y}

    return spoiled


def crash(run):
    """A segmentation fault in the third call."""
    calls = iter(range(3))
    return lambda inputs: run(inputs) if next(calls, None) is not None else os.kill(os.getpid(), signal.SIGSEGV)


def hang(run):
    """Never returns."""
    return lambda inputs: time.sleep(3600)


def out_of_memory(run):
    """Killed as the system kills what takes too much memory."""
    return lambda inputs: os.kill(os.getpid(), signal.SIGKILL)


def empty(run):
    """Nothing, and fast."""
    return lambda inputs: {"y": np.empty(0)}


def half(run):
    """Half of what was asked."""
    return lambda inputs: {"y": run(inputs)["y"][::2]}


def mutates(run):
    """Writes into its input."""

    def spoiled(inputs):
        found = run(inputs)
        inputs["x"][0] += 1.0
        return found

    return spoiled


def replays(run):
    """Remembers what it has answered."""
    known = {}

    def spoiled(inputs):
        key = inputs["x"][:8].tobytes()
        if key not in known:
            time.sleep(0.005)
            known[key] = run(inputs)
        return known[key]

    return spoiled


def unfinished(run):
    """Returns before the work is done: a thread goes on."""

    def spoiled(inputs):
        y = np.zeros(inputs["x"].size // 2)
        threading.Thread(target=lambda: (time.sleep(0.002), np.copyto(y, run(inputs)["y"]))).start()
        return {"y": y}

    return spoiled


def patches_the_clock(run):
    """Makes every clock it can reach run at a tenth of its speed."""
    from harness import clock

    original = clock.Stopwatch.elapsed
    clock.Stopwatch.elapsed = lambda self: clock.Elapsed(*(reading // 10 for reading in original(self)))
    return run


def leaks(run):
    """Takes three times the memory."""
    kept = []

    def spoiled(inputs):
        if not kept:
            kept.append(np.ones(8_000_000))
        return run(inputs)

    return spoiled


def _late(run, inputs):
    until = time.perf_counter() + 0.0003
    while time.perf_counter() < until:
        pass
    return run(inputs)


def rarely_slow(run):
    """Every fortieth call takes 0.3 ms longer."""
    calls = itertools.cycle(range(40))

    def spoiled(inputs):
        return _late(run, inputs) if next(calls) == 39 else run(inputs)

    return spoiled


def slow_in_bursts(run):
    """Twenty calls of 800 take 0.3 ms longer, one after the other."""
    calls = itertools.cycle(range(800))

    def spoiled(inputs):
        return _late(run, inputs) if next(calls) >= 780 else run(inputs)

    return spoiled


def loads_slowly(run):
    """Takes half a second longer to load."""
    until = time.perf_counter() + 0.5
    while time.perf_counter() < until:
        pass
    return run
