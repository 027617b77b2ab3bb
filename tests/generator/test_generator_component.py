"""The components: cases, work, bounds; what is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from harness import targets
from implementations.generator import component
from implementations.generator.component import COMPONENTS, GENERATOR, depth_request_of, request_of
from implementations.generator.flavours import CODEBOOKS, FLAVOURS, flavour_of
from implementations.generator.generation import frames_of
from implementations.generator.narrow import nats, nats_lost, precision_variant, until_parted
from implementations.generator.text import prompt_of

GOLDEN = Path(__file__).parents[1] / "golden"
PUBLISHED = FLAVOURS["3B+300M"]


@pytest.mark.parametrize("name", COMPONENTS)
def test_cases_are_deterministic_families(name):
    read = depth_request_of if name == "generator_depth" else request_of
    for case in COMPONENTS[name].cases:
        first, again, other = case.make(3), case.make(3), case.make(4)
        read(first)
        assert first.keys() == again.keys()
        assert all(np.array_equal(first[key], again[key]) for key in first)
        assert any(not np.array_equal(first[key], other[key]) for key in ("text", "hidden") if key in first)


def test_a_case_is_the_same_on_every_machine():
    assert GENERATOR.case("tiny").make(0)["text"].tolist() == component.numbers(0, 0, 12, 97).tolist()
    assert component.numbers(0, 0, 3, 1000).tolist() == [399, 972, 19]


def test_the_least_work_of_a_frame():
    """3B + 300M in bfloat16: 5.7 GB of the backbone, seven times 0.6 GB of the depth decoder, 0.4 GB of logits."""
    two = {"guidance": 1.5, "text": np.zeros(1, np.int64), "frames": 1, "flavour": "3B+300M"}
    work = component.work(two)
    backbone, depth = 2 * PUBLISHED.backbone.parameters, 2 * (PUBLISHED.decoder.parameters + 3072 * 3072)
    assert work.weight_bytes == backbone + 7 * depth + 2 * PUBLISHED.head_parameters
    assert work.weight_bytes == pytest.approx(10.53e9, rel=0.005)
    one = component.work({**two, "guidance": 1.0})
    assert (one.weight_bytes, 2 * one.operations) == (work.weight_bytes, work.operations)
    ten = component.work({**two, "frames": 10})
    assert ten.bytes - ten.weight_bytes == 4 * 2 * PUBLISHED.backbone.position_values * sum(range(1, 11))
    assert work.at("int8").weight_bytes == work.weight_bytes / 2


def test_stages_add_up_to_the_whole():
    whole = component.work(GENERATOR.case("tiny").make(0))
    backbone = component._backbone_work(COMPONENTS["generator_backbone"].case("tiny").make(0))
    depth = component._depth_work(COMPONENTS["generator_depth"].case("tiny").make(0))
    assert whole.weight_bytes == backbone.weight_bytes + depth.weight_bytes
    assert whole.operations == pytest.approx(backbone.operations + depth.operations)


def asked(**changes):
    return {**GENERATOR.case("tiny").make(0), **changes}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"text": np.array([1, 100])}, ValueError, r"text: expected ids from 0 to 99, found 100 at \(1,\)"),
        ({"text": np.array([-1])}, ValueError, r"found -1 at \(0,\)"),
        ({"text": np.array([], np.int64)}, ValueError, "at least one token"),
        ({"text": np.zeros(3)}, TypeError, "text: expected int64 with 1 dimensions, found float64"),
        ({"frames": 0}, ValueError, "frames: expected 1 to 116 after a text of 12 tokens, found 0"),
        ({"frames": 10**9}, ValueError, "frames: expected 1 to 116 after a text of 12 tokens, found 1000000000"),
        ({"forced": np.full((12, 8), 66)}, ValueError, r"forced: expected ids from 0 to 65, found 66 at \(0, 0\)"),
        ({"forced": np.zeros((3, 8), np.int64)}, ValueError, r"forced: expected shape \(12, 8\), found \(3, 8\)"),
        ({"muq": np.zeros(3, np.float32)}, ValueError, r"muq: expected shape \(24,\)"),
        ({"muq": np.full(24, np.nan, np.float32)}, ValueError, "muq: expected finite values, found nan"),
        ({"muq_place": 12}, ValueError, "muq_place: expected a position of the text, 0 to 11, found 12"),
        ({"guidance": float("nan")}, ValueError, "guidance: expected 0 to 1e6, found nan"),
        ({"temperature": 0.0}, ValueError, "temperature: expected 1e-06 to 1e6, found 0.0"),
        ({"top_k": 0}, ValueError, "top_k: expected 1 to 66, found 0"),
        ({"seed": -1}, ValueError, "seed: expected 0 to"),
        ({"flavour": "huge"}, ValueError, "flavour: expected one of"),
    ],
)
def test_what_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        request_of(asked(**changes))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e9, float("inf")])
def test_durations_that_cannot_be(seconds):
    with pytest.raises(ValueError, match="seconds: expected"):
        frames_of(seconds, 100, flavour_of("small"))


def test_durations():
    assert frames_of(10, 100, flavour_of("small")) == 125
    assert frames_of(0.001, 100, flavour_of("small")) == 1
    assert frames_of(180, 100, PUBLISHED) == 2250


def test_logits_are_compared_up_to_where_codes_part():
    inputs = asked()
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(12, CODEBOOKS, 66)).astype(np.float32)
    near = reference + np.float32(1e-3) * rng.normal(size=reference.shape).astype(np.float32)
    assert until_parted(reference, near, inputs) > 50
    near[3, 2] = -near[3, 2]
    behind = near.copy()
    behind[4:] = 7
    assert until_parted(reference, behind, inputs) == until_parted(reference, near, inputs)
    assert until_parted(reference, behind, {**inputs, "forced": np.zeros((12, 8), np.int64)}) < 5
    assert until_parted(reference, near[:0], inputs) == -np.inf


def test_codes_that_are_codes_in_as_many_frames_unless_one_may_end_the_song():
    codes = precision_variant("generator", "int8").parity["codes"].metric
    reference = np.zeros((12, CODEBOOKS), np.int32)
    assert codes.function(reference, reference, asked()) == 1
    assert codes.function(reference, reference[:5], asked()) == 0
    assert codes.function(reference, reference[:5], asked(end=62)) == 1
    assert codes.function(reference, reference[:5].astype(np.int64), asked(end=62)) == 0
    assert codes.function(reference, reference + np.int32(66), asked()) == 0


def test_what_a_song_surprises():
    inputs = GENERATOR.case("held-out-3s").make(0)
    labels = inputs["labels"]
    even = np.zeros((*labels.shape, 69), np.float32)
    assert nats(even, labels) == pytest.approx(math.log(69))
    sure = even.copy()
    np.put_along_axis(sure, labels[..., None], 1000, axis=-1)
    assert nats(sure, labels) == 0
    assert nats_lost(even, sure, inputs) == pytest.approx(-math.log(69))
    assert nats_lost(even, sure, asked()) is None


@pytest.mark.parametrize("name", COMPONENTS)
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "int8"])
def test_a_narrow_precision_replaces_every_output(name, precision):
    assert set(precision_variant(name, precision).parity) == set(COMPONENTS[name].policy)


def test_the_targets_can_be_read():
    from harness.registry import discover

    registry = discover()
    path = Path(component.__file__).with_name("targets.toml")
    for name, own in COMPONENTS.items():
        items = registry.implementations(name).values()
        targets.load(path, own, items, ("any", "x86-64-avx512", "gb10", "nvidia-gpu"), beside=COMPONENTS)


@pytest.mark.parametrize("case", json.loads((GOLDEN / "heartmula.json").read_text())["pipeline"], ids=lambda case: case["key"])
def test_a_prompt_is_laid_out_as_upstream_does(case):
    with np.load(GOLDEN / "heartmula.npz", allow_pickle=False) as arrays:
        tokens = arrays[f"{case['key']}/tokens"]
    prompt = prompt_of(case["tags"], case["lyrics"], flavour_of("tiny"), lambda text: [ord(letter) % 95 + 1 for letter in text])
    np.testing.assert_array_equal(prompt.text, tokens[:, -1])
    assert prompt.muq_place == case["muq_index"]
    assert not tokens[:, :-1].any()


@pytest.mark.parametrize("case", json.loads((GOLDEN / "heartmula.json").read_text())["pipeline"], ids=lambda case: case["key"])
def test_a_song_ends_where_upstreams_does(case):
    from safetensors.torch import load_file

    from implementations.generator.checkpoints import model_of
    from implementations.generator.generation import Request, generate

    with np.load(GOLDEN / "heartmula.npz", allow_pickle=False) as arrays:
        expected = arrays[f"{case['key']}/frames"]
    prompt = prompt_of(case["tags"], case["lyrics"], flavour_of("tiny"), lambda text: [ord(letter) % 95 + 1 for letter in text])
    frames = case["max_audio_length_ms"] // 80 + 1
    model = model_of(FLAVOURS["tiny"], load_file(GOLDEN / "heartmula_a.safetensors"))
    request = Request(prompt, frames, case["cfg_scale"], 1.0, case["topk"], 0, case["audio_eos_id"])
    np.testing.assert_array_equal(np.stack([frame.codes for frame in generate(model, request)], axis=1), expected)
