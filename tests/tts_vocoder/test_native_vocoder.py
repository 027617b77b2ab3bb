"""The native vocoder at every dispatch level this processor has."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from vocoder_rows import SHAPES, goldens, weights

from harness.parity import snr_db
from implementations.tts.vocoder.shapes import V3, Shape

_native = pytest.importorskip("implementations.tts.vocoder._native", reason="native: not built")
torch = pytest.importorskip("torch", reason="torch: not installed")

from implementations.tts.vocoder import native  # noqa: E402
from implementations.tts.vocoder.hifigan import generator, random_weights  # noqa: E402
from implementations.tts.vocoder.native import Vocoder  # noqa: E402

LEVELS = _native.levels()
DECIBELS = {"float32": 110, "int16": 40, "int8": 20}
ODD = {
    "one channel at the end": Shape(resblock=1, rates=(3,), kernels=(7,), channels=2, block_kernels=(1, 5), block_dilations=((2,), (4, 1))),
    "singles in three": Shape(resblock=2, rates=(2, 5), kernels=(2, 9), channels=52, block_kernels=(9,), block_dilations=((1, 7, 2),)),
    "wide": Shape(resblock=1, rates=(2,), kernels=(8,), channels=160, block_kernels=(13,), block_dilations=((3,),), mels=17),
}


def noise(frames: int, mels: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, mels)).astype(np.float32)


def expected(shape: Shape, mel: np.ndarray) -> np.ndarray:
    """What PyTorch computes in float64."""
    made = generator(shape, random_weights(shape)).double()
    return made(torch.from_numpy(mel.T[None].astype(np.float64)))[0, 0].numpy()


@pytest.mark.parametrize("precision", DECIBELS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SHAPES)
def test_golden_waves_at_every_level(name, level, precision):
    vocode = Vocoder(SHAPES[name], weights(name), precision=precision, level=level)
    assert vocode.level == level
    for mel, wave, _ in goldens(name):
        found = vocode(mel)
        assert snr_db(wave, found) >= DECIBELS[precision]
        if precision == "float32":
            assert np.abs(found - wave).max() <= 1e-5


@pytest.mark.parametrize("precision", DECIBELS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ODD)
def test_other_shapes(name, level, precision):
    shape = ODD[name]
    vocode = Vocoder(shape, random_weights(shape), precision=precision, level=level)
    for frames in (1, 2, 5, 33):
        mel = noise(frames, shape.mels)
        assert snr_db(expected(shape, mel), vocode(mel)) >= DECIBELS[precision], frames


@pytest.mark.parametrize("precision", DECIBELS)
def test_many_tiles_and_any_number_of_threads(precision):
    shape = SHAPES["v3"]
    mel = noise(300)
    one = Vocoder(shape, random_weights(shape), precision=precision, threads=1)(mel)
    assert snr_db(expected(shape, mel), one) >= DECIBELS[precision]
    for threads in (2, 3):
        assert np.array_equal(one, Vocoder(shape, random_weights(shape), precision=precision, threads=threads)(mel))


def test_without_a_pool_every_call_says_the_same():
    shape = SHAPES["v3"]
    kept, given_back = (Vocoder(shape, weights("v3"), pool=pool) for pool in (True, False))
    for frames in (300, 20, 300):
        assert np.array_equal(kept(noise(frames)), given_back(noise(frames)))


@pytest.mark.parametrize("precision", DECIBELS)
def test_streamed_is_one_shot(precision):
    shape = SHAPES["v1"]
    vocode = Vocoder(shape, weights("v1"), precision=precision)
    mel = noise(70)
    streamed = list(vocode.stream(mel))
    assert [len(chunk) // shape.hop for chunk in streamed] == [8, 16, 32, 14]
    assert snr_db(vocode(mel), np.concatenate(streamed)) >= DECIBELS[precision]


def test_a_long_mel_goes_in_parts(monkeypatch):
    vocode = Vocoder(SHAPES["v3"], weights("v3"))
    mel = noise(90)
    whole = vocode(mel)
    monkeypatch.setattr(native, "MOST_FRAMES", 60)
    monkeypatch.setattr(native, "LONG", 34)
    assert snr_db(whole, vocode(mel)) >= 110


@pytest.mark.parametrize("level", LEVELS)
def test_sums_of_integers_hold_the_largest_that_can_enter(level):
    """Every weight and every input of one sign, or of alternating ones as the points have them: where a sum is as long as it can be.

    Of 8 bits too, that a sum which leaves 32 bits is not within 2 % of what it should be.
    """
    shape = Shape(resblock=2, rates=(2,), kernels=(4,), channels=128, block_kernels=(3,), block_dilations=((1,),), mels=80)
    flat = {name: np.full_like(array, 1 / array[0].size if array.ndim == 3 else 0) for name, array in random_weights(shape).items()}
    shorts, bytes_ = (Vocoder(shape, flat, precision=each, level=level) for each in ("int16", "int8"))
    exact = Vocoder(shape, flat, level=level)
    signs = np.array([1, 1, -1, -1, 1, 1, -1], np.float32)
    for pattern in (np.ones(24), np.resize([1, -1], 24), np.resize(signs, 24), np.resize(-signs, 24)):
        mel = np.repeat(pattern[:, None], 80, axis=1).astype(np.float32)
        for scale in (1e-3, 1):
            given = mel * np.float32(scale)
            assert np.abs(shorts(given) - exact(given)).max() <= 2e-3
            assert np.abs(bytes_(given) - exact(given)).max() <= 2e-2


def test_silence_loud_and_tiny_mels():
    vocode, exact = (Vocoder(SHAPES["v1"], weights("v1"), precision=precision) for precision in ("int16", "float32"))
    for content in (np.zeros((9, 80)), np.full((9, 80), -11.5), noise(9) * 10, noise(9) * 1e-42):
        mel = content.astype(np.float32)
        assert np.abs(exact(mel)).max() <= 1
        assert snr_db(exact(mel), vocode(mel)) >= DECIBELS["int16"]
    assert vocode(noise(0)).shape == (0,)


def test_bad_arguments_are_refused():
    shape, own = SHAPES["v1"], weights("v1")
    with pytest.raises(ValueError, match=r"level: expected one of .*baseline, found 'sse9'"):
        Vocoder(shape, own, level="sse9")
    with pytest.raises(ValueError, match="precision: expected float32, int16, int8, found 'int4'"):
        Vocoder(shape, own, precision="int4")
    with pytest.raises(ValueError, match="threads: expected 1 or more, found -1"):
        Vocoder(shape, own, threads=-1)(noise(3))
    with pytest.raises(ValueError, match=r"mel: expected shape \(frames, 80\), found \(3, 128\)"):
        Vocoder(shape, own)(noise(3, 128))


def test_the_binding_refuses_what_would_read_outside_its_arrays():
    def made(layers, rates=(2,), dilations=((1,),)):
        return _native.Vocoder(layers, rates=rates, pairs=False, dilations=dilations, bits=32, level="baseline")

    def layer(*size, bias=None):
        return np.ones(size, np.float32), np.ones(bias or size[0], np.float32)

    right = [layer(4, 8, 7), layer(4, 2, 4, bias=2), layer(2, 2, 3), layer(1, 2, 7)]
    vocoder = made(right)
    with pytest.raises(ValueError, match="wave: expected 6 samples, found 5"):
        vocoder.run(noise(3, 8), np.empty(5, np.float32), 1)
    with pytest.raises(ValueError, match="mel: expected 8 bands, found 9"):
        vocoder.run(noise(3, 9), np.empty(6, np.float32), 1)
    for place, wrong in (
        (0, layer(4, 8, 7, bias=3)),
        (1, layer(3, 2, 4, bias=2)),
        (1, layer(4, 2, 3, bias=2)),
        (2, layer(2, 3, 3)),
        (3, layer(2, 2, 7)),
    ):
        with pytest.raises(ValueError, match="layers: expected"):
            made([wrong if i == place else each for i, each in enumerate(right)])
    for layers in (right[:-1], [*right, right[-1]]):
        with pytest.raises(ValueError, match="layers: expected"):
            made(layers)


def test_calls_from_several_threads_at_once():
    vocode = Vocoder(SHAPES["v3"], weights("v3"), threads=2)
    mels = [noise(20, seed=seed) for seed in range(4)]
    one = [vocode(mel) for mel in mels]
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(a, b) for a, b in zip(one, pool.map(vocode, mels), strict=True))


_shared: list[Vocoder] = []


def _in_child(mel: np.ndarray) -> np.ndarray:
    return _shared[0](mel)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_a_forked_child_starts_threads_of_its_own():
    _shared[:] = [Vocoder(SHAPES["v3"], weights("v3"), threads=2)]
    mel = noise(20)
    before = _shared[0](mel)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert np.array_equal(before, pool.apply_async(_in_child, (mel,)).get(timeout=60))


def test_packed_bytes_are_what_they_are_said_to_be():
    """Six products for three taps, in floats, in half of it or a quarter; and the scales."""
    floats, shorts, few = (Vocoder(V3, random_weights(V3), precision=each, level="baseline").weight_bytes for each in DECIBELS)
    assert floats > 4 * V3.parameters
    assert 0.5 * floats < shorts < 0.6 * floats
    assert 0.25 * floats < few < 0.9 * shorts


@pytest.mark.parametrize("row", ["IMPLEMENTATION", "STREAMING"])
def test_the_kernel_is_imported_when_a_row_is_loaded(row):
    """What is imported in the first call only, the harness takes for work that something else does."""
    program = (
        "import sys; from harness.settings import Settings; from implementations.tts.vocoder import native\n"
        f"row = native.{row}\n"
        "assert row.requires.native not in sys.modules\n"
        "with row.load(Settings()): assert row.requires.native in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
