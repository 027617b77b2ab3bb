"""The spectrogram component: cases, units of work, work model, audio input, targets."""

from pathlib import Path

import numpy as np
import pytest
from spectrogram_rows import rows

from harness import targets
from harness.registry import discover
from implementations.spectrogram import component
from implementations.spectrogram.component import COMPONENT, from_audio, produced, to_int16, work
from implementations.spectrogram.reference import check_signals, spectrogram

PROFILES = ("any", "x86-64-avx2", "x86-64-avx512", "arm64-neon", "apple-silicon")
FAST = [case for case in COMPONENT.cases if not case.thorough]


@pytest.mark.parametrize("case", FAST, ids=lambda case: case.name)
def test_cases_are_deterministic_families(case):
    first, again, other = case.make(3), case.make(3), case.make(4)
    assert np.array_equal(first["signals"], again["signals"])
    assert not np.array_equal(first["signals"], other["signals"])
    signals, rate = check_signals(first)
    assert np.abs(signals.astype(np.float64)).max() > 0.1 * (32767 if signals.dtype == np.int16 else 1)
    assert signals.shape[1] >= rate


def test_the_long_case_is_four_stems_of_three_minutes():
    case = COMPONENT.case("stems-180s")
    assert case.thorough
    assert COMPONENT.case("quick").quick


@pytest.mark.parametrize("case", FAST, ids=lambda case: case.name)
def test_produced_counts_the_audio_of_every_stem(case):
    inputs = case.make(0)
    stems, samples = inputs["signals"].shape[:2]
    seconds = produced(inputs, {"spectrogram": spectrogram(inputs["signals"], inputs["sample_rate"])})
    assert seconds == pytest.approx(stems * samples / inputs["sample_rate"], abs=stems * 0.011)
    assert produced(inputs, {"spectrogram": np.zeros((2, 50, 81))}) == 1.0


def test_work_grows_with_frames_and_counts_each_byte_once():
    short = work({"signals": np.zeros((1, 44100), np.float32), "sample_rate": 44100})
    long = work({"signals": np.zeros((4, 441000), np.float32), "sample_rate": 44100})
    assert long.operations == 40 * short.operations
    assert short.bytes == 44100 * 4 + 100 * 81 * 4
    assert 40_000 * 100 < short.operations < 100_000 * 100
    assert short.precision == "float64"


def test_a_recording_is_one_stem_of_all_its_channels():
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 5000)).astype(np.float32)
    inputs = from_audio(samples, 48000)
    signals, rate = check_signals(inputs)
    assert signals.shape == (1, 5000, 2)
    assert rate == 48000
    mono = samples.mean(axis=0)[None]
    assert np.abs(spectrogram(signals, rate) - spectrogram(mono, rate)).max() < 1e-6


def test_int16_reaches_both_ends():
    assert to_int16(np.array([-2, -1, 0, 1, 2], np.float32)).tolist() == [-32768, -32767, 0, 32767, 32768 - 1]


def test_effects_name_settings_that_some_row_honours():
    for effect in COMPONENT.effects:
        COMPONENT.case(effect.case)
        assert any(effect.setting in row.implementation.settings for row in rows())


def test_targets_are_valid_and_hold_the_documents_claims():
    path = Path(component.__file__).with_name("targets.toml")
    implementations = discover().implementations("spectrogram").values()
    found = targets.load(path, COMPONENT, implementations, PROFILES)
    stated = {(t.implementation, t.metric, t.bound) for t in found if t.source == "004_53e7e636c3cf6855.txt"}
    assert stated == {
        (None, "max_abs_difference", 1e-6),
        ("torch_rfft", "speedup_over_madmom", 4.3),
        ("mlx_batched", "speedup_over_madmom", 5.7),
    }
    policy = COMPONENT.policy["spectrogram"]
    assert policy.max_abs == 1e-6
