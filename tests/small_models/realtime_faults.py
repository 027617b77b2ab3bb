"""Implementations whose real-time side has one fault each: `realtime_faults.cpp`, compiled where REALTIME_FAULTS says, around our
pipeline."""

import ctypes
import os
import random
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness.component import Implementation
from implementations.small_models.realtime import pipeline, python_pipeline

HERE = Path(__file__).parent


def build(folder: Path) -> Path:
    """Compile the faults into a folder."""
    built = folder / "faults.so"
    headers = HERE.parent.parent / "harness" / "realtime"
    command = ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", f"-I{headers}", "-o", str(built), str(HERE / "realtime_faults.cpp")]
    subprocess.run(command, check=True, timeout=120)
    return built


def address(name: str) -> int:
    library = ctypes.CDLL(os.environ["REALTIME_FAULTS"])
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def made(realtime):
    @contextmanager
    def load(settings):
        yield lambda inputs: {}

    return Implementation("toy", realtime.__name__, "optimized", load, realtime=realtime)


def stepping(step):
    @contextmanager
    def realtime(settings):
        with pipeline(settings, address(step)) as (callback, _):
            yield callback

    return made(realtime)


def wrapped(step, function):
    @contextmanager
    def realtime(settings):
        with pipeline(settings, address(step)) as (callback, _):
            wrap = ctypes.CDLL(os.environ["REALTIME_FAULTS"]).wrap
            wrap(ctypes.c_size_t(callback.function), ctypes.c_size_t(callback.results), ctypes.c_size_t(callback.state))
            yield replace(callback, function=address(function), results=address("wrapped_results"), state=0)

    return made(realtime)


@contextmanager
def storm(settings):
    """Models are switched on and off some thousand times a second."""
    done = threading.Event()

    def switch(native):
        while not done.wait(0.0002):
            native.enable(random.getrandbits(5))

    with pipeline(settings, address("step_plain")) as (callback, native):
        thread = threading.Thread(target=switch, args=(native,))
        thread.start()
        try:
            yield callback
        finally:
            done.set()
            thread.join()


@contextmanager
def raising(settings):
    with python_pipeline(settings, lambda features: features[:3]) as (callback, _):
        yield callback


@contextmanager
def liar(settings):
    with pipeline(settings, address("step_plain")) as (callback, _):
        yield replace(callback, latency=1984)


@contextmanager
def ends_process(settings):
    os._exit(3)
    yield


PLAIN = stepping("step_plain")
SLOW_5, SLOW_12, NAN, CRASH = (stepping(f"step_{name}") for name in ("5ms", "12ms", "nan", "throws"))
LOCKS, ALLOCATES = wrapped("step_locks", "callback_locks"), wrapped("step_plain", "callback_allocates")
STORM, RAISING, LIAR, ENDS_PROCESS = (made(one) for one in (storm, raising, liar, ends_process))
