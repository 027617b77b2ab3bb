"""Folders of weights: what upstream writes is read; what cannot be the model is refused with the place."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from implementations.generator.checkpoints import CheckpointError, load, model_of, random, save, shapes
from implementations.generator.component import GENERATOR, request_of
from implementations.generator.flavours import FLAVOURS
from implementations.generator.generation import generate

TINY = FLAVOURS["tiny"]


@pytest.fixture
def folder(tmp_path):
    save(tmp_path, TINY, random(TINY))
    return tmp_path


def rewrite(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_what_is_written_is_read(folder):
    flavour, weights = load(folder)
    assert flavour == TINY
    assert all(tensor.dtype == torch.bfloat16 for tensor in weights.values())
    exact = random(TINY)
    assert all(torch.equal(weights[name].float(), exact[name]) for name in exact)
    assert len(list(generate(model_of(flavour, load(folder, torch.float32)[1]), request_of(GENERATOR.case("tiny").make(0))[1]))) == 12


def test_shards_and_upstreams_names(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for number, part in enumerate([list(tensors)[:20], list(tensors)[20:]], 1):
        save_file({name: tensors[name] for name in part}, folder / f"model-0000{number}-of-00002.safetensors")
    flavour, weights = load(folder)
    assert list(weights) == list(shapes(flavour))
    assert {"backbone.layers.0.attn.q_proj.weight", "decoder.norm.scale", "audio_head", "muq_linear.bias"} <= set(weights)
    save_file({"audio_head": tensors["audio_head"]}, folder / "model-00003-of-00003.safetensors")
    with pytest.raises(CheckpointError, match=r"model-00003.*audio_head is in model-0000\d-of-00002.safetensors already"):
        load(folder)


def test_published_configurations_are_known(tmp_path):
    config = {"backbone_flavor": "llama-3B", "decoder_flavor": "llama-300M", "text_vocab_size": 128256, "audio_vocab_size": 8197}
    (tmp_path / "config.json").write_text(json.dumps({**config, "audio_num_codebooks": 8, "muq_dim": 512, "model_type": "heartmula"}))
    with pytest.raises(CheckpointError, match=r"expected \*.safetensors, found none"):
        load(tmp_path)
    save_file({"audio_head": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"expected the \d+ tensors of .*, found 1; \d+ missing: backbone.layers.0"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("decoder.norm.scale"), "1 missing: decoder.norm.scale"),
        (lambda t: t.update(lora=torch.zeros(2)), "1 unexpected: lora"),
        (lambda t: t.update({"projection.weight": torch.zeros(48, 65)}), r"projection.weight: expected shape \(48, 64\).*found \(48, 65\)"),
        (lambda t: t["audio_head"][3, 2].fill_(float("nan")), "audio_head: expected finite values, found NaN"),
        (lambda t: t["muq_linear.bias"][0].fill_(float("inf")), "muq_linear.bias: expected finite values"),
    ],
    ids=["missing", "extra", "another flavour", "NaN", "infinity"],
)
def test_other_weights_are_refused(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize("size", [0, 4, 100, -1000])
def test_a_truncated_file_is_refused(folder, size):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    with pytest.raises(CheckpointError, match=r"model.safetensors: expected a whole safetensors file"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.json: expected a readable JSON file"),
        ("[]", "config.json: expected an object, found list"),
        ("{}", "found no backbone_flavor, decoder_flavor"),
    ],
)
def test_a_config_that_says_nothing_is_refused(folder, text, message):
    (folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_an_unknown_flavour_in_the_config(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "backbone_flavor": "llama-1B"}))
    with pytest.raises(CheckpointError, match=r"backbone_flavor: expected one of llama-3B.*found 'llama-1B'"):
        load(folder)
    (folder / "config.json").write_text(json.dumps({**config, "audio_num_codebooks": 4}))
    with pytest.raises(CheckpointError, match="audio_num_codebooks: expected 8, found 4"):
        load(folder)


def test_random_weights_are_a_function_of_the_seed():
    first, again, other = random(TINY), random(TINY), random(TINY, seed=1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert all(torch.equal(tensor, tensor.bfloat16().float()) for tensor in first.values())
    head = first["codebook0_head.weight"]
    assert len(torch.unique(head, dim=0)) == len(head)
