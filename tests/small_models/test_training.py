"""Training: forward as torch's own layers have it, models that learn more than a constant and nothing from shuffled labels, provenance."""

import json
import time

import numpy as np
import pytest

from implementations.small_models import data
from implementations.small_models.compression import SHIPPED, read
from implementations.small_models.models import MODELS
from implementations.small_models.reference import run_model
from implementations.small_models.weights import random_weights

torch = pytest.importorskip("torch")
from implementations.small_models import training  # noqa: E402

LEAST = {
    "emotion_recognizer": 0.98,
    "melody_transformer": 0.95,
    "harmony_predictor": 0.9,
    "dynamics_engine": 0.96,
    "groove_predictor": 0.96,
}
"""Test accuracies that the shipped checkpoint, and one trained again on another machine, must reach."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    training.single_thread()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def small():
    """Trained for seconds, and the same networks on labels that belong to other examples."""
    training.single_thread()
    examples = data.split("train", 4096)
    start = {name: random_weights(model, place) for place, (name, model) in enumerate(MODELS.items())}
    order = np.random.default_rng(0).permutation(4096)
    shuffled = {name: label[order] for name, label in examples.labels.items()}
    return [training.fit_chain(MODELS, start, examples.features, labels, seed=0, epochs=12) for labels in (examples.labels, shuffled)]


@pytest.mark.parametrize("name", MODELS)
def test_forward_is_torchs(name):
    """The first frame, and the second, which goes on from it."""
    model, weights = MODELS[name], random_weights(MODELS[name], 7)
    rng = np.random.default_rng(1)
    frames = [torch.from_numpy(rng.normal(size=(5, model.inputs)).astype(np.float32)) for _ in range(2)]
    tensors = {key: torch.from_numpy(array) for key, array in weights.items()}
    values = frames
    for number, layer in enumerate(model.layers):
        own = {key.partition(".")[2]: array for key, array in tensors.items() if key.startswith(f"{number}.")}
        if "weight_hh" in own:
            cell = torch.nn.LSTMCell(layer.inputs, layer.outputs)
            cell.load_state_dict(own)
            state = cell(values[0])
            values = [state[0], cell(values[1], state)[0]]
        else:
            values = [torch.nn.functional.linear(value, own["weight"], own["bias"]) for value in values]
            values = values if layer.activation == "softmax" else [getattr(torch, layer.activation)(value) for value in values]
    for found, expected in zip(training.forward(model, tensors, frames), values, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), atol=1e-6)


def test_learns_more_than_a_constant_and_nothing_from_shuffled_labels(small):
    learned, shuffled = small
    seen, test = data.split("train", 4096), data.split("test", 1000)
    found, control = training.accuracies(learned, test), training.accuracies(shuffled, test)
    for name, accuracy in found.items():
        constant = data.accuracy(name, data.constant_outputs(name, seen.labels[name], 1000), test.labels[name])
        assert accuracy > constant + 0.1, name
        assert accuracy > control[name] + 0.1, name


def test_the_same_seed_gives_the_same_bits():
    once, again, other = (training.train(seed, count=256, epochs=1) for seed in (3, 3, 4))
    for name, weights in once.items():
        for key, array in weights.items():
            np.testing.assert_array_equal(array, again[name][key])
        assert any((array != other[name][key]).any() for key, array in weights.items())


def test_the_shipped_models_know_their_tasks_in_a_sequence_too():
    """Music that changes at every frame, so that whatever an LSTM keeps is of other music."""
    networks, _ = read(SHIPPED / "trained.safetensors")
    examples = data.split("test", 1000)
    emotion = run_model(MODELS["emotion_recognizer"], networks["emotion_recognizer"], examples.features, stateful=True)
    melody = run_model(MODELS["melody_transformer"], networks["melody_transformer"], emotion, stateful=True)
    for name, output in (("emotion_recognizer", emotion), ("melody_transformer", melody)):
        assert data.accuracy(name, output, examples.labels[name]) > LEAST[name] - 0.02, name


def test_start_is_left_as_it_is():
    model = MODELS["dynamics_engine"]
    start = random_weights(model, 0)
    examples = data.split("train", 128)
    emotion = np.ascontiguousarray(examples.labels["emotion_recognizer"][:, :32])
    found = training.fit(model, start, emotion, examples.labels["dynamics_engine"], seed=0, epochs=1)
    assert (found["0.weight"] != start["0.weight"]).any()
    np.testing.assert_array_equal(start["0.weight"], random_weights(model, 0)["0.weight"])


def test_the_shipped_models_know_their_tasks():
    networks, provenance = read(SHIPPED / "trained.safetensors")
    found = training.accuracies(networks, data.split("test"))
    for name, least in LEAST.items():
        assert found[name] >= least
        assert abs(found[name] - provenance["test_accuracy"][name]) < 0.002
    assert provenance["seed"] == 0
    assert "small_models.training --seed 0" in provenance["command"]


def test_a_checkpoint_comes_back_with_its_provenance(tmp_path):
    networks = {name: random_weights(model, 5) for name, model in MODELS.items()}
    training.save(tmp_path / "new" / "some.safetensors", networks, {"seed": 5, "accuracy": {"a": 0.5}})
    found, provenance = read(tmp_path / "new" / "some.safetensors")
    assert json.dumps(provenance["accuracy"]) == '{"a": 0.5}'
    for name, weights in networks.items():
        for key, array in weights.items():
            np.testing.assert_array_equal(found[name][key], array)


@pytest.mark.long
def test_training_from_scratch(tmp_path):
    start = time.process_time()
    training.main(["--seed", "0", "-o", str(tmp_path)])
    assert time.process_time() - start < 60
    _, provenance = read(tmp_path / "trained.safetensors")
    for name, least in LEAST.items():
        assert provenance["test_accuracy"][name] >= least
