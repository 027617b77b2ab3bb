"""The six components: cases, inputs, work, bounds, what an approximation must reach."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from harness import targets
from harness.component import Approximate
from harness.registry import discover
from harness.settings import Settings
from implementations.small_models import component
from implementations.small_models.component import (
    COMPONENTS,
    PIPELINE,
    accuracy_drop,
    check_inputs,
    exact_bound,
    live_parameters,
    members,
    precision_variant,
    size_variant,
)
from implementations.small_models.models import EMOTION_RECOGNIZER, HARMONY_PREDICTOR, MODELS
from implementations.small_models.numpy_packed import CHAIN

PROFILES = ("any", "x86-64-avx2", "x86-64-avx512", "arm64-neon", "apple-silicon")
ALL = pytest.mark.parametrize("name", COMPONENTS)


@ALL
def test_cases_are_deterministic_families(name):
    for case in COMPONENTS[name].cases:
        first, again, other = case.make(3), case.make(3), case.make(4)
        features, stateful = check_inputs(first, members(name)[0].inputs)
        assert np.array_equal(features, again["features"])
        assert not np.array_equal(features, other["features"])
        assert np.abs(features).max() <= 1.5
        assert stateful is (case.name == "sequence-1s")


def test_a_case_is_the_same_on_every_machine():
    frames = COMPONENTS[PIPELINE].case("sequence-1s").make(0)["features"]
    assert frames.shape == (100, 128)
    assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == "e3222e9488780f2e"


@ALL
def test_cases_are_a_frame_a_second_and_a_batch(name):
    cases = {case.name: case for case in COMPONENTS[name].cases}
    recurrent = any(model.recurrent for model in members(name))
    assert list(cases) == ["frame", *(["sequence-1s"] if recurrent else []), "offline-1024"]
    assert cases["frame"].quick
    batch = cases["offline-1024"].make(0)
    assert len(batch["features"]) == 1024
    assert set(batch["labels"]) == {model.name for model in members(name)}


@pytest.mark.parametrize(
    ("features", "stateful", "error", "message"),
    [
        ([[0.0] * 128], False, TypeError, "expected a float32 array, found list"),
        (np.zeros((1, 128)), False, TypeError, "float32 array, found dtype float64"),
        (np.zeros(128, np.float32), False, ValueError, r"expected shape \(frames, 128\), found \(128,\)"),
        (np.zeros((2, 64), np.float32), False, ValueError, r"found \(2, 64\)"),
        (np.zeros((1, 128), np.float32), 1, TypeError, "stateful: expected True or False, found 1"),
        (np.float32([[0] * 5 + [np.nan] + [0] * 122]), False, ValueError, "found nan at frame 0, column 5"),
        (np.float32([[0] * 128, [0] * 127 + [-np.inf]]), True, ValueError, "found -inf at frame 1, column 127"),
    ],
)
def test_bad_inputs_are_refused_with_the_place(features, stateful, error, message):
    with pytest.raises(error, match=message):
        check_inputs({"features": features, "stateful": stateful}, 128)


def test_large_but_finite_features_are_accepted():
    features = np.full((1, 128), 3e30, np.float32)
    assert check_inputs({"features": features, "stateful": False}, 128)[0] is features


@ALL
def test_the_strategy_makes_valid_inputs(name):
    @settings(max_examples=30, deadline=None, database=None)
    @given(COMPONENTS[name].strategy())
    def valid(inputs):
        check_inputs(inputs, members(name)[0].inputs)

    valid()


def test_live_parameters_are_those_that_can_change_a_result():
    """Stateful, each gate's two biases count as one; stateless, W_hh and the forget gate are dead: 37 % of all parameters."""
    assert sum(live_parameters(model, True) for model in MODELS.values()) == 1_151_280 - 4 * (128 + 256)
    assert sum(live_parameters(model, False) for model in MODELS.values()) == 723_376
    assert live_parameters(HARMONY_PREDICTOR, False) == HARMONY_PREDICTOR.parameters()


def test_work_counts_weights_once_and_recurrent_ones_once_per_frame():
    chain = COMPONENTS[PIPELINE]
    one, batch = (chain.work(chain.case(case).make(0)) for case in ("frame", "offline-1024"))
    assert batch.weight_bytes == one.weight_bytes
    assert batch.operations == 1024 * one.operations
    emotion = COMPONENTS["emotion_recognizer"]
    sequence = emotion.work(emotion.case("sequence-1s").make(0))
    assert sequence.weight_bytes == 4 * (live_parameters(EMOTION_RECOGNIZER, True) + 99 * 4 * 128**2)
    assert sequence.repeated_bytes == 4 * 4 * 128**2
    assert sequence.at("int8").repeated_bytes == 4 * 128**2
    assert one.repeated_bytes is None
    narrow = one.at("int8")
    assert narrow.weight_bytes == one.weight_bytes / 4
    assert narrow.bytes == one.bytes - 0.75 * one.weight_bytes


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "int8"])
@ALL
def test_an_approximation_is_held_to_noise_and_to_the_task(name, precision):
    variant = precision_variant(name, precision)
    assert set(variant.parity) == set(COMPONENTS[name].policy)
    for parity in variant.parity.values():
        assert isinstance(parity, Approximate)
        assert [metric.name for metric in parity.also] == ["snr_db", "accuracy_drop"]
        assert parity.also[1].at_most == 0.005


def test_a_smaller_size_is_held_to_its_own_reference_and_to_the_task_of_the_documented_networks():
    inputs = COMPONENTS[PIPELINE].case("offline-1024").make(0)
    inputs = {**inputs, "features": inputs["features"][:256], "labels": {name: of[:256] for name, of in inputs["labels"].items()}}
    for size in ("medium", "small"):
        parity = size_variant(PIPELINE, size).parity["harmony_predictor"]
        assert parity.metric.at_most == exact_bound(PIPELINE, "harmony_predictor")
        (drop,) = parity.also
        with CHAIN.load(Settings(model_size=size)) as run:
            outputs = run(inputs)
        assert abs(drop.function(None, outputs["harmony_predictor"], inputs)) <= drop.at_most
        assert drop.function(None, np.roll(outputs["harmony_predictor"], 1, axis=1), inputs) > 0.8
        assert drop.function(None, outputs["harmony_predictor"], {"features": inputs["features"]}) is None


def test_the_accuracy_that_is_lost_needs_labels():
    inputs = COMPONENTS["melody_transformer"].case("offline-1024").make(0)
    labels = inputs["labels"]["melody_transformer"]
    drop = accuracy_drop("melody_transformer").function
    assert drop(labels, labels, inputs) == 0
    assert drop(labels, 1 - labels, inputs) == 1
    assert drop(labels, labels, {"features": inputs["features"]}) is None


@ALL
def test_effects_name_cases_and_values_that_rows_have(name):
    rows = discover().implementations(name).values()
    for effect in COMPONENTS[name].effects:
        COMPONENTS[name].case(effect.case)
        assert any(effect.setting in row.settings for row in rows)


@ALL
def test_targets_are_valid(name):
    path = Path(component.__file__).with_name("targets.toml")
    rows = discover().implementations(name).values()
    found = targets.load(path, COMPONENTS[name], rows, PROFILES, beside=COMPONENTS)
    assert {target.component for target in found} == {name}


def test_components_describe_their_structure():
    assert COMPONENTS["melody_transformer"].description.endswith("64 > 256 relu > LSTM 256 > 256 relu > 128 sigmoid")
    assert sum(model.parameters() for model in MODELS.values()) == 1_151_280
