"""RTNeural JSON: read as RTNeural does, written so that every bit comes back, refused with place, expected and found."""

import gzip
import json

import numpy as np
import pytest
from small_models_rows import GOLDEN_MODELS, golden_file

from implementations.small_models import rtneural_json
from implementations.small_models.models import DYNAMICS_ENGINE, EMOTION_RECOGNIZER, LSTM, MODELS, Dense, Model
from implementations.small_models.weights import BadWeights, random_weights

TINY = Model("tiny", (Dense(2, 3, "relu"), LSTM(3, 2), Dense(2, 2, "softmax")))


def body():
    return json.loads(rtneural_json.dump(TINY, random_weights(TINY, 1)))


def parse(value, model=TINY):
    return rtneural_json.parse(model, json.dumps(value), "here.json")


@pytest.mark.parametrize("name", GOLDEN_MODELS)
def test_genuine_files_survive_a_round_trip(name):
    text = gzip.decompress(golden_file(name).read_bytes())
    first = rtneural_json.parse(MODELS[name], text, "golden")
    again = rtneural_json.parse(MODELS[name], rtneural_json.dump(MODELS[name], first), "written")
    assert all(np.array_equal(first[key], again[key]) for key in MODELS[name].shapes())
    genuine, written = json.loads(text), json.loads(rtneural_json.dump(MODELS[name], first))
    assert written["in_shape"] == genuine["in_shape"]
    assert [layer["type"] for layer in written["layers"]] == [layer["type"] for layer in genuine["layers"]]
    assert [layer["activation"] for layer in written["layers"]] == [layer["activation"] for layer in genuine["layers"]]
    assert written["layers"] == genuine["layers"], "the decimals of the original are the shortest that give these bits"


def test_every_float32_comes_back_and_the_biases_of_an_lstm_are_summed():
    weights = random_weights(EMOTION_RECOGNIZER, 5)
    again = rtneural_json.parse(EMOTION_RECOGNIZER, rtneural_json.dump(EMOTION_RECOGNIZER, weights), "written")
    for key, array in weights.items():
        if "bias_" not in key:
            assert np.array_equal(again[key], array), key
    assert np.array_equal(again["2.bias_ih"], weights["2.bias_ih"] + weights["2.bias_hh"])
    assert not again["2.bias_hh"].any()


def test_a_dense_kernel_is_inputs_by_outputs():
    layer = body()["layers"][0]
    assert np.shape(layer["weights"][0]) == (2, 3)
    assert np.array_equal(np.float32(layer["weights"][0]).T, random_weights(TINY, 1)["0.weight"])


def test_what_is_not_needed_is_ignored_and_activations_may_stand_alone():
    value = body() | {"exporter": "mine"}
    value["layers"][0] |= {"name": "first", "activation": ""}
    value["layers"].insert(1, {"type": "activation", "activation": "relu", "shape": [None, None, 3], "weights": []})
    value["layers"][2].pop("activation")
    assert np.array_equal(parse(value)["1.weight_hh"], parse(body())["1.weight_hh"])


def changed(path, new):
    value = body()
    target = value
    for key in path[:-1]:
        target = target[key]
    if new is KeyError:
        del target[path[-1]]
    else:
        target[path[-1]] = new
    return value


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (["in_shape"], KeyError, r"here.json: expected 'in_shape' and 'layers', found 'layers' without 'in_shape': RTNeural cannot load"),
        (["layers"], KeyError, "found 'in_shape' without 'layers'"),
        (["in_shape"], [None, None, 3], r"in_shape: tiny takes 2 inputs, found \[None, None, 3\]"),
        (["in_shape"], 2, "in_shape: tiny takes 2 inputs, found 2"),
        (["layers"], {}, "layers: expected a list of objects, found dict"),
        (["layers", 0], 5, "layers: expected a list of objects, found list"),
        (["layers", 2], KeyError, r"layers: tiny has 3, found 2 \(dense, lstm\)"),
        (["layers", 0, "type"], "conv1d", "layer 0: type: expected 'dense' or 'time-distributed-dense', found 'conv1d'"),
        (["layers", 1, "type"], "gru", "layer 1: type: expected 'lstm', found 'gru'"),
        (["layers", 0, "activation"], "softmax", "layer 0: activation: expected 'relu', found 'softmax'"),
        (["layers", 2, "activation"], KeyError, "layer 2: activation: expected 'softmax', found ''"),
        (["layers", 1, "activation"], "relu", "layer 1: activation: expected '' or 'tanh', found 'relu'"),
        (["layers", 0, "shape"], [None, None, 2], r"layer 0: shape: expected 3 outputs, found \[None, None, 2\]"),
        (["layers", 0, "shape"], KeyError, "layer 0: shape: expected 3 outputs, found None"),
        (["layers", 0, "weights"], KeyError, "layer 0: weights: expected 2 parts, found null"),
        (["layers", 1, "weights", 2], KeyError, "layer 1: weights: expected 3 parts, found 2 parts"),
        (["layers", 0, "weights", 0], [[1, 2, 3]], r"layer 0: weights\[0\]: expected 2 rows of 3, found 1"),
        (["layers", 0, "weights", 0, 1], [1, 2], r"layer 0: weights\[0\], row 1: expected 3 numbers, found 2"),
        (["layers", 0, "weights", 1], [1, 2, 3, 4], r"layer 0: weights\[1\]: expected 3 numbers, found 4"),
        (["layers", 1, "weights", 1, 0, 3], "1", r"layer 1: weights\[1\], row 0, column 3: expected a number, found '1'"),
        (["layers", 1, "weights", 1, 0, 3], True, r"column 3: expected a number, found True"),
        (["layers", 1, "weights", 1, 0, 3], None, r"column 3: expected a number, found None"),
        (["layers", 2, "weights", 1, 1], float("nan"), r"tiny 2.bias: found nan at \(1,\), expected finite numbers"),
        (["layers", 0, "weights", 0, 1, 2], 1e39, r"tiny 0.weight: found inf at \(2, 1\)"),
        (["layers", 0, "weights", 0, 1, 2], 10**400, r"layer 0: weights\[0\]: expected numbers of double precision"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(path, new, message):
    with pytest.raises(BadWeights, match=message):
        parse(changed(path, new))


def test_the_exporter_that_upstream_calls_version_2_is_refused():
    """It has no 'in_shape', so that RTNeural cannot load it, and the last activation on every layer."""
    value = {"version": 2, "model": "DynamicsEngine", "input_size": 32, "layers": []}
    with pytest.raises(BadWeights, match="found 'input_size', 'layers', 'model', 'version' without 'in_shape'"):
        parse(value, DYNAMICS_ENGINE)
    value = json.loads(rtneural_json.dump(DYNAMICS_ENGINE, random_weights(DYNAMICS_ENGINE, 0)))
    for layer in value["layers"]:
        layer["activation"] = "sigmoid"
    with pytest.raises(BadWeights, match="layer 0: activation: expected 'relu', found 'sigmoid'"):
        parse(value, DYNAMICS_ENGINE)


@pytest.mark.parametrize("text", ["", "[", "nul", '{"in_shape": [null, null, 2], "layers": [', "[]", "3", '"text"'])
def test_text_that_is_no_model_is_one_error(text):
    with pytest.raises(BadWeights, match=r"^here.json: expected (RTNeural JSON|a JSON object)"):
        rtneural_json.parse(TINY, text, "here.json")


def test_a_second_activation_behind_a_layer_is_refused():
    value = body()
    value["layers"].insert(1, {"type": "activation", "activation": "tanh"})
    with pytest.raises(BadWeights, match="layer 1: expected an activation behind a layer without one, found a second one"):
        parse(value)
