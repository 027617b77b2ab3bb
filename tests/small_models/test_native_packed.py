"""The packed file: what it refuses, and that nothing in it can crash the engine."""

import struct
import zlib

import numpy as np
import pytest
from engine_cases import ODD, WEIGHTS

from implementations.small_models import bandwidth
from implementations.small_models.models import MODELS
from implementations.small_models.packed import CHAIN, pack, restored, rounded
from implementations.small_models.weights import BadWeights, random_weights

_native = pytest.importorskip("implementations.small_models._native", reason="native: not built")
HEADER = 32  # bytes, of which the last four are the checksum


def small(precision: str = "float32", stateful: bool = True) -> bytes:
    model = ODD["narrow"]
    return pack({"narrow": model}, {"narrow": random_weights(model, 1)}, precision=precision, stateful=stateful)


def load(packed: bytes, stateful: bool = False) -> object:
    return _native.Engine(packed, stateful=stateful, batch=1, level="auto")


def signed(packed: bytes) -> bytes:
    """With the checksum that its contents have."""
    head, body = packed[: HEADER - 4], packed[HEADER:]
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


@pytest.mark.parametrize("precision", ["float32", "int24", "bfloat16", "float16", "int8"])
def test_every_truncation_is_refused(precision):
    packed = small(precision)
    load(packed)
    for size in range(len(packed)):
        with pytest.raises(ValueError, match=r"truncated or changed|starts with SMALLMDL"):
            load(packed[:size])
        if size >= HEADER:
            with pytest.raises(ValueError, match="truncated or changed"):
                load(signed(packed[:size]))
    with pytest.raises(ValueError, match="truncated or changed"):
        load(signed(packed + b"\0\0\0\0"))


def test_every_changed_byte_is_refused():
    packed = small("int8")
    for place in range(len(packed)):
        changed = bytearray(packed)
        changed[place] ^= 0x40
        with pytest.raises(ValueError, match=r"truncated or changed|starts with SMALLMDL|another version|without recurrent weights"):
            load(bytes(changed), stateful=True)


def test_changes_that_carry_a_right_checksum_load_or_are_refused():
    """Numbers of the description take the values that break bounds; what still loads must also run."""
    packed = small("float16")
    loaded = 0
    for place in range(8, 200, 4):
        for value in (0, 1, 2, 5, 255, 65536, 65537, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF):
            changed = signed(packed[:place] + struct.pack("<I", value) + packed[place + 4 :])
            try:
                engine = load(changed)
            except ValueError:
                continue
            loaded += 1
            out = np.empty((2, engine.outputs), np.float32)
            engine.run(np.ones((2, engine.features), np.float32), out)
    assert loaded  # weights themselves may change


def test_weights_that_are_not_finite_are_refused():
    for precision, bad in (("float32", b"\0\0\x80\x7f"), ("float16", b"\0\x7c\0\x7c"), ("bfloat16", b"\x80\x7f\x80\x7f")):
        packed = small(precision)
        with pytest.raises(ValueError, match="truncated or changed"):
            load(signed(packed[:-8] + bad + packed[-4:]))


def test_a_file_without_recurrent_weights_is_smaller_and_runs_stateless_only():
    with_state, without = small(stateful=True), small(stateful=False)
    assert len(without) < len(with_state)
    outs = [np.empty((3, 7), np.float32) for _ in range(2)]
    for packed, out in zip((with_state, without), outs, strict=True):
        load(packed).run(np.ones((3, 3), np.float32), out)
    assert np.array_equal(*outs)
    with pytest.raises(ValueError, match="without recurrent weights"):
        load(without, stateful=True)


def test_the_int8_file_of_the_chain_is_below_a_million_bytes():
    assert len(pack(MODELS, WEIGHTS, precision="int8")) < 1_000_000


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ((("features", 0, 63),), "takes 64 numbers, found pieces of 63"),
        ((("groove_predictor", 0, 64),), "reads 'groove_predictor', expected the features or an earlier model"),
        ((("emotion_recognizer", 1, 64),), "which has not as many"),
        ((("emotion_recognizer", -1, 64),), "which has not as many"),
    ],
)
def test_wiring_that_does_not_fit_is_refused(pieces, message):
    with pytest.raises(ValueError, match=message):
        pack(MODELS, WEIGHTS, wiring={**CHAIN, "melody_transformer": pieces})


def test_unknown_precisions_missing_weights_and_numbers_beyond_float16_are_refused():
    with pytest.raises(ValueError, match=r"precision: expected one of float32.*found 'int4'"):
        pack(MODELS, WEIGHTS, precision="int4")
    model, weights = ODD["one"], random_weights(ODD["one"], 1)
    with pytest.raises(BadWeights, match=r"one needs 0\.bias"):
        pack({"one": model}, {"one": {"0.weight": weights["0.weight"]}})
    with pytest.raises(ValueError, match="float16 holds numbers up to 65504"):
        pack({"one": model}, {"one": weights | {"0.weight": np.full((1, 1), 7e4, np.float32)}}, precision="float16")


@pytest.mark.parametrize(("precision", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_rounding_is_to_nearest(precision, bits):
    matrix = np.random.default_rng(2).uniform(-1, 1, (50, 50)).astype(np.float32)
    error = np.abs(restored(rounded(matrix, precision), precision) - matrix)
    assert (error <= np.abs(matrix) * 2.0**-bits + 2.0**-25).all()


def test_int8_rows_use_their_whole_range_and_keep_zeros():
    matrix = np.random.default_rng(2).normal(size=(20, 30)).astype(np.float32)
    matrix[3] = 0
    rows = rounded(matrix, "int8")
    assert (np.abs(rows.elements).max(axis=1) == [127 if row.any() else 0 for row in matrix]).all()
    assert np.abs(restored(rows, "int8") - matrix).max() <= np.abs(matrix).max() / 253


def test_a_bfloat16_is_off_by_half_a_step_at_most_whatever_lies_below_it():
    matrix = np.random.default_rng(3).normal(size=(40, 33)).astype(np.float32)
    matrix[matrix < -1] = 0
    rows = rounded(matrix, "bfloat16")
    found, step = restored(rows, "bfloat16"), np.exp2(np.floor(np.log2(np.abs(np.where(matrix == 0, 1, matrix)))) - 7)
    assert (np.abs(found - matrix) <= 0.5001 * step).all()
    words = found[:, 1::2][matrix[:, 1::2] == 0]
    assert words.size
    assert ((words == 0) | (np.abs(words) >= 2.0**-63)).all(), "a denormal costs a trap"


def test_the_table_of_the_limit_has_a_line_as_soon_as_it_is_measured():
    lines = bandwidth.table(bandwidth.measure(precision, False, rounds=3) for precision in ("bfloat16", "int8"))
    assert next(lines).split()[-1] == "share"
    first = next(lines).split()
    assert first[:2] == ["bfloat16", "stateless"]
    assert 1.0 < float(first[3]) / 723.376 / 2 < 1.1
    assert all(float(number) > 0 for number in first[4:8])
    assert next(lines).split()[0] == "int8"
