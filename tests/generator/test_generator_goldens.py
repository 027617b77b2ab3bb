"""Every stored output of the upstream generator: hidden states, logits, codes, samples."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from implementations.generator import sampling
from implementations.generator.checkpoints import model_of
from implementations.generator.engine import Engine, prepacked
from implementations.generator.flavours import CODEBOOKS, FLAVOURS
from implementations.generator.generation import Prompt, Request, check, generate

GOLDEN = Path(__file__).parents[1] / "golden"
FACTS = json.loads((GOLDEN / "heartmula.json").read_text())
with np.load(GOLDEN / "heartmula.npz", allow_pickle=False) as found:
    ARRAYS = dict(found)
TINY = FLAVOURS["tiny"]
RUNS = [run for run in FACTS["runs"] if "bf16" not in run["key"]]
MODELS = {
    "reference": lambda: model_of(TINY, load_file(GOLDEN / "heartmula_a.safetensors")),
    "engine": lambda: Engine(TINY, load_file(GOLDEN / "heartmula_a.safetensors"), prepacked),
}


class Listening:
    """A model of which every hidden state and every logit is kept."""

    def __init__(self, model):
        self.model, self.flavour = model, model.flavour
        self.hidden, self.first_logits = [], []

    def from_host(self, hidden):
        return self.model.from_host(hidden)

    def to_host(self, hidden):
        return self.model.to_host(hidden)

    def start(self, prompt, rows, frames):
        return self._keep(self.model.start(prompt, rows, frames))

    def advance(self, codes, start):
        return self._keep(self.model.advance(codes, start))

    def first(self, hidden):
        self.first_logits.append(self.model.first(hidden))
        return self.first_logits[-1]

    def depth(self, hidden, codes, start):
        return self.model.depth(hidden, codes, start)

    def _keep(self, hidden):
        self.hidden.append(self.model.to_host(hidden)[:, -1])
        return hidden


def request_of(run, **changes):
    key = run["prompt"]
    tokens, mask = ARRAYS[f"{key}/tokens"], ARRAYS[f"{key}/tokens_mask"]
    assert mask[:, -1].all()
    assert not mask[:, :-1].any()
    prompt = Prompt(tokens[:, -1], ARRAYS[f"{key}/muq_embed"], run["muq_index"])
    whole = {"frames": run["n_frames"], "guidance": run["cfg_scale"], "temperature": run["temperature"], "top_k": run["topk"], "seed": 0}
    return check(Request(prompt, **{**whole, "end": TINY.vocabulary, **changes}), TINY)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["key"])
def test_hidden_states_logits_and_codes(run, model, monkeypatch):
    if f"a/{run['key'][2:]}/exp_noise" in ARRAYS:
        noise = ARRAYS[f"{run['key']}/exp_noise"]
        monkeypatch.setattr(sampling, "exponential", lambda seed, frame, book, codes: noise[frame, book][codes].astype(float))
    listening = Listening(MODELS[model]())
    frames = list(generate(listening, request_of(run)))
    expected = {name: ARRAYS[f"{run['key']}/{name}"] for name in ("frames", "backbone_last_hidden", "c0_logits", "sampled_logits")}
    np.testing.assert_array_equal([frame.codes for frame in frames], expected["frames"])
    for number, hidden in enumerate(expected["backbone_last_hidden"]):
        rows = len(listening.hidden[number])  # guidance of 0.5 doubles upstream's rows, and guides nothing
        np.testing.assert_allclose(listening.hidden[number], hidden[:rows], atol=2e-5)
        np.testing.assert_allclose(listening.first_logits[number], expected["c0_logits"][number][:rows], atol=5e-5)
        np.testing.assert_allclose(frames[number].logits, expected["sampled_logits"][number], atol=1e-4)


@pytest.mark.parametrize("case", FACTS["sampler"], ids=lambda case: case["kind"])
def test_the_sampler(case):
    key = case["key"]
    for logits, noise, token in zip(ARRAYS[f"{key}/logits"], ARRAYS[f"{key}/exp_noise"], ARRAYS[f"{key}/token"], strict=True):
        codes = sampling.kept(logits, case["topk"])
        assert sampling.race(logits[codes], case["temperature"], noise[codes].astype(float), codes) == token.item()


def test_bfloat16_is_upstreams_autocast():
    """As far from float32 as upstream itself is, on the same forced frames."""
    (run,) = (run for run in FACTS["runs"] if "bf16" in run["key"])
    weights = {name: tensor.bfloat16() for name, tensor in load_file(GOLDEN / "heartmula_a.safetensors").items()}
    listening = Listening(model_of(TINY, weights))
    forced = ARRAYS[f"{run['key']}/forced_frames"].astype(np.int64)[:3]
    like = next(other for other in RUNS if other["key"] == "a/greedy_p0_cfg1.5")
    list(generate(listening, request_of(like, frames=3, forced=forced)))
    exact, rounded = (ARRAYS[f"a/{key}/c0_logits"] for key in ("greedy_p0_cfg1.5", run["key"][2:]))
    ours, upstreams = (np.sqrt(np.mean((logits - exact) ** 2)) for logits in (np.stack(listening.first_logits), rounded))
    assert 0.7 * upstreams < ours < 1.4 * upstreams


@pytest.mark.parametrize("change", ["rotary", "epsilon", "style"])
def test_a_wrong_constant_shows(change, monkeypatch):
    """What these goldens are for: each of these passes a look at the codes of a frame or two."""
    from implementations.generator import heartmula

    run = next(run for run in RUNS if run["key"] == "a/greedy_p2_cfg1.5")
    request = request_of(run, frames=1)
    if change == "rotary":
        monkeypatch.setattr(heartmula, "ROTARY_FACTOR", 1.0)
    elif change == "epsilon":
        monkeypatch.setattr(heartmula, "NORM_EPSILON", 1e-6)
    else:
        request = Request(Prompt(request.prompt.text, 0 * request.prompt.muq, request.prompt.muq_place), 1, 1.5, 1.0, 1, 0, 66)
    (frame,) = generate(MODELS["reference"](), request)
    assert np.abs(frame.logits[0] - ARRAYS[f"{run['key']}/sampled_logits"][0, 0]).max() > 1.5e-4


def test_the_reference_copies_no_weight_that_upstream_does_not():
    """Speed is compared with it. A product by a view of several rows copies its weight for each of them; the model has none."""

    def copied(call):
        """Values of the largest copy."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
            call()
        return max(math.prod(event.input_shapes[0]) for event in profile.events() if event.name == "aten::copy_" and event.input_shapes)

    model = model_of(TINY, {name: tensor.bfloat16() for name, tensor in load_file(GOLDEN / "heartmula_a.safetensors").items()})
    hidden, weight = model.start(Prompt(np.arange(4), np.zeros(TINY.muq, np.float32), 1), 2, 4), model.projection.weight
    assert copied(lambda: [model.depth(hidden, [1] * count, 0 if count == 1 else count) for count in range(1, CODEBOOKS)]) < weight.numel()
    with torch.inference_mode():
        view = torch.ones(2, 3, weight.shape[1], dtype=torch.bfloat16)[:, 2:]
        assert copied(lambda: torch.nn.functional.linear(view, weight)) == 2 * weight.numel()
