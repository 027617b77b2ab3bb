"""Checkpoints and seeded weights: what is loaded, and how files that are wrong are refused."""

import json
import shutil
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from implementations.codec import model
from implementations.codec.configuration import FLAVOURS, BadCheckpoint, Configuration, read
from implementations.codec.model import files_of, load, on_meta, seeded

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def weights():
    return load_file(GOLDEN / "heartcodec.safetensors")


@pytest.fixture
def folder(tmp_path):
    """A whole checkpoint of the tiny codec, as upstream saves one."""
    config = json.loads((GOLDEN / "heartcodec.json").read_text())["config"]
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["HeartCodec"], "model_type": "heartcodec", **config}))
    shutil.copy(GOLDEN / "heartcodec.safetensors", tmp_path / "model.safetensors")
    return tmp_path


def change(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_folder_is_loaded_with_every_tensor(folder, weights):
    found = load(folder)
    assert found.configuration == FLAVOURS["tiny"]
    for name, tensor in found.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
        assert tensor.dtype == torch.float32
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_a_file_is_a_checkpoint_too(folder):
    assert load(folder / "model.safetensors").configuration == FLAVOURS["tiny"]


def test_shards_are_joined_by_their_index(folder, weights):
    names = sorted(weights)
    shards = {"model-1-of-2.safetensors": names[::2], "model-2-of-2.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({name: weights[name] for name in part}, folder / file)
    index = {name: file for file, part in shards.items() for name in part}
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / model.INDEX).write_text(json.dumps({"weight_map": index}))
    assert len(files_of(folder)) == 2
    assert set(load(folder).state_dict()) <= set(weights)
    (folder / "model-1-of-2.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match=r"expected model-1-of-2.safetensors beside it"):
        load(folder)
    (folder / model.INDEX).write_text("[]")
    with pytest.raises(BadCheckpoint, match="expected a weight_map"):
        load(folder)


@pytest.mark.parametrize("shape", [(), (1,)])
def test_initted_may_have_either_shape(folder, weights, shape):
    """A published checkpoint has [1] where newer loaders expect a scalar: decoding needs neither."""
    name = "flow_matching.vq_embed.layers.0._codebook.initted"
    save_file({**weights, name: torch.ones(shape)}, folder / "model.safetensors")
    load(folder)


def test_half_precision_is_widened(folder, weights):
    save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, folder / "model.safetensors")
    assert {tensor.dtype for tensor in load(folder).state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("keep", [0, 7, 1000, 200_000])
def test_truncated_files_are_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadCheckpoint, match=r"model.safetensors: expected a whole safetensors file"):
        load(folder)


def test_missing_extra_and_doubled_tensors_are_named(folder, weights):
    name = "scalar_model.decoder.1.up_conv.layer.bias"
    path = folder / "model.safetensors"
    save_file({key: tensor for key, tensor in weights.items() if key != name}, path)
    with pytest.raises(BadCheckpoint, match=f"{name} is missing"):
        load(folder)
    save_file({**weights, "backbone.norm.scale": torch.ones(3)}, path)
    with pytest.raises(BadCheckpoint, match=r"backbone.norm.scale: expected only tensors of a HeartCodec"):
        load(folder)
    save_file(weights, path)
    save_file({name: weights[name]}, folder / "more.safetensors")
    with pytest.raises(BadCheckpoint, match=f"more.safetensors: {name}: expected once"):
        load(folder)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_found(folder, weights, bad):
    name = "flow_matching.estimator.proj_in.ffn_2.weight"
    broken = weights[name].clone()
    broken[3, 5] = bad
    save_file({**weights, name: broken}, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=rf"ffn_2.weight: expected finite numbers, found {bad} at \[3, 5\]"):
        load(folder)


def test_whole_numbers_are_no_weights(folder, weights):
    name = "flow_matching.cond_feature_emb.bias"
    save_file({**weights, name: weights[name].to(torch.int32)}, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=r"expected floating point numbers, found torch.int32"):
        load(folder)


def test_another_flavour_is_refused(folder):
    change(folder, num_layers=3)
    with pytest.raises(BadCheckpoint, match="is missing"):
        load(folder)
    change(folder, num_layers=2, dim=32, in_channels=544)
    with pytest.raises(BadCheckpoint, match=r"expected shape .* found .* another flavour"):
        load(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "heartmula"}, "expected model_type heartcodec, found 'heartmula'"),
        ({"num_layers": 0}, r"whole numbers >= 1, found num_layers=0"),
        ({"num_layers": "two"}, r"whole numbers >= 1"),
        ({"upsample_factors": []}, r"whole numbers >= 1"),
        ({"sample_rate": 44100}, r"expected 25 latents a second, found 44100 Hz with 96 samples"),
        ({"out_channels": 128}, r"expected out_channels of 2 x latent_hidden_dim"),
        ({"causal": False}, "causal: expected True, found False"),
        ({"in_channels": 1000}, "in_channels: expected 528, found 1000"),
        ({"upsample_kernel_sizes": [1]}, "upsample_kernel_sizes: expected"),
    ],
)
def test_configurations_that_cannot_be_are_refused(folder, fields, message):
    change(folder, **fields)
    with pytest.raises(BadCheckpoint, match=message):
        load(folder)


def test_nothing_and_no_json_are_refused(tmp_path):
    with pytest.raises(BadCheckpoint, match="found nothing"):
        load(tmp_path / "HeartCodec")
    with pytest.raises(BadCheckpoint, match="expected the configuration of a HeartCodec"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadCheckpoint, match="expected the configuration of a HeartCodec"):
        read(tmp_path / "config.json")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadCheckpoint, match=r"expected \*.safetensors, found none"):
        load(tmp_path)


def test_weights_that_do_not_fit_are_refused_before_they_are_made(monkeypatch):
    memory = psutil.virtual_memory()._replace(available=1 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(MemoryError, match=r"expected 6\.\d GB of free memory for the weights, found 1.1 GB"):
        load("published")


def test_published_configuration_is_upstreams():
    published = Configuration()
    assert (published.width, published.in_channels, published.samples_per_latent) == (1536, 1024, 1920)
    assert FLAVOURS["width"].width == 1536


def test_weights_depend_on_seed_and_name_alone():
    one, again, other = (seeded(FLAVOURS["tiny"], seed).state_dict() for seed in (1, 1, 2))
    names = [name for name, tensor in one.items() if tensor.numel() > 1]
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in names)
    assert set(one) == set(on_meta(FLAVOURS["tiny"]).state_dict())
