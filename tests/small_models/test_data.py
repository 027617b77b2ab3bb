"""Procedural music: the same bytes everywhere, splits that share nothing, labels that follow from what is heard, accuracies by hand."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from implementations.small_models import data
from implementations.small_models.models import MODELS


def digest(examples):
    found = hashlib.sha256(examples.features.tobytes())
    for name in sorted(examples.labels):
        found.update(examples.labels[name].astype("<f4").tobytes())
    return found.hexdigest()[:16]


def perfect(examples):
    """What a model without fault would put out."""
    labels = dict(examples.labels)
    labels["harmony_predictor"] = np.eye(64)[labels["harmony_predictor"]]
    return labels


def test_the_same_bytes_everywhere():
    assert digest(data.split("train", 64)) == "c6bc1067fb11450b"


def test_seeds_and_splits_are_different_music():
    digests = {digest(data.split(name, 16, seed)) for name in data.SPLITS for seed in (0, 1)}
    assert len(digests) == 6
    rows = np.concatenate([data.split(name, 500).features for name in data.SPLITS])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_more_examples_begin_with_the_same():
    few, many = data.split("test", 5), data.split("test", 9)
    np.testing.assert_array_equal(few.features, many.features[:5])
    for name, label in few.labels.items():
        np.testing.assert_array_equal(label, many.labels[name][:5])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_shapes_and_ranges(count):
    examples = data.split("validation", count)
    assert examples.features.shape == (count, 128)
    assert examples.features.dtype == np.float32
    assert set(examples.labels) == set(MODELS)
    for name, label in perfect(examples).items():
        assert label.shape == (count, MODELS[name].outputs)
    assert np.abs(examples.features).max(initial=0) <= 1.2
    assert np.abs(examples.labels["emotion_recognizer"]).max(initial=0) < 1


def test_labels_are_music():
    examples = data.split("train", 2000)
    assert (examples.labels["melody_transformer"].sum(axis=1) == data.TOP_NOTES).all()
    assert len(np.unique(data.nearest_prototype(examples.labels["emotion_recognizer"]))) == 48
    assert len(np.unique(examples.labels["harmony_predictor"])) == 60
    pitch_classes = np.array([[row[tone::12].any() for tone in range(12)] for row in examples.labels["melody_transformer"] > 0])
    assert (pitch_classes.sum(axis=1) <= 7).all()  # a scale
    quiet, loud = (examples.labels["dynamics_engine"][mask].mean() for mask in _by_arousal(examples))
    assert loud > quiet + 0.1


def _by_arousal(examples):
    aroused = data.nearest_prototype(examples.labels["emotion_recognizer"]) // 12 % 2
    return aroused == 0, aroused == 1


def test_the_tonic_is_heard():
    """Transposed features are those of the transposed key: the strongest of the drone's bands tells the tonic better than chance would."""
    examples = data.split("test", 2000)
    tonic = data.nearest_prototype(examples.labels["emotion_recognizer"]) % 12
    octaves = examples.features[:, [[round(4 + (tone + 12 * octave) * 4 / 3) for octave in (0, 1)] for tone in range(12)]].max(axis=2)
    assert (octaves.argmax(axis=1) == tonic).mean() > 0.5


@pytest.mark.parametrize("model", MODELS)
def test_accuracy_of_the_labels_themselves_is_one(model):
    examples = data.split("test", 200)
    assert data.accuracy(model, perfect(examples)[model], examples.labels[model]) == 1


@pytest.mark.parametrize("model", MODELS)
def test_labels_of_other_examples_are_wrong(model):
    examples = data.split("test", 400)
    assert data.accuracy(model, np.roll(perfect(examples)[model], 1, axis=0), examples.labels[model]) < 0.5


@pytest.mark.parametrize("model", MODELS)
def test_what_is_not_a_number_is_never_right(model):
    examples = data.split("test", 4)
    outputs = perfect(examples)[model].copy()
    outputs[:2, 0] = np.nan
    assert data.accuracy(model, outputs, examples.labels[model]) == 0.5


def test_accuracy_by_hand():
    notes = np.zeros((1, 128))
    notes[0, :8] = 1
    assert data.accuracy("melody_transformer", np.roll(notes, 2, axis=1), notes) == 0.75
    assert data.accuracy("harmony_predictor", np.eye(64)[[3, 5]], np.array([3, 4])) == 0.5
    assert data.accuracy("dynamics_engine", np.array([[0.05, 0.07]]), np.zeros((1, 2))) == 0.5
    assert data.accuracy("groove_predictor", np.array([[0.07, -0.09]]), np.zeros((1, 2))) == 0.5


def test_a_prototype_is_nearest_to_itself():
    sign = np.array([-0.6, 0.6])
    for quadrant in range(4):
        for tonic in range(12):
            place = data.embedding(sign[[quadrant // 2]], sign[[quadrant % 2]], np.array([tonic]), np.array([tonic % 4]))
            assert data.nearest_prototype(place) == 12 * quadrant + tonic


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: data.split("holdout"), "expected one of train, validation, test, found 'holdout'"),
        (lambda: data.split("test", -1), "found -1 and 0"),
        (lambda: data.accuracy("tempo", np.zeros((1, 2)), np.zeros((1, 2))), "'tempo'"),
        (lambda: data.accuracy("groove_predictor", np.zeros((1, 32)), np.zeros((2, 32))), "each of 2 labels .* found 1"),
        (lambda: data.accuracy("groove_predictor", np.zeros((0, 32)), np.zeros((0, 32))), "at least one"),
    ],
)
def test_errors_say_what_was_expected(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_needs_no_framework():
    code = "import sys; from implementations.small_models import data, training; data.split('test', 2); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "False"
