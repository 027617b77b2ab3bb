"""Checkpoint files: each format gives the same weights; names and folders; what ships; one clear error for everything else."""

import gzip
import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from small_models_rows import golden_file

from implementations.small_models import checkpoints, rtneural_json
from implementations.small_models.models import DYNAMICS_ENGINE, EMOTION_RECOGNIZER, GROOVE_PREDICTOR, MODELS
from implementations.small_models.weights import BadWeights, random_weights

WEIGHTS = {model.name: random_weights(model, 4) for model in (DYNAMICS_ENGINE, GROOVE_PREDICTOR)}
DYNAMICS = WEIGHTS["dynamics_engine"]


def same(found, expected=DYNAMICS):
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) and found[key].dtype == np.float32 for key in expected)


def flat(weights):
    return {f"{model}.{key}": array for model, group in weights.items() for key, array in group.items()}


def torch_file(path, state):
    torch = pytest.importorskip("torch")
    torch.save({key: torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array for key, array in state.items()}, path)
    return path


@pytest.mark.parametrize("name", ["dynamics_engine.json", "DynamicsEngine.json", "my-dynamics-engine.json.gz"])
def test_rtneural_json(tmp_path, name):
    text = rtneural_json.dump(DYNAMICS_ENGINE, DYNAMICS)
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    same(checkpoints.load(tmp_path / name)["dynamics_engine"])


def test_safetensors_of_one_model_and_of_several(tmp_path):
    save_file(DYNAMICS, tmp_path / "dynamics_engine.safetensors")
    same(checkpoints.load(tmp_path / "dynamics_engine.safetensors")["dynamics_engine"])
    save_file(flat(WEIGHTS), tmp_path / "all.safetensors")
    found = checkpoints.load(tmp_path / "all.safetensors")
    assert set(found) == set(WEIGHTS)
    same(found["groove_predictor"], WEIGHTS["groove_predictor"])


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_torch_state_dicts_with_the_names_of_torch(tmp_path, suffix):
    emotion = random_weights(EMOTION_RECOGNIZER, 1)
    state = {f"{key}_l0" if "_ih" in key or "_hh" in key else key: array for key, array in emotion.items()}
    same(checkpoints.load(torch_file(tmp_path / f"emotion_recognizer{suffix}", state))["emotion_recognizer"], emotion)
    same(checkpoints.load(torch_file(tmp_path / f"all{suffix}", flat(WEIGHTS)))["dynamics_engine"])


def test_a_folder_is_all_of_its_files(tmp_path):
    save_file(DYNAMICS, tmp_path / "dynamics_engine.safetensors")
    (tmp_path / "groove_predictor.json").write_text(rtneural_json.dump(GROOVE_PREDICTOR, WEIGHTS["groove_predictor"]))
    (tmp_path / "README.md").write_text("not weights")
    found = checkpoints.load(tmp_path)
    assert set(found) == set(WEIGHTS)
    (tmp_path / "DynamicsEngine.json").write_text(rtneural_json.dump(DYNAMICS_ENGINE, DYNAMICS))
    with pytest.raises(
        BadWeights, match=r"expected one file with dynamics_engine, found DynamicsEngine.json and dynamics_engine.safetensors"
    ):
        checkpoints.load(tmp_path)


def test_what_ships_is_complete():
    shipped = checkpoints.shipped()
    assert list(shipped) == list(MODELS)
    assert sum(array.size for _, weights in shipped.values() for array in weights.values()) == 1_151_280


def test_the_students_ship_too_and_other_sizes_do_not():
    small = checkpoints.shipped("small")
    assert list(small) == list(MODELS)
    for name, (model, weights) in small.items():
        assert (model.inputs, model.outputs) == (MODELS[name].inputs, MODELS[name].outputs)
        assert weights.keys() == model.shapes().keys()
    assert 8 * sum(model.parameters() for model, _ in small.values()) < sum(model.parameters() for model in MODELS.values())
    with pytest.raises(ValueError, match="model_size: expected large, medium, small, found 'huge'"):
        checkpoints.shipped("huge")


def test_other_weights_can_take_the_place_of_the_shipped_ones(monkeypatch):
    monkeypatch.setenv(checkpoints.INSTEAD, str(golden_file("dynamics_engine")))
    found = checkpoints.shipped.__wrapped__()
    assert set(found) == {"dynamics_engine"}
    assert set(checkpoints.shipped.__wrapped__("small")) == set(MODELS), "the students stay"
    with pytest.raises(BadWeights, match="expected weights of groove_predictor, found dynamics_engine"):
        found["groove_predictor"]
    monkeypatch.setenv(checkpoints.INSTEAD, "/nowhere/at/all")
    with pytest.raises(BadWeights, match="found nothing"):
        checkpoints.shipped.__wrapped__()


def without(key):
    return {name: array for name, array in DYNAMICS.items() if name != key}


NAN = DYNAMICS["1.bias"].copy()
NAN[3] = np.nan


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "expected weights, found an empty file"),
        (without("1.bias"), "dynamics_engine needs 1.bias, not found"),
        (DYNAMICS | {"7.weight": np.zeros(1, np.float32)}, "dynamics_engine has no 7.weight"),
        (DYNAMICS | {"1.bias": np.zeros(63, np.float32)}, r"dynamics_engine 1.bias: expected shape \(64,\), found \(63,\)"),
        (DYNAMICS | {"1.weight": DYNAMICS["1.weight"].T.copy()}, r"expected shape \(64, 128\), found \(128, 64\)"),
        (DYNAMICS | {"1.bias": NAN}, r"dynamics_engine 1.bias: found nan at \(3,\)"),
        (DYNAMICS | {"1.bias": np.zeros(64, np.int32)}, "expected .*float"),
        (DYNAMICS | {"groove_predictor.0.bias": np.zeros(128, np.float32)}, "expected names that begin with a model .*found '0.bias'"),
    ],
)
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_that_do_not_fit_are_told_with_their_place(tmp_path, kind, state, message):
    path = tmp_path / f"dynamics_engine.{kind}"
    save_file(state, path) if kind == "safetensors" else torch_file(path, state)
    with pytest.raises(BadWeights, match=rf"dynamics_engine\.{kind}: .*{message}"):
        checkpoints.load(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.pt", "expected a file of weights, found nothing"),
        ("weights.onnx", r"expected a file of weights \(.json, .*found suffix '.onnx'"),
        ("weights.json", "expected the name of a model .* as the file's name, found 'weights.json'"),
        ("folder", "expected files of weights .* found none"),
    ],
)
def test_places_without_weights_are_told(tmp_path, name, message):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name != "absent.pt":
        path.write_text("{}")
    with pytest.raises(BadWeights, match=message):
        checkpoints.load(path)


def test_a_state_dict_holds_plain_dense_tensors_only(tmp_path):
    torch = pytest.importorskip("torch")
    for odd, message in (
        (3, "expected tensors by name, found '1.bias': int"),
        (torch.zeros(64).to_sparse(), "1.bias: expected a dense tensor"),
        (torch.zeros(1).expand(1 << 40), "1.bias: expected at most .* found shape"),
    ):
        path = torch_file(tmp_path / "dynamics_engine.pt", DYNAMICS | {"1.bias": odd})
        with pytest.raises(BadWeights, match=message):
            checkpoints.load(path)
    torch.save([1, 2], tmp_path / "dynamics_engine.pt")
    with pytest.raises(BadWeights, match="expected a state dict of plain tensors, found list"):
        checkpoints.load(tmp_path / "dynamics_engine.pt")


def test_half_precision_is_widened(tmp_path):
    half = {key: array.astype(np.float16) for key, array in DYNAMICS.items()}
    save_file(half, tmp_path / "dynamics_engine.safetensors")
    same(checkpoints.load(tmp_path / "dynamics_engine.safetensors")["dynamics_engine"], {k: v.astype(np.float32) for k, v in half.items()})


def test_the_golden_files_are_found_by_their_names():
    assert json.loads(gzip.decompress(golden_file("dynamics_engine").read_bytes()))["in_shape"] == [None, None, 32]
    assert set(checkpoints.load(golden_file("dynamics_engine"))) == {"dynamics_engine"}
