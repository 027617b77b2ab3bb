"""The reference: RTNeural's golden outputs, PyTorch's own layers in float64, and the chain's wiring."""

import numpy as np
import pytest
from small_models_rows import GOLDEN_MODELS, golden_file, goldens

from implementations.small_models import checkpoints
from implementations.small_models.models import MODELS, chain
from implementations.small_models.reference import run_model
from implementations.small_models.weights import random_weights


@pytest.mark.parametrize("name", GOLDEN_MODELS)
def test_rtneural_golden_outputs(name):
    weights = checkpoints.load(golden_file(name))[name]
    for stateful, features, expected in goldens(name):
        assert np.abs(run_model(MODELS[name], weights, features, stateful) - expected).max() <= 4e-7


def test_the_golden_outputs_tell_the_modes_apart():
    (_, features, stateless), (_, _, stateful) = goldens("emotion_recognizer")
    assert np.array_equal(stateless[0], stateful[0])
    assert np.abs(stateless - stateful).max() > 0.1
    assert len(features) == 32


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("stateful", [False, True])
def test_pytorch_layers_in_float64_agree(name, stateful):
    torch = pytest.importorskip("torch")
    model, weights = MODELS[name], random_weights(MODELS[name], 7)
    features = np.random.default_rng(0).uniform(-1, 1, (12, model.inputs)).astype(np.float32)
    values = torch.tensor(features, dtype=torch.float64)
    for number, layer in enumerate(model.layers):
        own = {key.partition(".")[2]: torch.tensor(array).double() for key, array in weights.items() if key.startswith(f"{number}.")}
        if hasattr(layer, "activation"):
            values = torch.nn.functional.linear(values, own["weight"], own["bias"])
            values = torch.softmax(values, dim=1) if layer.activation == "softmax" else getattr(torch, layer.activation)(values)
        else:
            lstm = torch.nn.LSTM(layer.inputs, layer.outputs).double()
            lstm.load_state_dict({f"{key}_l0": array for key, array in own.items()})
            values = (lstm(values)[0] if stateful else lstm(values[None])[0][0]).detach()
    assert np.abs(run_model(model, weights, features, stateful) - values.numpy()).max() < 1e-14


@pytest.mark.parametrize("name", MODELS)
def test_frames_are_independent_without_state_and_a_sequence_with(name):
    model, weights = MODELS[name], random_weights(MODELS[name], 3)
    features = np.random.default_rng(1).uniform(-1, 1, (6, model.inputs)).astype(np.float32)
    alone = np.concatenate([run_model(model, weights, frame[None]) for frame in features])
    assert np.array_equal(run_model(model, weights, features), alone) or np.abs(run_model(model, weights, features) - alone).max() < 1e-15
    kept = run_model(model, weights, features, stateful=True)
    assert np.abs(kept[0] - alone[0]).max() < 1e-15
    assert (np.abs(kept[1:] - alone[1:]).max() > 1e-4) == model.recurrent


def test_the_chain_feeds_the_emotion_to_the_others():
    features = np.random.default_rng(2).uniform(-1, 1, (3, 128)).astype(np.float32)
    seen = {}

    def step(name):
        def run(values):
            seen[name] = values
            return np.full((len(values), MODELS[name].outputs), len(seen), np.float32) + np.arange(MODELS[name].outputs)

        return run

    outputs = chain(features, {name: step(name) for name in MODELS})
    emotion = outputs["emotion_recognizer"]
    assert list(outputs) == list(MODELS)
    assert np.array_equal(seen["emotion_recognizer"], features)
    assert np.array_equal(seen["melody_transformer"], emotion)
    assert np.array_equal(seen["harmony_predictor"], np.concatenate([emotion, features[:, :64]], axis=1))
    assert np.array_equal(seen["dynamics_engine"], emotion[:, :32])
    assert np.array_equal(seen["groove_predictor"], emotion)
    assert sum(output.shape[1] for output in outputs.values()) == 304
