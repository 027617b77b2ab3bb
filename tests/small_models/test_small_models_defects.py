"""Known-bad variants, all found in real projects: each is caught by the comparison meant for it, where it can be seen at all."""

from dataclasses import replace

import numpy as np
import pytest

from harness.parity import compare
from harness.settings import Settings
from implementations.small_models import checkpoints
from implementations.small_models.component import COMPONENTS, PIPELINE, accuracy_drop
from implementations.small_models.models import LSTM, MODELS, Dense
from implementations.small_models.reference import CHAIN, EMOTION, MELODY, run_model

RECURRENT = ("emotion_recognizer", "melody_transformer")
REFERENCES = {"emotion_recognizer": EMOTION, "melody_transformer": MELODY, PIPELINE: CHAIN}
BOTH = {"frame": True, "sequence-1s": True}
SEQUENCE_ONLY = {"frame": False, "sequence-1s": True}


def recurrent_weights(change):
    """A defect that changes the LSTM's weights: change(name of the weight, array) -> array."""

    def broken(model, weights):
        return model, {name: change(name.partition(".")[2], array).copy() for name, array in weights.items()}

    return broken


def gates(array, order):
    return np.concatenate([np.split(array, 4)[gate] for gate in order])


def reordered(name, array):
    return gates(array, (0, 3, 1, 2)) if "_ih" in name or "_hh" in name else array


def transposed(name, array):
    return np.concatenate([gate.T for gate in np.split(array, 4)]) if name == "weight_hh" else array


def last_activation_everywhere(model, weights):
    last = model.layers[-1].activation
    return replace(
        model, layers=tuple(replace(layer, activation=last) if isinstance(layer, Dense) else layer for layer in model.layers)
    ), weights


def without_lstm(model, weights):
    """The values go past it, cut or repeated to its width."""
    number = next(i for i, layer in enumerate(model.layers) if isinstance(layer, LSTM))
    layer = model.layers[number]
    identity = np.eye(layer.outputs, layer.inputs, dtype=np.float32)
    layers = list(model.layers)
    layers[number] = Dense(layer.inputs, layer.outputs, "identity")
    kept = {name: array for name, array in weights.items() if not name.startswith(f"{number}.")}
    return replace(model, layers=tuple(layers)), {
        **kept,
        f"{number}.weight": identity,
        f"{number}.bias": np.zeros(layer.outputs, np.float32),
    }


DEFECTS = {
    "b_hh dropped": (recurrent_weights(lambda name, array: 0 * array if name == "bias_hh" else array), BOTH),
    "W_hh dropped": (recurrent_weights(lambda name, array: 0 * array if name == "weight_hh" else array), SEQUENCE_ONLY),
    "W_hh transposed": (recurrent_weights(transposed), SEQUENCE_ONLY),
    "gates in the order i, o, f, g": (recurrent_weights(reordered), BOTH),
    "last activation on all layers": (last_activation_everywhere, BOTH),
    "LSTM skipped": (without_lstm, BOTH),
}


@pytest.fixture(autouse=True)
def _identity(monkeypatch):
    """An activation that does nothing, for the model without its LSTM."""
    from implementations.small_models import reference

    monkeypatch.setitem(reference.ACTIVATIONS, "identity", lambda values: values)


def passes(name, case, outputs_of):
    component = COMPONENTS[name]
    inputs = component.case(case).make(0)
    with REFERENCES[name].load(Settings()) as reference:
        expected = reference(inputs)
    return all(result.passed for result in compare(expected, outputs_of(inputs), component.policy, inputs=inputs))


@pytest.mark.parametrize(
    ("name", "defect"),
    # Of Emotion every activation is the last one.
    [(name, defect) for name in RECURRENT for defect in DEFECTS if (name, defect) != (RECURRENT[0], "last activation on all layers")],
)
def test_a_defect_is_caught_where_it_can_be_seen(name, defect):
    breaks, caught = DEFECTS[defect]
    model, weights = breaks(*checkpoints.shipped()[name])

    def run(inputs):
        return {"output": run_model(model, weights, inputs["features"], inputs["stateful"]).astype(np.float32)}

    for case, seen in caught.items():
        assert passes(name, case, run) is not seen, f"{defect} on {case}"


@pytest.mark.parametrize("name", RECURRENT)
def test_the_sound_twin_of_every_defect_passes(name):
    model, weights = checkpoints.shipped()[name]

    def run(inputs):
        return {"output": run_model(model, weights, inputs["features"], inputs["stateful"]).astype(np.float32)}

    for case in BOTH:
        assert passes(name, case, run)


@pytest.mark.parametrize("name", RECURRENT)
def test_the_wrong_mode_is_caught_by_the_sequence_alone(name):
    model, weights = checkpoints.shipped()[name]

    def run(inputs):
        return {"output": run_model(model, weights, inputs["features"], not inputs["stateful"]).astype(np.float32)}

    assert passes(name, "frame", run)
    assert not passes(name, "sequence-1s", run)


def test_dropped_biases_are_invisible_to_the_task():
    """Why a numeric comparison has to stand beside the accuracy."""
    inputs = COMPONENTS["emotion_recognizer"].case("offline-1024").make(0)
    model, weights = checkpoints.shipped()["emotion_recognizer"]
    broken = {name: 0 * array if name.endswith("bias_hh") else array for name, array in weights.items()}
    sound, off = (run_model(model, these, inputs["features"]) for these in (weights, broken))
    assert accuracy_drop("emotion_recognizer").function(sound, off, inputs) <= 0.005
    assert not passes(
        "emotion_recognizer", "frame", lambda inputs: {"output": run_model(model, broken, inputs["features"]).astype(np.float32)}
    )


def test_no_models_loaded_while_initialised_is_caught():
    """Upstream's initialize() returned true with none loaded: its outputs are then constant, or what went in."""
    empty = {name: np.zeros((1, model.outputs), np.float32) for name, model in MODELS.items()}
    assert not passes(PIPELINE, "frame", lambda inputs: empty)
    assert not passes(PIPELINE, "frame", lambda inputs: {})
    assert not passes("emotion_recognizer", "frame", lambda inputs: {"output": inputs["features"][:, :64].copy()})
