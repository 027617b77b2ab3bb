"""FastSpeech2 against every stored stage of upstream's, and what a batch, a control or no frame at all does."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from implementations.tts.acoustic.configurations import CONFIGURATIONS, SMALL, Configuration
from implementations.tts.acoustic.fastspeech2 import LONGEST_PHONEME, FastSpeech2, frames_of
from implementations.tts.acoustic.weights import load_model, seeded

GOLDEN = Path(__file__).parents[1] / "golden"
FACTS = json.loads((GOLDEN / "fastspeech2.json").read_text())
UPSTREAM = next(found for found in FACTS["cases"] if "weights" in found)
CASES = [found for found in FACTS["cases"] if "key" in found]
with np.load(GOLDEN / "fastspeech2.npz", allow_pickle=False) as found:
    ARRAYS = {name: torch.from_numpy(array) for name, array in found.items()}


def golden_configuration() -> Configuration:
    shape = UPSTREAM["model_config"]
    transformer, predictor = shape["transformer"], shape["variance_predictor"]
    return Configuration(
        "golden",
        encoder_layers=transformer["encoder_layer"],
        decoder_layers=transformer["decoder_layer"],
        heads=transformer["encoder_head"],
        width=transformer["encoder_hidden"],
        conv_width=transformer["conv_filter_size"],
        conv_kernels=tuple(transformer["conv_kernel_size"]),
        predictor_width=predictor["filter_size"],
        predictor_kernel=predictor["kernel_size"],
        bins=shape["variance_embedding"]["n_bins"],
        postnet_width=UPSTREAM["postnet_embedding_dim"],
        positions=shape["max_seq_len"],
    )


@pytest.fixture(scope="module")
def golden_model() -> FastSpeech2:
    return load_model(GOLDEN / UPSTREAM["weights"], golden_configuration())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["key"])
def test_every_stage_is_upstreams(golden_model, case):
    stored = {name.removeprefix(case["key"] + "/"): array for name, array in ARRAYS.items() if name.startswith(case["key"] + "/")}
    controls = case["controls"]
    spoken = golden_model(
        stored["phoneme_ids"],
        stored["src_lens"],
        durations=stored.get("d_targets"),
        pitch=stored.get("p_targets"),
        energy=stored.get("e_targets"),
        duration_control=controls.get("d_control", 1.0),
        pitch_control=controls.get("p_control", 1.0),
        energy_control=controls.get("p_control", 1.0),  # upstream's energy hears on the pitch's control
    )
    assert torch.equal(spoken.durations, stored["durations_used"].to(torch.int64))
    assert torch.equal(spoken.frames, stored["mel_lens"])
    assert spoken.frames.tolist() == case["mel_frames"]
    stages = {"encoder_out": spoken.encoded, "log_durations": spoken.log_durations, "pitch": spoken.pitch, "energy": spoken.energy}
    for name, value in {**stages, "mel": spoken.mel, "mel_postnet": spoken.mel_postnet}.items():
        torch.testing.assert_close(value, stored[name], atol=2e-5, rtol=0, msg=lambda text, name=name: f"{name}: {text}")


def test_float64_agrees_with_float32(golden_model):
    ids, lengths = ARRAYS["a/single/phoneme_ids"], ARRAYS["a/single/src_lens"]
    wide = load_model(GOLDEN / UPSTREAM["weights"], golden_configuration()).double()
    spoken = wide(ids, lengths)
    assert spoken.mel_postnet.dtype == torch.float64
    torch.testing.assert_close(golden_model(ids, lengths).mel_postnet.double(), spoken.mel_postnet, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "millions"), [("ljspeech", 34.65), ("paper", 28.87), ("source-48k", 29.06), ("small", 3.217)])
def test_parameter_counts(name, millions):
    with torch.device("meta"):
        model = FastSpeech2(dataclasses.replace(CONFIGURATIONS[name], positions=0))
    count = sum(value.numel() for value in model.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.003)


def test_attention_and_decoder_do_not_see_what_is_padded():
    model = seeded(SMALL)
    ids = torch.randint(1, 71, (3, 11), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([11, 1, 6])
    ids[1, 1:], ids[2, 6:] = 0, 0
    decisions = {"durations": ids % 7 + (ids > 0), "pitch": ids / 71.0, "energy": -ids / 71.0}
    together = model(ids, lengths, **decisions)
    assert torch.equal(together.frames, decisions["durations"].sum(1))
    for number, length in enumerate(lengths.tolist()):
        own = {name: values[number : number + 1, :length] for name, values in decisions.items()}
        alone = model(ids[number : number + 1, :length], lengths[number : number + 1], **own)
        torch.testing.assert_close(together.mel[number, : int(alone.frames)], alone.mel[0], atol=2e-5, rtol=0)
        assert not together.expanded[number, int(alone.frames) :].any()


def test_nothing_is_said_where_no_phoneme_lasts():
    model = seeded(SMALL)
    ids = torch.tensor([[3, 4, 5]])
    for level in ("phoneme", "frame"):
        silent = seeded(dataclasses.replace(SMALL, variance_level=level))(ids, torch.tensor([3]), durations=torch.zeros_like(ids))
        assert silent.mel_postnet.shape == (1, 0, 80)
    spoken = model(ids, torch.tensor([3]), duration_control=2.0)
    assert int(spoken.frames) > int(model(ids, torch.tensor([3])).frames)


@pytest.mark.parametrize("value", [np.log(LONGEST_PHONEME + 2), np.inf, np.nan])
def test_endless_phonemes_are_refused(value):
    with pytest.raises(ValueError, match=r"phoneme 1 of sentence 1: expected a duration of at most 1000 frames, predicted"):
        frames_of(torch.tensor([[0.0, 1.0], [2.0, value]]))


def test_seeded_weights_say_something():
    model = seeded(SMALL, seed=3)
    ids = torch.randint(1, 71, (1, 60), generator=torch.Generator().manual_seed(2))
    spoken = model(ids, torch.tensor([60]))
    assert 3 < float(spoken.durations.float().mean()) < 12
    assert abs(float(spoken.mel_postnet.mean())) < 0.5
    assert 0.5 < float(spoken.mel_postnet.std()) < 2
    for name, bins in (("pitch", model.variance_adaptor.pitch_bins), ("energy", model.variance_adaptor.energy_bins)):
        assert len(torch.unique(torch.bucketize(getattr(spoken, name), bins))) > 10
    assert not torch.equal(seeded(SMALL, seed=4).mel_linear.weight, model.mel_linear.weight)
    assert torch.equal(seeded(SMALL, seed=3).mel_linear.weight, model.mel_linear.weight)
