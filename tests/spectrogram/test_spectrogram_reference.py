"""The reference against madmom's outputs, and the pieces the implementations share."""

import math
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from spectrogram_rows import GOLDEN, GOLDEN_RATES, goldens

from harness.settings import Settings
from implementations.spectrogram import reference
from implementations.spectrogram.reference import (
    BINS,
    FRAME,
    check_finite,
    check_signals,
    chunks,
    filter_blocks,
    filterbank,
    frame_count,
    frame_starts,
    spectrogram,
    to_mono,
    window,
)

ONE_ROUNDING = 2.4e-7  # of a float32 between 2 and 4


@pytest.mark.parametrize("rate", GOLDEN_RATES)
def test_golden_outputs_within_one_rounding_on_any_blas(rate):
    seen = 0
    for name, signals, expected in goldens(rate):
        result = spectrogram(signals, rate)[0]
        assert result.dtype == np.float32, name
        assert result.shape == expected.shape, name
        assert np.abs(result - expected).max(initial=0) <= ONE_ROUNDING, name
        seen += 1
    assert seen >= 11


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the goldens were made with OpenBLAS's Haswell kernel")
def test_golden_outputs_within_1e_7_under_the_blas_kernel_that_made_them():
    script = """
import numpy as np
from spectrogram_rows import GOLDEN_RATES, goldens
from implementations.spectrogram.reference import spectrogram
differences = [np.abs(spectrogram(x, rate)[0] - y).max(initial=0) for rate in GOLDEN_RATES for _, x, y in goldens(rate)]
print(float(max(differences)))
"""
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell", "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout) <= 1e-7


@pytest.mark.parametrize("rate", GOLDEN_RATES)
def test_window_and_filterbank_are_madmoms(rate):
    with np.load(GOLDEN / f"madmom_spec_{rate}.npz", allow_pickle=False) as data:
        assert np.array_equal(window(), data["window"])
        assert np.array_equal(filterbank(rate), data["filterbank"])
    assert filterbank(rate).dtype == np.float32


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 37800, 44117, 96000, 192000])
def test_filterbank_is_madmoms_at_odd_rates(rate):
    filters = madmom("madmom.audio.filters")
    bins = madmom("madmom.audio.stft").fft_frequencies(BINS, rate)
    expected = filters.LogarithmicFilterbank(bins, num_bands=12, fmin=30, fmax=17000, norm_filters=True)
    assert np.array_equal(filterbank(rate), np.asarray(expected))


def madmom(name):
    from implementations._madmom import madmom_module

    try:
        return madmom_module(name)
    except ImportError as error:
        pytest.skip(str(error))


def test_shared_constants_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        window()[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        filterbank(44100)[0, 0] = 1


@pytest.mark.parametrize(("rate", "count"), [(44100, 4), (48000, 16), (1000, 3), (22050, 1), (44100, 1000)])
def test_filter_blocks_hold_the_whole_filterbank(rate, count):
    dense = np.zeros_like(filterbank(rate))
    for block in filter_blocks(rate, count):
        dense[block.first : block.last, block.bands] = block.weights
    assert np.array_equal(dense, filterbank(rate))


@pytest.mark.parametrize("rate", [44100, 22050, 11025, 44117])
@pytest.mark.parametrize("samples", [0, 1, 440, 441, 442, 1023, 1024, 2047, 2048, 2049, 44100, 50001])
@pytest.mark.parametrize("size", [1, 7, 512])
def test_chunks_are_the_frames_of_the_padded_signal(rate, samples, size):
    signal = np.arange(1, samples + 1)
    padded = np.pad(signal, FRAME)
    starts = frame_starts(samples, rate)
    assert len(starts) == frame_count(samples, rate) == math.ceil(samples * 100 / rate)
    seen = 0
    for chunk in chunks(samples, rate, size):
        assert len(chunk.starts) <= size
        part = np.pad(signal[chunk.first : chunk.last], (chunk.left, chunk.right))
        for start, own in zip(starts[chunk.frames], chunk.starts, strict=True):
            assert np.array_equal(part[own : own + FRAME], padded[start + FRAME : start + 2 * FRAME])
            seen += 1
    assert seen == len(starts)


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_mono_is_the_mean_in_the_dtype_of_the_signal(channels, dtype):
    random = np.random.default_rng(3)
    signals = random.integers(-32768, 32768, (2, 500, channels)).astype(dtype)
    if dtype == np.float32:
        signals /= 32768
    expected = np.mean(signals, axis=-1).astype(dtype)  # madmom's remix: truncated toward zero where it is int16
    assert to_mono(signals).dtype == dtype
    assert np.array_equal(to_mono(signals), expected)
    assert to_mono(signals[:, :, 0]) is not None
    assert np.array_equal(to_mono(signals[:, :, 0]), signals[:, :, 0])


def test_the_truth_is_float64_and_near():
    name, signals, expected = next(goldens(44100))
    truth = spectrogram(signals, 44100, truth=True)[0]
    assert truth.dtype == np.float64, name
    assert 0 < np.abs(truth - expected).max() <= 5e-7


def test_stems_are_independent():
    random = np.random.default_rng(5)
    signals = random.uniform(-1, 1, (3, 30000)).astype(np.float32)
    together = spectrogram(signals, 44100)
    for stem in range(3):
        assert np.array_equal(together[stem], spectrogram(signals[stem : stem + 1], 44100)[0])


def test_precision_is_honoured_or_refused():
    name, signals, _ = next(goldens(44100))
    inputs = {"signals": signals, "sample_rate": 44100}
    with reference.load(Settings(precision="float64")) as run:
        assert run(inputs)["spectrogram"].dtype == np.float64, name
    with pytest.raises(ValueError, match=r"spectrogram.reference: precision: expected float32 or float64, found 'int8'"):
        reference.load(Settings(precision="int8")).__enter__()


GOOD = np.zeros((1, 100), np.float32)


@pytest.mark.parametrize(
    ("signals", "rate", "error", "message"),
    [
        ([[0.0]], 44100, TypeError, "expected a NumPy array, found list"),
        (GOOD.astype(np.float64), 44100, TypeError, "expected dtype int16 or float32, found float64"),
        (GOOD.astype(">i2"), 44100, TypeError, "expected dtype int16 or float32, found >i2"),
        (GOOD[0], 44100, ValueError, r"expected shape \(stems, samples\).*found \(100,\)"),
        (GOOD[:0], 44100, ValueError, r"at least one stem.*found \(0, 100\)"),
        (np.zeros((1, 100, 0), np.float32), 44100, ValueError, "at least one stem and channel"),
        (np.zeros((1, 2, 3, 4), np.int16), 44100, ValueError, "expected shape"),
        (GOOD, 44100.0, TypeError, r"sample_rate: expected a whole number of Hz, found 44100.0 \(float\)"),
        (GOOD, True, TypeError, "found True"),
        (GOOD, 0, ValueError, "expected 1000 to 192000 Hz, found 0"),
        (GOOD, 384000, ValueError, "found 384000; resample"),
    ],
)
def test_bad_input_is_one_clear_error(signals, rate, error, message):
    with pytest.raises(error, match=message):
        check_signals({"signals": signals, "sample_rate": rate})


def test_numpy_whole_numbers_are_rates():
    assert check_signals({"signals": GOOD, "sample_rate": np.int32(44100)})[1] == 44100


def test_samples_that_are_not_finite_are_named():
    signals = np.zeros((2, 3000), np.float32)
    signals[1, 2999] = np.nan
    with pytest.raises(ValueError, match="found nan at stem 1, sample 2999; remove NaN and inf first"):
        spectrogram(signals, 44100)
    signals[1, 2999] = 3e38
    with pytest.raises(ValueError, match=r"found a peak of 3e\+38, too large"):
        spectrogram(np.repeat(signals[:, :, None], 4, axis=2) * 1, 44100)
    check_finite(signals, 1.0)
