"""The native spectrogram kernel at every dispatch level this processor has."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from spectrogram_rows import GOLDEN_RATES, goldens

from implementations.spectrogram.native import spectrogram
from implementations.spectrogram.reference import spectrogram as reference

_native = pytest.importorskip("implementations.spectrogram._native", reason="native: not built")
LEVELS = _native.levels()


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rate", GOLDEN_RATES)
def test_golden_outputs_at_every_level(level, rate):
    for name, signals, expected in goldens(rate):
        result = spectrogram(signals, rate, level=level)
        assert result.shape == (1, *expected.shape), name
        assert np.abs(result[0] - expected).max(initial=0) <= 1e-6, name


# 1000: a hop shorter than a vector; 1700, 11025, 44117: hops between samples; 192000: frames that hardly overlap
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rate", [1000, 1600, 1700, 8000, 11025, 44117, 96000, 192000])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_other_rates_and_layouts_of_frames(level, rate, dtype):
    signals = noise(2, 30000)
    signals = (signals * 32767).astype(np.int16) if dtype == np.int16 else signals
    assert np.abs(spectrogram(signals, rate, level=level) - reference(signals, rate)).max() <= 1e-6


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("samples", [0, 1, 440, 441, 442, 1023, 1024, 1025, 2048, 441 * 16, 441 * 16 + 1, 441 * 64 + 1024])
def test_lengths_around_frames_and_blocks(level, samples):
    signals = noise(3, samples)
    expected = reference(signals, 44100)
    result = spectrogram(signals, 44100, level=level)
    assert result.shape == expected.shape
    assert np.abs(result - expected).max(initial=0) <= 1e-6


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("level", LEVELS)
def test_result_does_not_depend_on_threads(precision, level):
    signals = noise(3, 100_001)
    one = spectrogram(signals, 44100, threads=1, precision=precision, level=level)
    for threads in (2, 3, 2):
        assert np.array_equal(one, spectrogram(signals, 44100, threads=threads, precision=precision, level=level))


def test_a_frame_does_not_depend_on_its_lane():
    """Every frame of a stationary pattern is the same, to the last bit, wherever it falls in a vector, a block or a chunk."""
    period = noise(441)
    signals = np.tile(period, 300)[None]
    for level in LEVELS:
        inner = spectrogram(signals, 44100, level=level)[0, 3:-3]
        assert np.array_equal(inner, np.broadcast_to(inner[0], inner.shape))


def test_levels_that_fuse_multiply_and_add_agree_to_the_bit():
    fused = [level for level in LEVELS if level != "baseline"]
    if len(fused) < 2:
        pytest.skip(f"one fused level here: {LEVELS}")
    signals = noise(1, 50000)
    first, *others = [spectrogram(signals, 44100, level=level) for level in fused]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("level", LEVELS)
def test_logarithm_is_within_two_units_in_the_last_place(level):
    values = np.concatenate([np.linspace(0, 8, 2_000_003), np.geomspace(1e-9, 1e19, 1_000_001), [0]]).astype(np.float32)
    result = np.empty_like(values)
    _native.log10_1p(values, result, level=level)
    truth = np.log10((values + np.float32(1)).astype(np.float64))
    error = np.abs(result - truth)
    assert (error <= 2 * np.spacing(truth.astype(np.float32))).all()
    assert error[values < 1024].max() <= 2e-7  # the largest magnitude of a signal in [-1, 1]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("place", [0, 5000, 29999])
def test_samples_that_are_not_finite_are_refused(level, bad, place):
    signals = noise(2, 30000)
    signals[1, place] = bad
    with pytest.raises(ValueError, match="expected finite samples"):
        spectrogram(signals, 44100, level=level)


def test_the_largest_and_smallest_samples_that_are_taken():
    loud = noise(1, 5000) * np.float32(1e15)
    assert np.abs(spectrogram(loud, 44100) - reference(loud, 44100)).max() <= 2e-6  # of 18
    for tiny in (1e-45, 1e-38, 1e-20):
        assert np.abs(spectrogram(noise(1, 5000) * np.float32(tiny), 44100)).max() <= 1e-12


def test_unknown_level_and_precision_are_refused():
    with pytest.raises(ValueError, match=r"level: expected one of .*baseline, found 'sse9'"):
        spectrogram(noise(1, 1000), 44100, level="sse9")
    with pytest.raises(ValueError, match="precision: expected float32 or float64, found 'int8'"):
        spectrogram(noise(1, 1000), 44100, precision="int8")
    with pytest.raises(ValueError, match="threads: expected 1 or more, found -1"):
        spectrogram(noise(1, 1000), 44100, threads=-1)


def test_the_binding_refuses_what_would_write_outside_its_arrays():
    plan = _native.plan(np.hanning(2048), np.ones((1024, 3), np.float32), 441.0, level="auto")
    for shape in ((2, 3, 3), (1, 3, 4), (1, 4, 3)):
        with pytest.raises(ValueError, match="out: expected shape"):
            _native.spectrogram(plan, noise(1, 1000), np.empty(shape, np.float32), threads=1, single=False)
    with pytest.raises(ValueError, match="hop"):
        _native.plan(np.hanning(2048), np.ones((1024, 3), np.float32), 0.0, level="auto")


def test_calls_from_several_threads_at_once():
    signals = [noise(1, 60000, seed=seed) for seed in range(6)]
    expected = [spectrogram(each, 44100, threads=1) for each in signals]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda each: spectrogram(each, 44100, threads=2), signals))
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def _in_child(signals: np.ndarray) -> np.ndarray:
    return spectrogram(signals, 44100, threads=2)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_a_forked_child_starts_threads_of_its_own():
    signals = noise(2, 60000)
    expected = spectrogram(signals, 44100, threads=2)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert np.array_equal(expected, pool.apply_async(_in_child, (signals,)).get(timeout=60))
