"""The native engine at every dispatch level this processor has; its medians, and its recursion over beats."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from harness import signals
from harness.parity import compare
from implementations.features import network, rhythm
from implementations.features.component import COMPONENT
from implementations.features.native import features, median

_native = pytest.importorskip("implementations.features._native", reason="native: not built")
LEVELS = _native.levels()
PIECE = signals.mix(seconds=5, sample_rate=44100, seed=5)


@pytest.fixture(scope="module")
def baseline():
    return features(PIECE, 44100, level="baseline")


@pytest.mark.parametrize("level", LEVELS)
def test_levels_agree(level, baseline):
    results = compare(baseline, features(PIECE, 44100, level=level), COMPONENT.policy)
    assert all(r.passed for r in results), [r.message for r in results if not r.passed]


@pytest.mark.parametrize("lightweight", [False, True])
def test_result_does_not_depend_on_threads(lightweight):
    one = features(PIECE, 44100, threads=1, lightweight=lightweight)
    for threads in (2, 3, 2):
        other = features(PIECE, 44100, threads=threads, lightweight=lightweight)
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_chunks_do_not_show():
    """A steady tone: whatever lies at the seams of chunks would stand out of the mean."""
    tone = signals.harmonic_tones(seconds=40, sample_rate=44100, frequencies=(441.0,), harmonics=1)
    assert features(tone, 44100)["harmonic_ratio"] == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (15, 17), (31, 32), (46, 61), (47, 62), (100, 1025), (333, 70)])
def test_medians_are_scipys_to_the_bit(level, axis, shape):
    random = np.random.default_rng(shape[0] * 1000 + shape[1])
    for kind in (random.random(shape), np.floor(3 * random.random(shape)), random.choice([0, 1e-45, 3e38, np.inf], shape)):
        values = kind.astype(np.float32)
        expected = median_filter(values, size=(31, 1) if axis == 0 else (1, 31), mode="reflect")
        assert np.array_equal(median(values, axis, level=level, threads=2), expected)


def test_medians_of_arrays_are_scipys_to_the_bit():
    values = np.random.default_rng(1).random((100, 7)).astype(np.float32)
    padded = values[network.reflected(-15, 112 + 30, 100)]
    found = np.stack(network.running_medians(padded, np.minimum, np.maximum), axis=1).reshape(112, 7)[:100]
    assert np.array_equal(found, median_filter(values, size=(31, 1), mode="reflect"))


@pytest.mark.parametrize(("count", "period"), [(1, 3.0), (50, 7.0), (400, 22.0), (400, 43.0), (60, 90.0)])
def test_recursion_over_beats_is_that_of_numpy(count, period):
    scores = np.random.default_rng(count).random(count)
    cumulative, before = np.empty(count), np.empty(count, np.int32)
    _native.track(scores, period, rhythm.TIGHTNESS, cumulative, before)
    expected, links = rhythm.track_in_blocks(scores, period)
    assert np.array_equal(before, links)
    assert np.allclose(cumulative, expected, rtol=1e-12)


def test_tempogram_is_that_of_numpy():
    envelope = np.random.default_rng(2).random(900).astype(np.float32)
    envelope[300:700] = 0  # windows without anything
    window = np.hanning(345)
    padded = np.pad(envelope, 172)
    plan = _native.plan(44100, 512, np.ones(2048), np.zeros((128, 1025), np.float32), "auto")
    roomy = np.concatenate([padded, np.zeros(2112, np.float32)])
    found = rhythm.correlation_from(_native.tempogram(plan, roomy, window, 900, threads=2) / 900, 345)
    assert np.allclose(found, rhythm.mean_autocorrelation(padded, window, 900), rtol=0, atol=1e-12)


@pytest.mark.parametrize("change", ["frames", "mel", "segments", "counts"])
def test_kernel_refuses_buffers_of_another_size(change):
    plan = _native.plan(44100, 512, np.ones(2048), np.zeros((128, 1025), np.float32), "auto")
    shapes = {"frames": (2, 3), "mel": (128, 40), "segments": (3, 2), "counts": (2, 2)}
    shapes[change] = (shapes[change][0], shapes[change][1] - (24 if change == "mel" else 1))
    kinds = {"frames": np.float64, "mel": np.float32, "segments": np.float64, "counts": np.int32}
    buffers = [np.empty(shapes[name], kinds[name]) for name in shapes]
    with pytest.raises(ValueError, match=f"{change}: expected shape"):
        _native.analyze(plan, np.zeros(1024, np.float32), *buffers, full=True, threads=1)
