"""Implementations that look fast or right and are not."""

import os
import threading
import time
from contextlib import contextmanager

import numpy as np

from adversarial_plugin.component import made


def cheat(name, **options):
    """Makes an implementation of the decorated `run`."""

    def register(run):
        @contextmanager
        def load(settings):
            yield run

        return made(name, load, **options)

    return register


def honest(inputs):
    return np.sort(inputs["x"], kind="stable")


_seen = {}


@cheat("replays")
def REPLAYS(inputs):
    key = inputs["x"][:8].tobytes()
    if key not in _seen:
        for _ in range(4):
            _seen[key] = honest(inputs)
    return {"y": _seen[key]}


_first = []


@cheat("stale")
def STALE(inputs):
    if not _first:
        _first.append(honest(inputs))
    return {"y": _first[0]}


class Later:
    """An output that is computed only when somebody looks."""

    def __init__(self, inputs):
        self.inputs = inputs

    def __array__(self, dtype=None, copy=None):
        return honest(self.inputs)


@cheat("lazy")
def LAZY(inputs):
    return {"y": Later(inputs)}


@cheat("unfinished")
def UNFINISHED(inputs):
    y = np.zeros(inputs["x"].shape)

    def finish():
        time.sleep(0.002)
        y[:] = honest(inputs)

    threading.Thread(target=finish).start()
    return {"y": y}


_buffers = {}


@cheat("aliases")
def ALIASES(inputs):
    """Returns the same buffer each time."""
    buffer = _buffers.setdefault(inputs["x"].size, np.zeros(inputs["x"].size))
    buffer[:] = honest(inputs)
    return {"y": buffer}


@cheat("mutates")
def MUTATES(inputs):
    inputs["x"].sort(kind="stable")
    return {"y": inputs["x"].copy()}


@cheat("hides")
def HIDES(inputs):
    """Leaves work to a thread that goes on after the call."""
    y = honest(inputs)

    def spin():
        for _ in range(2):
            honest(inputs)

    threading.Thread(target=spin).start()
    return {"y": y}


@contextmanager
def _patches_time(settings):
    for name in ("perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "thread_time_ns", "monotonic", "time"):
        setattr(time, name, lambda: 0)
    yield lambda inputs: {"y": honest(inputs)}


@contextmanager
def _patches_clock(settings):
    from harness import clock

    original = clock.Stopwatch.elapsed

    def elapsed(self):
        wall, cpu = original(self)
        return clock.Elapsed(wall // 20, cpu // 20)

    clock.Stopwatch.elapsed = elapsed
    yield lambda inputs: {"y": honest(inputs)}


PATCHES_TIME = made("patches_time", _patches_time)
PATCHES_CLOCK = made("patches_clock", _patches_clock)


@cheat("knows_its_seeds")
def KNOWS_ITS_SEEDS(inputs):
    """Right on the first calls of a process, wrong later."""
    _calls.append(0)
    y = honest(inputs)
    return {"y": y if len(_calls) < 12 else y[::-1].copy()}


_calls = []


@cheat("nan")
def NAN(inputs):
    y = honest(inputs)
    y[7] = np.nan
    return {"y": y}


@cheat("infinite")
def INFINITE(inputs):
    y = honest(inputs)
    y[7] = np.inf
    return {"y": y}


@cheat("empty")
def EMPTY(inputs):
    return {"y": np.zeros(0)}


@cheat("wrong_names")
def WRONG_NAMES(inputs):
    return {"z": honest(inputs)}


@cheat("wrong_dtype")
def WRONG_DTYPE(inputs):
    return {"y": honest(inputs).astype(np.float32)}


@cheat("objects")
def OBJECTS(inputs):
    return {"y": honest(inputs).astype(object)}


@cheat("huge")
def HUGE(inputs):
    return {"y": np.broadcast_to(np.float64(0), (1 << 20, 1 << 20))}


@cheat("deletes_output")
def DELETES_OUTPUT(inputs):
    y = honest(inputs)
    y.resize(0, refcheck=False)
    return {"y": y}


@cheat("returns_none")
def RETURNS_NONE(inputs):
    return None


@cheat("by_children")
def BY_CHILDREN(inputs):
    """Works in a child process that its CPU clock does not see."""
    if not _children:
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        _children.append(pid)
    return {"y": honest(inputs)}


_children = []
