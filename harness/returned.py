"""What run() returned: made real while the timer runs, joined from its chunks, checked before it travels, told by its bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from harness import wire
from harness.clock import Stopwatch
from harness.component import Outputs


def real(result: Any, watch: Stopwatch | None = None, arrivals: list[int] | None = None) -> Any:
    """The result as arrays that hold their values: a dict, or a list of dicts where it came in chunks (stamped)."""
    if isinstance(result, Mapping):
        return {name: value if type(value) is np.ndarray else np.asarray(value) for name, value in result.items()}
    if not isinstance(result, Iterable):
        raise TypeError(f"run() must return named outputs or yield chunks of them, found {type(result).__name__}")
    chunks = []
    for chunk in result:
        if not isinstance(chunk, Mapping):
            raise TypeError(f"run() must yield chunks of named outputs, found {type(chunk).__name__}")
        chunks.append(real(chunk))
        if watch is not None and arrivals is not None:
            arrivals.append(watch.elapsed().wall_ns)
    return chunks


def rows(chunks: Any) -> list[int]:
    """How long each chunk is along its first axis: of the output that is longest in all."""
    lengths = [{name: next(iter(value.shape), 0) for name, value in chunk.items()} for chunk in chunks]
    totals = sum(map(Counter, lengths), Counter())
    longest = max(totals, key=totals.__getitem__, default="")
    return [of.get(longest, 0) for of in lengths]


def joined(outputs: Any) -> dict[str, np.ndarray]:
    """The named outputs of a call, its chunks one after another."""
    if isinstance(outputs, dict):
        return outputs
    names = dict.fromkeys(name for chunk in outputs for name in chunk)
    return {name: np.concatenate([chunk[name] for chunk in outputs if name in chunk]) for name in names}


def sendable(outputs: Outputs) -> dict[str, np.ndarray]:
    """The outputs, after their sizes and dtypes are checked and before anything copies them."""
    for name, value in outputs.items():
        if not isinstance(name, str):
            raise TypeError(f"names of outputs must be strings, found {name!r}")
        if value.dtype.kind not in wire.KINDS:
            raise TypeError(f"output {name!r}: expected numbers, found dtype {value.dtype}")
    total = sum(value.nbytes for value in outputs.values())
    if total > wire.MAX_ARRAY_BYTES:
        shapes = {name: value.shape for name, value in outputs.items()}
        raise ValueError(f"expected outputs of at most {wire.MAX_ARRAY_BYTES} bytes, found {total} in {shapes}")
    return dict(outputs)


def digest(values: Any) -> str:
    """BLAKE2 over names, dtypes, shapes and bytes."""
    state = hashlib.blake2b(digest_size=16)
    arrays: list[np.ndarray] = []
    state.update(repr(wire.encode(dict(values), arrays)).encode())
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        if array.nbytes:
            state.update(wire.raw(array))
    return state.hexdigest()
