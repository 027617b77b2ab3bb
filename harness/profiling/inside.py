"""The profiled implementation as its worker sees it: one like any other, whose run() also answers what profilers ask.

The variable VALUE names the entry point behind PROFILED. Inputs that hold ASK are a question instead of a call.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.component import Implementation, Inputs, Loaded, Run
from harness.settings import Settings

VALUE, ALLOCATIONS = "HARNESS_PROFILED", "HARNESS_PROFILED_ALLOCATIONS"
"""Variables of the worker: the entry point's value; where memray is to write what is allocated, absent without it."""

ASK = "harness_profiling"
CHECK_SECONDS = 0.05
ANY_PROCESS = -1


def __getattr__(name: str) -> Any:
    if name == "PROFILED":
        return profiled(os.environ[VALUE])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def profiled(value: str) -> Implementation:
    """The implementation behind `package.module:NAME`, asked by profilers too."""
    module, _, attribute = value.partition(":")
    real: Any = importlib.import_module(module)
    for part in attribute.split("."):
        real = getattr(real, part)
    found: Implementation = dataclasses.replace(real, load=partial(_load, real))
    return found


@contextlib.contextmanager
def _load(real: Implementation, settings: Settings) -> Iterator[Run]:
    _allow_profilers()
    with contextlib.ExitStack() as stack:
        if path := os.environ.get(ALLOCATIONS):
            import memray

            stack.enter_context(memray.Tracker(path, native_traces=False))
        given = loading(real, settings, stack)
        run = given.run if isinstance(given, Loaded) else given

        def answer(inputs: Inputs) -> Any:
            asked = inputs.get(ASK)
            return run(inputs) if asked is None else _ANSWERS[asked](run, inputs)

        yield answer


def loading(real: Implementation, settings: Settings, stack: contextlib.ExitStack) -> Run:
    """Enter load(); its frames lie below this one."""
    return stack.enter_context(real.load(settings))


def calls(run: Run, sequence: Iterator[Inputs], goes_on: Callable[[], bool]) -> int:
    """Call until told otherwise, and once at least; the frames of the calls lie below this one."""
    count = 0
    while True:
        result = run(next(sequence))
        if not isinstance(result, Mapping):
            for _ in result:  # chunks are computed as they are drawn
                pass
        count += 1
        if not goes_on():
            return count


def _spin(run: Run, asked: Inputs) -> dict[str, Any]:
    """Call over and over until the file `stop` is there, or `seconds` are over."""
    stop, end = Path(asked["stop"]), time.monotonic() + asked["seconds"]
    look = 0.0

    def goes_on() -> bool:
        nonlocal look
        now = time.monotonic()
        if now < look:
            return True
        look = now + CHECK_SECONDS
        return now < end and not stop.exists()

    return {"calls": np.array(calls(run, _cycle(asked), goes_on))}


def _once(run: Run, asked: Inputs) -> dict[str, Any]:
    """One call; its outputs are dropped."""
    return {"calls": np.array(calls(run, _cycle(asked), lambda: False))}


def _operators(run: Run, asked: Inputs) -> dict[str, Any]:
    """Some calls under torch.profiler: its table as JSON, its events as a Chrome trace."""
    from harness.profiling import operators

    def some() -> int:
        end = time.monotonic() + asked["seconds"]  # from here on: a profiler takes its time to start
        return calls(run, _cycle(asked), lambda: time.monotonic() < end)

    return {"calls": np.array(operators.record(some, Path(asked["folder"])))}


_ANSWERS: Mapping[str, Callable[[Run, Inputs], dict[str, Any]]] = {"spin": _spin, "once": _once, "operators": _operators}


def _cycle(asked: Inputs) -> Iterator[Inputs]:
    return itertools.cycle(asked["cases"].values())


def _allow_profilers() -> None:
    """Where the system lets only a parent read a process (Yama), let any of this user's, as long as this process lives."""
    if sys.platform == "linux":
        set_ptracer = 0x59616D61  # PR_SET_PTRACER, linux/prctl.h
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(set_ptracer, ctypes.c_ulong(ANY_PROCESS), 0, 0, 0)
