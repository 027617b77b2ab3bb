"""The native engine on the inference thread, by the addresses of its C interface: no Python between audio and models."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.callback import Callback
from implementations.small_models.models import Model
from implementations.small_models.realtime import pipeline
from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    from harness.settings import Settings


@contextmanager
def engine_pipeline(models: Mapping[str, Model], weights: Mapping[str, Weights], settings: Settings) -> Iterator[tuple[Callback, Any]]:
    """As `realtime.pipeline`, around an engine of the five models that computes each frame from the zero state, as they are trained.

    settings: precision, sample_rate. ValueError: what the engine refuses.
    """
    from implementations.small_models.native import library
    from implementations.small_models.packed import pack

    packed = pack(models, weights, precision=settings.precision or "float32", stateful=False)
    interface = ctypes.CDLL(str(library()))
    interface.sm_create.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
    interface.sm_destroy.argtypes, interface.sm_message.restype = [ctypes.c_void_p], ctypes.c_char_p
    engine = ctypes.c_void_p()
    if status := interface.sm_create(packed, len(packed), None, ctypes.byref(engine)):
        raise ValueError(f"the engine of the small models: expected {interface.sm_message(status).decode()}")
    step, enable = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in (interface.sm_step, interface.sm_enable))
    try:
        with pipeline(settings, step, engine.value or 0, enable) as made:
            yield made
    finally:
        interface.sm_destroy(engine)


@contextmanager
def realtime(settings: Settings) -> Iterator[Callback]:
    """The shipped weights, for `harness run model_pipeline --only realtime`."""
    from implementations.small_models.checkpoints import shipped

    served = shipped()
    models, weights = {name: model for name, (model, _) in served.items()}, {name: own for name, (_, own) in served.items()}
    with engine_pipeline(models, weights, settings) as (callback, _):
        yield callback
