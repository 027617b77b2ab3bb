"""The peer: RTNeural itself, from a shared library of your own.

RTNeural is a C++ library without a binary interface, and nothing of it comes with this package. Whoever has it builds a shared library
that exports these functions, and names the file in HARNESS_RTNEURAL_LIBRARY; docs/small_models_rtneural.md says what each promises:

    int rtneural_interface(void);
    const char *rtneural_backend(void);
    void *rtneural_open(const char *const *paths, int models, char *error, int error_size);
    int rtneural_run(void *handle, const float *features, float *outputs, int frames, int stateful);
    void rtneural_close(void *handle);
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Requires
from implementations.small_models import rtneural_json
from implementations.small_models.checkpoints import Served
from implementations.small_models.models import Model
from implementations.small_models.serving import Compute, implementations
from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    from harness.settings import Settings

LIBRARY = "HARNESS_RTNEURAL_LIBRARY"
INTERFACE = 1

_FLOAT32 = np.dtype(np.float32)
_pointer, _text, _int = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_FUNCTIONS = {
    "rtneural_interface": (_int, ()),
    "rtneural_backend": (_text, ()),
    "rtneural_open": (_pointer, (ctypes.POINTER(_text), _int, _text, _int)),
    "rtneural_run": (_int, (_pointer, _pointer, _pointer, _int, _int)),
    "rtneural_close": (None, (_pointer,)),
}


class Unusable(RuntimeError):
    """Why there is no RTNeural to measure here: what was expected of the library, and what was found."""


def library() -> ctypes.CDLL:
    """The library that HARNESS_RTNEURAL_LIBRARY names, its functions declared; Unusable where it is none of this interface."""
    named = os.environ.get(LIBRARY, "")
    if not named:
        raise Unusable(f"{LIBRARY}: not set; it names your shared library with RTNeural (docs/small_models_rtneural.md)")
    path = Path(named).expanduser().absolute()  # a bare name would be looked for among the system's libraries
    if not path.is_file():
        raise Unusable(f"{LIBRARY}: expected a shared library, found {'no file' if path.exists() else 'nothing'} at {path}")
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        raise Unusable(f"{LIBRARY}: expected a shared library for this machine, found: {error}") from None
    if missing := [name for name in _FUNCTIONS if not hasattr(found, name)]:
        raise Unusable(f"{LIBRARY}: expected {', '.join(_FUNCTIONS)}, found no {', '.join(missing)} in {path}")
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    if (version := found.rtneural_interface()) != INTERFACE:
        raise Unusable(f"{LIBRARY}: expected version {INTERFACE} of the interface, found {version} in {path}")
    return found


def why_not() -> str | None:
    """Why there is nothing to measure, or None."""
    try:
        library()
    except Unusable as error:
        return str(error)
    return None


@contextmanager
def opened(found: ctypes.CDLL, paths: Sequence[Path], models: Sequence[Model]) -> Iterator[Compute]:
    """One model, or the five of the chain in their order, each from a file of RTNeural JSON; closed when the context is left."""
    error = ctypes.create_string_buffer(1024)
    names = (ctypes.c_char_p * len(paths))(*(os.fsencode(path) for path in paths))
    handle = found.rtneural_open(names, len(paths), error, len(error))
    if not handle:
        reason = error.value.decode(errors="replace") or "no reason given"
        raise RuntimeError(f"rtneural_open: expected {', '.join(model.name for model in models)} to be loaded, found: {reason}")
    try:
        yield partial(_compute, found.rtneural_run, handle, [(model.name, model.outputs) for model in models])
    finally:
        found.rtneural_close(handle)


def _compute(
    run: Callable[..., int], handle: int, widths: Sequence[tuple[str, int]], features: np.ndarray, stateful: bool
) -> Mapping[str, np.ndarray]:
    # Cheaper than asking NumPy arrays for their pointers, which costs a microsecond each.
    frames = len(features)
    buffer = (ctypes.c_float * (frames * sum(width for _, width in widths)))()
    if code := run(handle, features.tobytes(), buffer, frames, stateful):
        raise RuntimeError(f"rtneural_run: expected 0, found {code} for {frames} frames")
    outputs, memory, offset = {}, memoryview(buffer), 0
    for name, width in widths:
        outputs[name] = np.ndarray((frames, width), _FLOAT32, memory, offset)
        offset += 4 * frames * width
    return outputs


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings) -> Iterator[tuple[Compute, int]]:
    found = library()
    with tempfile.TemporaryDirectory(prefix="rtneural-") as folder:
        paths = [Path(folder, f"{name}.json") for name in served]
        for path, (model, weights) in zip(paths, served.values(), strict=True):
            path.write_text(rtneural_json.dump(model, weights), encoding="ascii")
        with opened(found, paths, [model for model, _ in served.values()]) as compute:
            yield compute, sum(_held(weights) for _, weights in served.values())


def _held(weights: Weights) -> int:
    """Bytes of the weights as RTNeural holds them: the two biases of an LSTM are one."""
    return sum(array.nbytes for name, array in weights.items() if not name.endswith(".bias_hh"))


EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN = implementations(
    "rtneural",
    "peer",
    _open,
    requires=Requires(why_not=why_not),
    description=f"RTNeural (BSD-3-Clause), from the shared library that {LIBRARY} names",
)
