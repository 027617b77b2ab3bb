import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness import wire

ARRAYS = hnp.arrays(
    st.one_of(hnp.boolean_dtypes(), hnp.integer_dtypes(endianness="?"), hnp.floating_dtypes(endianness="?"), hnp.complex_number_dtypes()),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), ARRAYS)
NAMES = st.text().filter(lambda name: not name.startswith("$"))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def reader(data):
    """read_into over bytes; asking for more than there is fails the test."""
    rest = memoryview(bytearray(data))

    def read_into(view):
        nonlocal rest
        assert len(view) <= len(rest), "asked for more than was sent"
        view[:] = rest[: len(view)]
        rest = rest[len(view) :]

    return read_into


def packed(message):
    return b"".join(bytes(part) for part in wire.pack(message))


def frame(header):
    text = json.dumps(header).encode()
    return len(text).to_bytes(4, "big") + text


def same(left, right):
    if isinstance(left, np.ndarray | np.generic):
        return type(left) is type(right) and left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_a_message_arrives_as_it_was_sent(message):
    assert same(wire.unpack(reader(packed(message))), message)


def test_strided_arrays_and_numpy_scalars_arrive():
    message = {"x": np.arange(12.0).reshape(3, 4)[::2, ::-1], "rate": np.float32(44100)}
    found = wire.unpack(reader(packed(message)))
    assert np.array_equal(found["x"], message["x"])
    assert type(found["rate"]) is np.float32


@pytest.mark.parametrize("value", [np.array([object()]), np.array(["text"]), {1, 2}, object(), {1: 2}, {"$array": 0}, b"bytes"])
def test_what_is_not_data_does_not_travel(value):
    with pytest.raises(TypeError, match="expected"):
        wire.pack({"x": value})


def test_an_array_larger_than_its_memory_does_not_travel():
    with pytest.raises(TypeError, match=r"shape \(1099511627776,\)"):
        wire.pack({"x": np.broadcast_to(np.float64(0), (1 << 40,))})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xff\xff\xff", "expected a header of at most 67108864 bytes, found 4294967295 declared"),
        ((6).to_bytes(4, "big") + b"\x80\x04K*.\n", "expected a JSON header with body and arrays"),
        (frame([1, 2]), "expected a JSON header"),
        (frame({"body": {}, "arrays": [{"shape": [1 << 40], "dtype": "<f8"}]}), "expected at most 4294967296 bytes of arrays"),
        (frame({"body": {}, "arrays": [{"shape": [1 << 31, 1], "dtype": "<f4"}] * 2}), "expected at most 4294967296 bytes of arrays"),
        (frame({"body": {}, "arrays": [{"shape": [2], "dtype": "O"}]}), "expected numbers of a declared shape"),
        (frame({"body": {}, "arrays": [{"shape": [-1], "dtype": "<f4"}]}), "expected numbers of a declared shape"),
        (frame({"body": {}, "arrays": [{"shape": [1.5], "dtype": "<f4"}]}), "expected numbers of a declared shape"),
        (frame({"body": {}, "arrays": [{"shape": [1], "dtype": "no type"}]}), "expected a JSON header"),
        (frame({"body": {"x": {"$array": 3}}, "arrays": []}), "expected indices of declared arrays"),
        (frame({"body": 7, "arrays": []}), "expected a JSON object as body"),
    ],
)
def test_a_broken_message_is_refused_before_anything_is_allocated(data, message):
    with pytest.raises(wire.WireError, match=message):
        wire.unpack(reader(data))
