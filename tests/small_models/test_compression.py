"""Int8 as the engine rounds, half of each matrix zero, bytes that come back, students, and what the shipped checkpoints still know."""

import numpy as np
import pytest

from implementations.small_models import data, packing, pruning
from implementations.small_models.compression import SHIPPED, read, table
from implementations.small_models.models import MODELS, STUDENTS
from implementations.small_models.quantization import int8, rounded, rounded_rows
from implementations.small_models.weights import BadWeights, random_weights

torch = pytest.importorskip("torch")
from implementations.small_models import compression, training  # noqa: E402


@pytest.fixture(scope="module")
def trained():
    training.single_thread()
    return read(SHIPPED / "trained.safetensors")[0]


def test_weights_round_to_the_nearest_of_255_per_row():
    matrix = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    matrix[2] = 0
    elements, scales = rounded_rows(matrix)
    assert np.abs(elements[[0, 1, 3]].astype(int)).max(axis=1).tolist() == [127, 127, 127]
    assert np.abs(elements * scales[:, None] - matrix).max() <= 0.5001 * scales.max()
    np.testing.assert_allclose(int8("0.weight", torch.from_numpy(matrix)).numpy(), elements * scales[:, None], atol=1e-6)


def test_inputs_round_to_256_steps_of_each_frames_own_range():
    frames = torch.tensor([[0.0, 1.0, 255.0, 100.4], [-5.0, -5.0, -5.0, -5.0]])
    assert int8("1.input", frames).tolist() == [[0, 1, 255, 100], [-5, -5, -5, -5]]


def test_gradients_pass_through_rounding():
    value = torch.tensor([[0.3, -1.0]], requires_grad=True)
    int8("0.weight", value).sum().backward()
    assert value.grad.tolist() == [[1, 1]]


def test_rounding_twice_is_rounding_once():
    once = rounded({"m": random_weights(MODELS["groove_predictor"], 3)})["m"]
    for array in once.values():
        if array.ndim == 2:
            elements, scales = rounded_rows(array)
            np.testing.assert_allclose(elements * scales[:, None], array, rtol=3e-7)


@pytest.mark.parametrize("name", MODELS)
def test_the_least_half_of_each_matrix_is_zero(name):
    weights = random_weights(MODELS[name], 1)
    for key, array in pruning.pruned(weights).items():
        kept = array != 0
        if array.ndim == 1:
            np.testing.assert_array_equal(array, weights[key])
        else:
            assert kept.sum() == array.size - array.size // 2
            assert np.abs(weights[key][~kept]).max() <= np.abs(array[kept]).min()


def test_fine_tuning_leaves_zeros_zero(trained):
    model = MODELS["dynamics_engine"]
    examples = data.split("train", 256)
    emotion = np.ascontiguousarray(examples.labels["emotion_recognizer"][:, :32])
    keep, start = pruning.masks(trained[model.name]), pruning.pruned(trained[model.name])
    found = training.fit(model, start, emotion, examples.labels[model.name], seed=0, epochs=1, keep=keep)
    for key, mask in keep.items():
        assert (found[key][~mask] == 0).all()
        assert (found[key][mask] != start[key][mask]).any()


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("name", MODELS)
def test_sparse_bytes_come_back(name, share):
    weights = pruning.pruned(random_weights(MODELS[name], 2), share)
    found = packing.unpack_sparse(MODELS[name].shapes(), packing.pack_sparse(weights))
    for key, array in weights.items():
        np.testing.assert_array_equal(found[key], array)


def test_bytes_by_hand():
    weights = {"0.weight": np.array([[0, 2, 0, 4, 0], [0, 0, 0, 0, 5]], np.float32), "0.bias": np.ones(2, np.float32)}
    assert len(packing.pack_float32(weights)) == 48
    assert len(packing.pack_int8(weights)) == 2 * 4 + 10 + 2 * 4
    assert packing.pack_sparse(weights)[:2] == bytes([0b00001010, 0b10])
    assert len(packing.pack_sparse(weights)) == 2 + 3 * 4 + 2 * 4


@pytest.mark.parametrize(("change", "match"), [(lambda b: b[:-1], "2.bias needs 128 bytes .* found 127"), (lambda b: b + b"0", "expected")])
def test_bytes_too_few_or_too_many(change, match):
    model = MODELS["groove_predictor"]
    with pytest.raises(BadWeights, match=match):
        packing.unpack_sparse(model.shapes(), change(packing.pack_sparse(random_weights(model, 0))))


def test_live_weights_are_those_that_a_stateless_step_reads():
    sizes = [sum(a.size for a in packing.live(model, random_weights(model, 0)).values()) for model in MODELS.values()]
    assert sum(sizes) == 723_376


def test_students_are_a_ninth_and_fit_the_chain():
    assert sum(model.parameters() for model in STUDENTS.values()) == 131_888
    for name, model in STUDENTS.items():
        assert (model.name, model.inputs, model.outputs) == (name, MODELS[name].inputs, MODELS[name].outputs)


def test_distilling_teaches(trained):
    """A short lesson: more than a constant says, in every task."""
    students = compression.distill(trained, 0, epochs=12, count=4096)
    test, constant = data.split("test", 1000), compression.constant(0)
    for name, accuracy in training.accuracies(students, test, STUDENTS).items():
        assert accuracy > constant[name] + 0.05, name


@pytest.mark.parametrize(("name", "models", "how"), [("int8_aware", MODELS, int8), ("pruned", MODELS, None), ("student", STUDENTS, None)])
def test_shipped_checkpoints_know_their_tasks(name, models, how):
    networks, provenance = read(SHIPPED / f"{name}.safetensors", models)
    found = training.accuracies(networks, data.split("test"), models, how or training.plainly)
    for model, accuracy in found.items():
        assert abs(accuracy - provenance["test_accuracy"][model]) < 0.002
        assert accuracy > provenance["baseline_test_accuracy"][model] - 0.02


def test_shipped_checkpoints_are_what_they_are_called():
    pruned, _ = read(SHIPPED / "pruned.safetensors")
    aware, _ = read(SHIPPED / "int8_aware.safetensors")
    for weights in pruned.values():
        assert all(np.count_nonzero(array) <= array.size / 2 for array in weights.values() if array.ndim == 2)
    for model, weights in rounded(aware).items():
        for name, array in weights.items():
            np.testing.assert_allclose(array, aware[model][name], rtol=3e-7)


def test_the_table_has_every_variant():
    lines = table(compression.rows(SHIPPED, 0)).splitlines()
    assert len(lines) == 11
    assert len({line.count("|") for line in lines}) == 1
