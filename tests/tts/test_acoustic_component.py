"""The acoustic component: deterministic cases, work found in the output, every row at parity on small inputs, inputs that are refused."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from harness.component import Approximate
from harness.parity import compare
from harness.registry import unavailable
from harness.settings import Settings
from implementations.tts.acoustic import mlx_lazy, onnxruntime_peer, reference, torch_planar, torch_quantized
from implementations.tts.acoustic.component import (
    BFLOAT16,
    COMPONENT,
    FLOAT16,
    INT8,
    check_inputs,
    drawn,
    flip_rate,
    macs,
    parameters,
    spread,
)
from implementations.tts.acoustic.configurations import CONFIGURATIONS, LJSPEECH, PAPER
from implementations.tts.acoustic.fastspeech2 import FastSpeech2
from implementations.tts.acoustic.serving import INSTEAD, model_of
from implementations.tts.acoustic.weights import BadCheckpoint, save_model, seeded

SMALL_CASES = [case for case in COMPONENT.cases if case.name in ("quick", "untimed")]


def run_of(item, inputs, **given):
    with item.load(Settings(**given)) as run:
        return run(inputs)


@pytest.mark.parametrize("case", COMPONENT.cases, ids=lambda case: case.name)
def test_cases_are_deterministic_families(case):
    first, again, other = case.make(3), case.make(3), case.make(4)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert not np.array_equal(first["phonemes"], other["phonemes"])
    configuration, phonemes, lengths = check_inputs(first)
    assert lengths[0] == phonemes.shape[1]
    if case.name.startswith("sentence-5s"):
        assert first["durations"].sum() * configuration.frame_seconds == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize("case", SMALL_CASES, ids=lambda case: case.name)
def test_rows_agree_with_the_reference(case):
    inputs = case.make(0)
    expected = run_of(reference.IMPLEMENTATION, inputs)
    assert COMPONENT.produced(inputs, expected) == len(expected["mel"]) * 256 / 22050
    assert len(expected["mel"]) == (144 if case.name == "quick" else expected["duration_frames"].sum())
    exact = run_of(torch_planar.IMPLEMENTATION, inputs)
    narrow = run_of(torch_planar.IMPLEMENTATION, inputs, precision="bfloat16")
    stored = run_of(torch_planar.IMPLEMENTATION, inputs, precision="float16")
    assert all(result.passed for result in compare(expected, exact, COMPONENT.policy))
    assert all(result.passed for result in compare(expected, narrow, COMPONENT.policy, replaced=BFLOAT16.parity))
    assert all(result.passed for result in compare(expected, stored, COMPONENT.policy, replaced=FLOAT16.parity))
    assert not any(np.array_equal(exact["mel"], found["mel"]) for found in (narrow, stored))
    for name in ("log_durations", "pitch", "energy"):  # decided by the same operations on the same numbers
        np.testing.assert_array_equal(expected[name], narrow[name])
        np.testing.assert_array_equal(expected[name], stored[name])


@pytest.mark.skipif(unavailable(torch_quantized.IMPLEMENTATION) is not None, reason="oneDNN's int8 convolutions need VNNI")
def test_int8_changes_the_spectrogram_alone():
    for case in SMALL_CASES:
        inputs = case.make(2)
        expected = run_of(reference.IMPLEMENTATION, inputs)
        found = run_of(torch_quantized.IMPLEMENTATION, inputs, precision="int8")
        assert all(result.passed for result in compare(expected, found, COMPONENT.policy, replaced=INT8.parity))
        assert not compare(expected, found, COMPONENT.policy)[-1].passed
        for name in ("log_durations", "pitch", "energy"):
            np.testing.assert_array_equal(expected[name], found[name])


@pytest.mark.parametrize(("package", "item"), [("onnxruntime", onnxruntime_peer.IMPLEMENTATION), ("mlx", mlx_lazy.IMPLEMENTATION)])
def test_other_libraries_agree_with_the_reference(package, item):
    pytest.importorskip(package)
    with reference.IMPLEMENTATION.load(Settings()) as ours, item.load(Settings()) as theirs:
        for inputs in (drawn("small", 1, 5, phonemes=9, frames=40), drawn("small", 3, 6, phonemes=7, frames=20, shortest=0.1)):
            assert all(result.passed for result in compare(ours(inputs), theirs(inputs), COMPONENT.policy))
        assert theirs(drawn("small", 1, 5, phonemes=9, frames=0))["mel"].shape == (0, 80)


def test_a_wrong_decision_or_a_wrong_layer_is_seen():
    inputs = COMPONENT.case("quick").make(0)
    expected = run_of(reference.IMPLEMENTATION, inputs)
    flipped = dict(expected, pitch_bins=expected["pitch_bins"].copy())
    flipped["pitch_bins"][0, 3:5] += 1
    assert [result.output for result in compare(expected, flipped, COMPONENT.policy) if not result.passed] == ["pitch_bins"]
    broken = model_of(CONFIGURATIONS["small"])
    gain = broken.decoder.layer_stack[2].pos_ffn.layer_norm.weight
    gain *= 1.001
    try:
        found = run_of(torch_planar.IMPLEMENTATION, inputs)
    finally:
        gain /= 1.001
    assert [result.output for result in compare(expected, found, COMPONENT.policy) if not result.passed] == ["mel"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(COMPONENT.strategy())
def test_adversarial_inputs_are_valid(inputs):
    _, phonemes, lengths = check_inputs(inputs)
    assert lengths.max() == phonemes.shape[1]
    assert COMPONENT.work(inputs).operations > 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"configuration": "none"}, ValueError, "configuration: expected one of ljspeech, .* found 'none'"),
        ({"phonemes": np.zeros((1, 2))}, TypeError, "phonemes: expected an int64 array, found dtype float64"),
        ({"phonemes": [[1]]}, TypeError, "phonemes: expected an int64 array, found list"),
        ({"phonemes": np.zeros((1, 0), np.int64)}, ValueError, "expected shape .sentences, longest., at least 1 each, found .1, 0."),
        ({"phonemes": np.array([[1, 99]])}, ValueError, "expected numbers from 1 to 70, .* found 1 to 99"),
        ({"phonemes": np.array([[1, 0]])}, ValueError, "then 0 to the longest, found 0 to 1"),
        ({"durations": np.array([[1, -1]])}, ValueError, "durations: expected frames for each phoneme and 0 behind, found -1 to 1"),
    ],
)
def test_other_inputs_are_refused(change, error, message):
    inputs = {"configuration": "small", "phonemes": np.array([[3, 4]]), **change}
    with pytest.raises(error, match=message):
        check_inputs(inputs)


def test_work_is_that_of_the_facts():
    # 2.05 and 1.55 GMAC per second of audio, attention aside.
    for configuration, gigamacs in ((LJSPEECH, 2.05), (PAPER, 1.55)):
        assert macs(configuration, 72, 431, sentence=0) / 5.0 / 1e9 == pytest.approx(gigamacs, rel=0.05)
    with torch.device("meta"):
        model = FastSpeech2(CONFIGURATIONS["small"])
    folded = [name for name, _ in model.named_parameters() if name.startswith("postnet") and name.split(".")[3] == "1"]
    counted = [value.numel() for name, value in model.named_parameters() if "emb" not in name and name not in folded]
    assert parameters(model.configuration) == sum(counted)


def test_spread_loses_no_frame():
    assert spread(7, 3, 5).tolist() == [2, 2, 3, 0, 0]
    assert spread(0, 2, 2).tolist() == [0, 0]
    assert spread(431, 72, 72).sum() == 431


def test_flip_rate():
    assert flip_rate(np.arange(100), np.arange(100) % 75) == 0.25
    assert flip_rate(np.array([1, 2]), np.array([1, 3])) == 1 / 64
    assert flip_rate(np.empty(0), np.empty(0)) == 0
    with pytest.raises(ValueError, match=r"expected shape \(2,\), found \(3,\)"):
        flip_rate(np.zeros(2), np.zeros(3))


def test_checkpoints_replace_the_random_weights(tmp_path, monkeypatch):
    inputs = COMPONENT.case("quick").make(0)
    before = run_of(reference.IMPLEMENTATION, inputs)
    monkeypatch.setenv(INSTEAD, str(tmp_path))
    model_of.cache_clear()
    try:
        with pytest.raises(BadCheckpoint, match=r"expected small.safetensors or small.pth.tar or small.pt, found none"):
            run_of(reference.IMPLEMENTATION, inputs)
        save_model(seeded(CONFIGURATIONS["small"], seed=9), tmp_path / "small.safetensors", torch.float32)
        assert not np.array_equal(run_of(reference.IMPLEMENTATION, inputs)["mel"], before["mel"])
    finally:
        model_of.cache_clear()


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"tts_acoustic.reference: precision: expected float32, found 'int8'"):
        run_of(reference.IMPLEMENTATION, COMPONENT.case("quick").make(0), precision="int8")
    assert all(isinstance(parity, Approximate) for parity in BFLOAT16.parity.values())
