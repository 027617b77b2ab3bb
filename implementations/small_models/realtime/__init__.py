"""The small models beside an audio thread: ring, mailbox, inference thread, stated fallbacks, lookahead (pipeline.hpp says how)."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.callback import Callback
from implementations.small_models.models import MODELS

if TYPE_CHECKING:
    from harness.settings import Settings

NATIVE = "implementations.small_models.realtime._native"
SAMPLE_RATE = 48000

NEUTRAL = dict(zip(MODELS, (0.0, 0.0, 1 / 64, 0.5, 0.0), strict=True))
"""What stands for a model's outputs where there are none: no emotion, no note, each chord as likely, middle dynamics, no groove."""

FLAGS = ("no result", "too old", "stopped", "failed", "not finite", "switched off", *(f"{model} neutral" for model in MODELS))
"""Why a result is a fallback, then which models' outputs are neutral, bit by bit."""

Step = Callable[[np.ndarray], np.ndarray]
"""Features (128,) float32 to the outputs of all models, one after another, (304,) float32."""

_STEP = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_float), ctypes.c_size_t, ctypes.POINTER(ctypes.c_float), ctypes.c_size_t
)
FAILED = 1


@contextmanager
def pipeline(settings: Settings, step: int, engine: int = 0, enable: int = 0) -> Iterator[tuple[Callback, Any]]:
    """A Callback around an engine, and the native object: `enable(bits by model)`, `inferences`.

    step, enable: addresses of functions as sm_step and sm_enable of the engine (a status below 0: it cannot go on); enable may be 0.
    ValueError: a sample rate above 192 kHz.
    """
    models, first = [], 0
    for number, model in enumerate(MODELS.values()):
        # The emotion feeds the others: without it what they compute is of nothing.
        models.append((first, model.outputs, NEUTRAL[model.name], 1 | 1 << number))
        first += model.outputs
    rate = settings.sample_rate or SAMPLE_RATE
    native = importlib.import_module(NATIVE).Pipeline(rate=float(rate), step=step, engine=engine, enable=enable, models=models)
    try:
        yield Callback(native.callback, native.state, native.latency, native.results, FLAGS), native
    finally:
        native.close()  # before the engine goes


@contextmanager
def python_pipeline(settings: Settings, step: Step) -> Iterator[tuple[Callback, Any]]:
    """As `pipeline`, around a Python function: the inference thread takes the interpreter for each step, the audio thread never does."""

    def call(_: int, features: Any, feature_count: int, outputs: Any, output_count: int) -> int:
        try:
            np.ctypeslib.as_array(outputs, (output_count,))[:] = step(np.ctypeslib.as_array(features, (feature_count,)).copy())
        except Exception:  # there is nobody to raise to: the result says that its step failed
            return FAILED
        return 0

    function = _STEP(call)  # kept until the thread has ended
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    with pipeline(settings, address) as made:
        yield made
