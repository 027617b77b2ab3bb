"""Checkpoints of FastSpeech2: upstream's layout and safetensors load; anything else is refused with what was expected and found."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from implementations.tts.acoustic.configurations import LJSPEECH, SMALL
from implementations.tts.acoustic.fastspeech2 import sinusoids
from implementations.tts.acoustic.weights import BadCheckpoint, load_model, save_model, seeded, with_weights


@pytest.fixture(scope="module")
def model():
    return seeded(SMALL)


@pytest.fixture
def state(model):
    return dict(model.state_dict())


def mel_of(model):
    return model(torch.tensor([[5, 9, 2]]), torch.tensor([3])).mel_postnet


def test_upstreams_layout(model, state, tmp_path):
    path = tmp_path / "900000.pth.tar"
    positions = sinusoids(1001, SMALL.width)[None]
    upstream = {**state, "encoder.position_enc": positions, "decoder.position_enc": positions}
    torch.save({"model": upstream, "optimizer": {"state": {}}}, path)
    assert torch.equal(mel_of(load_model(path, SMALL)), mel_of(model))
    with pytest.raises(BadCheckpoint, match=r"900000.pth.tar: FastSpeech2 ljspeech: expected \d+ parameters, \d+ not found: "):
        load_model(path)


def test_other_positions_are_not_ours(state):
    state["encoder.position_enc"] = sinusoids(1001, SMALL.width)[None].roll(1, 1)
    with pytest.raises(BadCheckpoint, match=r"here: encoder.position_enc: expected sinusoids"):
        with_weights(SMALL, state, "here")


def test_safetensors_say_their_configuration(model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_model(model, path)
    loaded = load_model(path)
    assert loaded.configuration == SMALL
    assert torch.equal(loaded.variance_adaptor.pitch_bins, model.variance_adaptor.pitch_bins)
    torch.testing.assert_close(mel_of(loaded), mel_of(model), atol=0.05, rtol=0)
    save_model(model, path, torch.float32)
    assert torch.equal(mel_of(load_model(path)), mel_of(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("mel_linear.bias"), "expected 179 parameters, 1 not found: mel_linear.bias"),
        (lambda state: state.update(speaker_emb=torch.zeros(2)), "found 1 parameters it has no place for: speaker_emb"),
        (lambda state: state.update({"mel_linear.bias": torch.zeros(81)}), r"mel_linear.bias: expected shape \(80,\), found \(81,\)"),
        (lambda state: state.update({"mel_linear.bias": torch.full((80,), torch.nan)}), "mel_linear.bias: expected finite"),
        (lambda state: state.update({"mel_linear.bias": torch.zeros(80, dtype=torch.int8)}), "expected finite floating-point.*int8"),
    ],
)
def test_what_does_not_fit(state, change, message):
    change(state)
    with pytest.raises(BadCheckpoint, match=message):
        with_weights(SMALL, state, "here")


def test_files_that_are_no_checkpoints(tmp_path):
    with pytest.raises(BadCheckpoint, match=r"nowhere.pt: expected a checkpoint .* found no file"):
        load_model(tmp_path / "nowhere.pt")
    for name, content in {
        "noise.pth.tar": b"noise",
        "noise.safetensors": b"\x08\x00\x00\x00\x00\x00\x00\x00noise",
        "code.pth.tar": pickle.dumps(print),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BadCheckpoint, match=f"{name}: expected"):
            load_model(path, LJSPEECH)
    path = tmp_path / "list.pt"
    torch.save([1, 2], path)
    with pytest.raises(BadCheckpoint, match=r"list.pt: expected tensors by name"):
        load_model(path)
    with pytest.raises(BadCheckpoint, match=r"configuration: expected one of ljspeech, .* found 'none'"):
        load_model(path, "none")
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", {"configuration": json.dumps({"colour": 3})})
    with pytest.raises(BadCheckpoint, match=r"metadata 'configuration': expected the fields"):
        load_model(tmp_path / "a.safetensors")
