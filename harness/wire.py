"""The wire between the harness and a worker: a line of JSON that declares arrays, then their raw bytes. Nothing executes.

A message is a mapping of strings to JSON values, NumPy arrays and scalars, and tuples of these.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

MAX_HEADER_BYTES = 64 << 20
MAX_ARRAY_BYTES = 4 << 30
KINDS = "biufc"

ReadInto = Callable[[memoryview], None]
"""Fills the whole view, or raises."""


class WireError(ValueError):
    """A message that breaks the protocol: undeclared, too large, or of a dtype that is not a number."""


def encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """`value` as JSON, its arrays moved to the end of `arrays`. TypeError names a value that cannot travel."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in KINDS:
            raise TypeError(f"expected numbers, found an array of dtype {array.dtype}")
        if array.nbytes > MAX_ARRAY_BYTES:
            raise TypeError(f"expected at most {MAX_ARRAY_BYTES} bytes, found an array of shape {array.shape} with {array.nbytes}")
        arrays.append(np.asarray(array, order="C"))
        return {"$array": len(arrays) - 1, "scalar": isinstance(value, np.generic)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple):
        return {"$tuple": [encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return [encode(item, arrays) for item in value]
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str) or key.startswith("$")]
        if wrong:
            raise TypeError(f"expected names without '$' as keys, found {wrong[0]!r}")
        return {key: encode(item, arrays) for key, item in value.items()}
    raise TypeError(f"expected arrays, numbers, strings, tuples, lists or mappings of these, found {type(value).__name__}")


def decode(value: Any, arrays: list[np.ndarray]) -> Any:
    """The value that `encode` took apart."""
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if isinstance(value, dict):
        if "$array" in value:
            array = arrays[value["$array"]]
            return array[()] if value.get("scalar") else array
        if "$tuple" in value:
            return tuple(decode(item, arrays) for item in value["$tuple"])
        return {key: decode(item, arrays) for key, item in value.items()}
    return value


def raw(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data


def pack(message: Mapping[str, Any]) -> list[memoryview]:
    """The message as buffers to be written one after another: length, JSON, arrays."""
    arrays: list[np.ndarray] = []
    body = encode(message, arrays)
    declared = [{"shape": list(array.shape), "dtype": array.dtype.str} for array in arrays]
    header = json.dumps({"body": body, "arrays": declared}, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER_BYTES:
        raise TypeError(f"expected a header of at most {MAX_HEADER_BYTES} bytes, found {len(header)}")
    prefix = len(header).to_bytes(4, "big")
    return [memoryview(prefix + header), *(raw(array) for array in arrays if array.nbytes)]


def unpack(read_into: ReadInto) -> dict[str, Any]:
    """The next message. Sizes are checked before anything is allocated; WireError says what broke the protocol."""
    prefix = bytearray(4)
    read_into(memoryview(prefix))
    size = int.from_bytes(prefix, "big")
    if size > MAX_HEADER_BYTES:
        raise WireError(f"expected a header of at most {MAX_HEADER_BYTES} bytes, found {size} declared")
    header = bytearray(size)
    read_into(memoryview(header))
    try:
        content = json.loads(header)
        body, declared = content["body"], content["arrays"]
        shapes = [(tuple(item["shape"]), np.dtype(item["dtype"])) for item in declared]
    except (ValueError, KeyError, TypeError, RecursionError, SyntaxError) as error:
        raise WireError(f"expected a JSON header with body and arrays, found {bytes(header[:60])!r} ({error})") from None
    total = 0
    for shape, dtype in shapes:
        if dtype.kind not in KINDS or any(type(length) is not int or length < 0 for length in shape):
            raise WireError(f"expected numbers of a declared shape, found dtype {dtype} and shape {shape}")
        total += math.prod(shape) * dtype.itemsize
        if total > MAX_ARRAY_BYTES:
            raise WireError(f"expected at most {MAX_ARRAY_BYTES} bytes of arrays, found {total} declared")
    arrays = []
    for shape, dtype in shapes:
        array = np.empty(shape, dtype)
        if array.nbytes:
            read_into(raw(array))
        arrays.append(array)
    if not isinstance(body, dict):
        raise WireError(f"expected a JSON object as body, found {type(body).__name__}")
    try:
        return dict(decode(body, arrays))
    except (IndexError, TypeError) as error:
        raise WireError(f"expected indices of declared arrays, found {error}") from None
