"""The models against upstream's own outputs, stage by stage: codebooks, velocity, latents at every Euler step, samples, a whole song."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from implementations.codec.configuration import FLAVOURS
from implementations.codec.decoder import fold, levels
from implementations.codec.flow import solve
from implementations.codec.model import from_files, on_meta
from implementations.codec.reference import kernels
from implementations.codec.song import cut, song

GOLDEN = Path(__file__).parent.parent / "golden"
LATENTS, WAVE = 1e-5, 3e-6
"""Largest differences: what upstream differs from itself in float64 is 9e-7 and 3e-7."""

FLOWS = ("flow/g1.25", "flow/g1.0", "flow/g1.25_context")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "heartcodec.npz", allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


@pytest.fixture(scope="module")
def cases():
    return {case["key"]: case for case in json.loads((GOLDEN / "heartcodec.json").read_text())["cases"]}


@pytest.fixture(scope="module")
def model():
    return from_files([GOLDEN / "heartcodec.safetensors"], FLAVOURS["tiny"])


def far(found, expected):
    found = np.asarray(found)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max())


def test_tiny_is_the_configuration_of_the_goldens():
    config = json.loads((GOLDEN / "heartcodec.json").read_text())["config"]
    for name, value in vars(FLAVOURS["tiny"]).items():
        assert config[name] == (list(value) if isinstance(value, tuple) else value)


def test_published_sizes_are_exact():
    parts = on_meta(FLAVOURS["published"])
    assert sum(tensor.numel() for tensor in parts.flow_matching.estimator.parameters()) == 1_486_920_192


def test_codes_are_summed_and_projected(golden, model):
    found = model.flow_matching.vq_embed(torch.tensor(golden["rvq/codes"])[None])[0]
    assert far(found, golden["rvq/quantized"]) < 1e-6


@pytest.mark.parametrize("key", FLOWS)
def test_flow_step_by_step(golden, cases, model, key):
    guidance, steps = cases[key]["guidance_scale"], cases[key]["num_steps"]
    codes, noise = torch.tensor(golden[f"{key}/codes"].T[None]), torch.tensor(golden[f"{key}/noise"])
    context = torch.tensor(golden.get(f"{key}/context", np.empty((1, 0, 256), np.float32)))
    condition = model.flow_matching.condition(codes)
    assert far(condition, golden[f"{key}/condition"]) < 1e-6
    velocity, trajectory = model.flow_matching.velocity(condition, context, steps, guidance), []
    latents = solve(velocity, noise, context, steps, trajectory)
    for step, expected in enumerate(golden[f"{key}/x_at_step"]):
        assert far(trajectory[step], expected) < LATENTS, step
    assert far(latents, golden[f"{key}/latents"]) < LATENTS


@pytest.mark.parametrize("key", FLOWS)
def test_velocity_of_both_rows(golden, cases, model, key):
    expected, x = golden[f"{key}/velocity_step0"], torch.tensor(golden[f"{key}/x_at_step"][0])
    condition = torch.tensor(golden[f"{key}/condition"])
    context = torch.zeros_like(x)
    if f"{key}/context" in golden:
        known = torch.tensor(golden[f"{key}/context"])
        context[:, : known.shape[1]] = known
    rows = [torch.zeros_like(condition), condition] if len(expected) == 2 else [condition]
    found = model.flow_matching.estimator(torch.cat([torch.cat([x, context, row], dim=2) for row in rows]), torch.tensor(0.0))
    assert far(found, expected) < LATENTS


@pytest.mark.parametrize("key", ["random", "on_grid", "one_frame"])
def test_decoder(golden, model, key):
    found = model.scalar_model(torch.tensor(golden[f"scalar/{key}/latents"]))
    assert far(found, golden[f"scalar/{key}/wave"]) < WAVE


def test_latents_half_way_between_levels_are_rounded_as_upstream_rounds(golden, model):
    latents = torch.tensor(golden["scalar/half_steps/latents"])
    assert np.array_equal((levels(latents) / 9).numpy(), golden["scalar/half_steps/rounded"])
    assert far(model.scalar_model(latents), golden["scalar/half_steps/wave"]) < WAVE


def test_decoder_with_the_published_strides(golden):
    sizes = replace(FLAVOURS["published"], latent_hidden_dim=32, out_channels=64, init_channel=1)
    scalar = on_meta(sizes).scalar_model
    from safetensors.torch import load_file

    scalar.load_state_dict(load_file(GOLDEN / "heartcodec_scalar48k.safetensors"), assign=True)
    assert far(scalar(torch.tensor(golden["scalar/stride1920/latents"])).detach(), golden["scalar/stride1920/wave"]) < WAVE


def test_folding_the_weight_norm_changes_no_bit(golden):
    plain, folded = (from_files([GOLDEN / "heartcodec.safetensors"], FLAVOURS["tiny"]).scalar_model for _ in range(2))
    fold(folded)
    assert not [name for name in folded.state_dict() if "original" in name]
    latents = torch.tensor(golden["scalar/random/latents"])
    assert torch.equal(plain(latents), folded(latents))


def test_a_song_of_two_segments(golden, model):
    key, ready = "detok/two_segments", kernels(model)
    codes, noise = golden[f"{key}/codes"].T, golden[f"{key}/noise"]
    assert cut(len(codes), 93).count == len(noise) == 2

    def flow(codes, noise, context):
        return ready.flow(codes, noise, context, 10, 1.25)

    parts = list(song([codes], noise.__getitem__, flow, ready.decode, FLAVOURS["tiny"], length=93))
    latents, wave = (np.concatenate(found) for found in zip(*parts, strict=True))
    assert far(latents, golden[f"{key}/latents"]) < LATENTS
    assert np.array_equal(np.rint(9 * latents), np.rint(9 * golden[f"{key}/latents"]))
    assert far(wave.T, golden[f"{key}/wave"]) < WAVE
