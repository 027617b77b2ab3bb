"""The worker's side of the proof: plays callbacks on the native audio thread and answers with one row per block, raw."""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from harness import origin
from harness.callback import Callback
from harness.component import Implementation
from harness.settings import Settings

NATIVE = "harness.realtime._native"

CONTROL_FRAMES, CONTROL_CALLBACKS = 64, 100
"""A control is played for 0.13 s: long enough for ten of what it does every tenth time."""

WARM_SECONDS = 0.25
SETTLED_SECONDS = 0.1
"""At the start of a window a callback has not been called for a while: its results are old by then, through no fault of its own."""

MOST_TURNS = 3
"""How much longer than asked a session goes on until the empty callback has been without a miss for as long as asked."""

WARM_UP = -1
"""The number of the window in which code and data come into the caches: counted for allocations and locks alone."""


def controls(*, rate: float) -> dict[str, Any]:
    """Play every control: `deliberate`, how often it did what it is for, and what was seen of it."""
    native = importlib.import_module(NATIVE)
    why = native.lock_memory()
    answer: dict[str, Any] = {}
    for kind in native.controls():
        with control(kind, CONTROL_FRAMES, rate) as (callback, deliberate):
            # Its rival sits on the first processor that this process may use.
            cpu = min(os.sched_getaffinity(0)) if kind == "involuntary" else -1
            stage = Stage(CONTROL_FRAMES, rate, cpu=cpu, settled_seconds=0)
            stage.play(callback, CONTROL_CALLBACKS, window=0, seed=0)
            answer[kind] = {**stage.answer(), "deliberate": deliberate()}
    return {"controls": answer, "memory": why}


def beside_empty(*, implementation: str, settings: dict[str, Any], seconds: float, window_seconds: float, seed: int) -> dict[str, Any]:
    """Play an implementation's callback and the empty one, window by window in random order, for `seconds` each.

    On a busy machine up to MOST_TURNS as long, until the empty callback was without a miss for `seconds` on end.
    """
    native = importlib.import_module(NATIVE)
    why, given, draw = native.lock_memory(), Settings(**settings), random.Random(seed)
    assert given.audio_buffer is not None
    assert given.sample_rate is not None
    frames, rate = given.audio_buffer, float(given.sample_rate)
    found: Implementation = origin.attribute(implementation)
    if found.realtime is None:
        raise TypeError(f"{implementation}: expected an implementation with a real-time callback, found none")
    subject, empty = Stage(frames, rate), Stage(frames, rate)
    count = max(1, round(window_seconds * rate / frames))
    wanted = max(1, round(seconds / window_seconds))
    with found.realtime(given) as callback, control("nothing", frames, rate) as (nothing, _):
        warm = max(1, round(WARM_SECONDS * rate / frames))
        for stage, called in ((subject, callback), (empty, nothing)):
            stage.play(called, warm, window=WARM_UP, seed=draw.getrandbits(32))
        clean = number = 0
        while clean < wanted and number < MOST_TURNS * wanted:
            turns = [(subject, callback), (empty, nothing)]
            draw.shuffle(turns)
            for stage, called in turns:
                stage.play(called, count, window=number, seed=draw.getrandbits(32))
            clean = clean + 1 if empty.misses == 0 else 0
            number += 1
        told = {"latency": callback.latency, "flags": list(callback.flags), "results": bool(callback.results)}
    return {"subject": subject.answer(), "empty": empty.answer(), **told, "memory": why}


@contextmanager
def control(kind: str, frames: int, rate: float) -> Iterator[tuple[Callback, Any]]:
    """A control as a Callback, and a function that says how often it did what it is for so far."""
    made = importlib.import_module(NATIVE).Control(kind, frames, rate)
    yield Callback(made.callback, made.state, 0, made.results), lambda: int(made.deliberate)


class Stage:
    """Where one callback plays its windows: collects a row per block."""

    def __init__(self, frames: int, rate: float, cpu: int = -1, settled_seconds: float = SETTLED_SECONDS) -> None:
        self._frames, self._rate, self._cpu, self._settled = frames, rate, cpu, round(settled_seconds * rate / frames)
        self._native = importlib.import_module(NATIVE)
        self._windows: list[dict[str, np.ndarray]] = []
        self._latencies: list[int] = []
        self._granted: dict[str, Any] = {}

    @property
    def misses(self) -> int:
        """Missed deadlines of the last window."""
        return int((self._windows[-1]["late_ns"] > 0).sum())

    def play(self, callback: Callback, count: int, *, window: int, seed: int) -> None:
        """Call it `count` times in real time, on quiet noise with one impulse, and look for that in what comes out."""
        rng, samples = np.random.Generator(np.random.PCG64(seed)), count * self._frames
        given = rng.uniform(-0.1, 0.1, samples).astype(np.float32)
        place = int(rng.integers(0, max(1, samples // 2)))
        given[place] = 1.0
        came = np.zeros(samples, np.float32)
        wide = np.full((len(self._native.WIDE), count), -1, np.int64)
        narrow = np.zeros((len(self._native.NARROW), count), np.int32)
        self._granted = self._native.play(
            callback=callback.function, results=callback.results, state=callback.state, frames=self._frames, rate=self._rate,
            input=given, output=came, wide=wide, narrow=narrow, cpu=self._cpu,
        )  # fmt: skip
        columns = {**dict(zip(self._native.WIDE, wide, strict=True)), **dict(zip(self._native.NARROW, narrow, strict=True))}
        columns["window"] = np.full(count, window, np.int32)
        columns["settled"] = np.arange(count) >= min(count // 2, self._settled)
        self._windows.append(columns)
        peak = int(np.argmax(np.abs(came)))
        self._latencies.append(peak - place if abs(came[peak]) > 0.5 else -1)

    def answer(self) -> dict[str, Any]:
        """All columns over all windows, the latency in samples that each window measured (-1: no impulse came out), what was granted."""
        columns = {name: np.concatenate([window[name] for window in self._windows]) for name in self._windows[0]}
        block = {"frames": self._frames, "rate": self._rate}
        return {"columns": columns, "latencies": self._latencies, "granted": dict(self._granted), **block}
