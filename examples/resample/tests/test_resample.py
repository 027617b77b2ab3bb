"""The plugin's own tests: what it computes, and the harness's parity over it."""

import subprocess
import sys

import numpy as np
import pytest
from example_resample.component import COMPONENT, ratio
from example_resample.products import plan, resample
from scipy.signal import resample_poly


@pytest.mark.parametrize("rates", [(44100, 48000), (48000, 44100), (48000, 16000), (8000, 48000), (16000, 16000), (44100, 96000)])
@pytest.mark.parametrize("length", [0, 1, 7, 160, 5000])
def test_it_is_scipys_filter(rates, length):
    samples = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    up, down = ratio(*rates)
    expected = resample_poly(samples.astype(np.float64), up, down) if length else np.empty(0)
    found = resample(samples, up, down)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-7)


def test_a_tone_stays_a_tone():
    time = np.arange(44100) / 44100
    found = resample(np.sin(2 * np.pi * 1000 * time).astype(np.float32), *ratio(44100, 48000))
    expected = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=1e-3)


def test_hardly_anything_is_multiplied_by_zero():
    groups = plan(160, 147).groups
    assert np.mean([np.count_nonzero(group.taps) / group.taps.size for group in groups]) > 0.4


def test_rates_that_are_none_are_refused():
    with pytest.raises(ValueError, match="expected at least 1 Hz, found 0 to 48000"):
        ratio(0, 48000)


def test_every_case_says_how_long_it_is():
    inputs = COMPONENT.case("quick").make(0)
    assert inputs["samples"].size == 441000
    assert COMPONENT.produced(inputs, {"resampled": np.zeros(480000, np.float32)}) == 10.0


def test_every_row_computes_what_the_reference_computes():
    command = [sys.executable, "-m", "harness.cli", "run", "resample", "--only", "parity"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
