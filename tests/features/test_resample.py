"""Resampling for the lightweight mode: the same samples in C++ and in scipy, and what the filter keeps and suppresses."""

import numpy as np
import pytest

from harness import signals
from implementations.features.native import resampled as native
from implementations.features.resample import low_pass, ratio, resampled

RATES = (8000, 16000, 22051, 32000, 44100, 48000, 96000, 192000)


def levels():
    _native = pytest.importorskip("implementations.features._native", reason="native: not built")
    return _native.levels()


@pytest.mark.parametrize("rate", RATES)
def test_native_is_scipys_at_every_level(rate):
    for count in (1, 2, 3000, 40001):
        samples = np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)
        expected = resampled(samples, rate, 22050)
        assert expected.shape == (-(-count * 22050 // rate),)
        for level in levels():
            found = native(samples, rate, 22050, level=level)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_result_does_not_depend_on_the_threads():
    samples = np.random.default_rng(1).uniform(-1, 1, 50000).astype(np.float32)
    one, three = (native(samples, 48000, 22050, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_the_same_rate_is_the_same_array():
    samples = np.ones(5, np.float32)
    assert native(samples, 22050, 22050) is samples
    assert resampled(samples, 22050, 22050) is samples


@pytest.mark.parametrize("rate", [44100, 48000])
def test_tones_below_the_edge_stay_and_tones_above_it_vanish(rate):
    def peak(hertz):
        tone = np.sin(2 * np.pi * hertz / rate * np.arange(rate)).astype(np.float32)
        return np.abs(native(tone, rate, 22050)[1000:-1000]).max()

    assert abs(peak(0.85 * 11025) - 1) < 2e-3
    assert peak(1.06 * 11025) < 2e-4
    assert peak(0.7 * rate / 2) < 2e-4


@pytest.mark.parametrize("rate", [44100, 48000])
def test_close_to_what_librosa_does(rate):
    """The difference lies above 9.8 kHz, where soxr's filter is steeper."""
    librosa = pytest.importorskip("librosa")
    samples = signals.mix(seconds=2, sample_rate=rate, seed=3)
    expected = librosa.resample(samples, orig_sr=rate, target_sr=22050).astype(np.float64)
    difference = native(samples, rate, 22050) - expected
    assert 10 * np.log10(np.sum(expected**2) / np.sum(difference**2)) > 40
    low = np.arange(len(difference) // 2 + 1) < 0.89 * len(difference) / 2
    below = np.sum(np.abs(np.fft.rfft(difference))[low] ** 2) / np.sum(np.abs(np.fft.rfft(expected))[low] ** 2)
    assert 10 * np.log10(below) < -60


def test_the_filter_is_symmetric_and_of_unit_gain():
    for rate in RATES:
        up, down = ratio(rate, 22050)
        taps = low_pass(up, down)
        np.testing.assert_array_equal(taps, taps[::-1])
        assert taps.astype(np.float64).sum() == pytest.approx(up, rel=1e-5)
