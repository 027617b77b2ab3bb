"""STOI and PESQ: what is alike scores high, what is spoilt lower, and a drop is told against the recording."""

import sys

import numpy as np
import pytest

from implementations.tts import checkpoints, quality


@pytest.fixture(scope="module")
def recording():
    return checkpoints.held_out()[0].wave


def spoilt(wave, share):
    noise = np.random.Generator(np.random.PCG64(1)).normal(0, share * wave.std(), len(wave))
    return (wave + noise).astype(np.float32)


def test_stoi_falls_with_noise(recording):
    pytest.importorskip("pystoi")
    found = [quality.stoi(recording, spoilt(recording, share)) for share in (0, 1, 4)]
    assert found[0] > 0.999
    assert found[0] > found[1] > found[2]


def test_pesq_relative_drop_is_the_share_that_is_lost(recording):
    pytest.importorskip("pesq")
    inputs = {"recording": recording}
    reference, worse = spoilt(recording, 0.01), spoilt(recording, 0.05)
    drop = quality.pesq_relative_drop(reference, worse, inputs)
    assert drop == pytest.approx(1 - quality.pesq(recording, worse) / quality.pesq(recording, reference))
    assert drop > 0.02
    assert quality.pesq_relative_drop(reference, reference, inputs) == 0
    assert quality.pesq_relative_drop(worse, reference, inputs) < 0


def test_without_a_recording_pesq_says_nothing(recording):
    assert quality.pesq_relative_drop(recording, recording, {"mel": np.zeros((1, 80), np.float32)}) is None


@pytest.mark.parametrize("measure", [quality.stoi, quality.pesq])
def test_waves_of_other_lengths_are_told(measure):
    with pytest.raises(ValueError, match=r"expected two waves \(samples,\) of one length, found \(8,\) and \(9,\)"):
        measure(np.zeros(8), np.zeros(9))


@pytest.mark.parametrize(("measure", "package"), [(quality.stoi, "pystoi"), (quality.pesq, "pesq")])
def test_a_missing_package_is_told_with_the_extra_that_has_it(monkeypatch, measure, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}: not installed; pip install 'audio-perf-harness\[quality\]'"):
        measure(np.zeros(8), np.zeros(8))
