"""Implementations that behave."""

import subprocess
import threading
import time
from contextlib import contextmanager
from functools import partial

import numpy as np

from adversarial_plugin.component import FLOAT32, made


@contextmanager
def sorting(settings):
    yield lambda inputs: {"y": np.sort(inputs["x"], kind="stable")}


@contextmanager
def by_precision(settings):
    dtype = np.dtype(settings.precision or "float64")
    yield lambda inputs: {"y": np.sort(inputs["x"].astype(dtype)).astype(np.float64)}


@contextmanager
def loads_slowly(settings):
    time.sleep(0.6)
    yield lambda inputs: {"y": np.sort(inputs["x"], kind="stable")}


@contextmanager
def twice(settings):
    def run(inputs):
        np.sort(inputs["x"], kind="stable")
        return {"y": np.sort(inputs["x"], kind="stable")}

    yield run


@contextmanager
def streaming(settings, *, seconds=0.0005):
    def run(inputs):
        y = np.sort(inputs["x"])
        for part in np.array_split(y, 4):
            time.sleep(seconds)
            yield {"y": part}

    yield run


@contextmanager
def turning(settings):
    """Honours every setting that the component's effects name."""
    if (settings.batch or 1) > 1:
        raise ValueError("batch: expected 1")
    limit = int((settings.longest_audio or 1.0) * 1e4)
    memory = []

    def run(inputs):
        if settings.hop == 2.0:
            memory.append(np.ones(8 << 20))
        y = np.sort(inputs["x"], kind="stable")
        threads = [threading.Thread(target=time.sleep, args=(0.02,)) for _ in range((settings.threads or 1) - 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        workers = [subprocess.Popen(["sleep", "0.02"]) for _ in range((settings.workers or 1) - 1)]
        for worker in workers:
            worker.wait()
        for _ in range(10 if settings.cache is False else 0):
            np.sort(inputs["x"], kind="stable")
        return {"y": y.astype(settings.precision or "float64").astype(np.float64)[:limit]}

    yield run


@contextmanager
def fragile(settings):
    """Wrong for one kind of input only."""

    def run(inputs):
        y = np.sort(inputs["x"])
        return {"y": np.where(y > 1000, 0.0, y) if y.size >= 3 else y}

    yield run


EVERY = ("threads", "workers", "precision", "batch", "longest_audio", "cache", "hop")
REFERENCE = made("reference", sorting, role="reference", clock="cpu")
HONEST = made("honest", by_precision, settings=("precision", "threads"), variants=(FLOAT32,))
TWICE = made("twice", twice, role="peer")
LOADS_SLOWLY = made("loads_slowly", loads_slowly)
STREAMS = made("streams", streaming, clock="wall")
STREAMS_SLOWLY = made("streams_slowly", partial(streaming, seconds=0.005), clock="wall")
TURNS = made("turns", turning, settings=EVERY)
# Not the cache: of times that are equal chance says, once in a while, that they differ (tests/test_effects.py has that in figures).
DEAD = made("dead", sorting, settings=tuple(name for name in EVERY if name != "cache"))
NONE = made("honours_none", sorting)
FRAGILE = made("fragile", fragile)
