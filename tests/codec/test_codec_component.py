"""The three components: cases, inputs, units of work, exact counts, targets."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from harness import targets
from harness.component import Approximate
from harness.registry import discover
from implementations.codec import component
from implementations.codec.component import DECODER, FLOW, SONG, flow_inputs, song_inputs
from implementations.codec.configuration import FLAVOURS
from implementations.codec.contract import check_decoder, check_flow, check_solver, check_song
from implementations.codec.work import activations, decoding, evaluation, parameters, rtf_floor, weight_bytes

PROFILES = ("any", "x86-64-avx2", "x86-64-avx512", "arm64-neon", "apple-silicon")
CHECKS = {"codec_flow": check_flow, "codec_decoder": check_decoder, "codec": check_song}
ALL = pytest.mark.parametrize("of", [FLOW, DECODER, SONG], ids=lambda of: of.name)


def arrays(inputs):
    return {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}


@ALL
def test_cases_are_deterministic_families(of):
    for case in of.cases:
        first, again, other = (arrays(case.make(seed)) for seed in (3, 3, 4))
        CHECKS[of.name](case.make(3))
        assert all(np.array_equal(first[name], again[name]) for name in first)
        assert not any(np.array_equal(first[name], other[name]) for name in first if first[name].size)


@ALL
def test_the_strategy_makes_valid_inputs(of):
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(of.strategy())
    def valid(inputs):
        CHECKS[of.name](inputs)

    valid()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "large"}, ValueError, "model: expected one of published, width, small, tiny, found 'large'"),
        ({"codes": np.zeros((1, 12, 8))}, TypeError, "codes: expected an array of whole numbers, found dtype float64"),
        ({"codes": np.zeros((12, 8), int)}, ValueError, r"expected shape \(songs, frames, 8\), found \(12, 8\)"),
        ({"codes": np.zeros((1, 0, 8), int)}, ValueError, r"expected 1 to 45000 frames \(3600 s\), found 0 \(0 s\)"),
        ({"codes": np.zeros((1, 45001, 8), np.int8)}, ValueError, r"expected 1 to 45000 frames \(3600 s\), found 45001"),
        ({"codes": np.full((1, 12, 8), 61)}, ValueError, "expected 0 to 60, found 61 at frame 0, codebook 0"),
        ({"noise": np.zeros((1, 24, 256))}, TypeError, "noise: expected a float32 array, found dtype float64"),
        ({"noise": np.zeros((1, 23, 256), np.float32)}, ValueError, r"noise: expected shape \(1, 24, 256\), found \(1, 23, 256\)"),
        ({"noise": np.full((1, 24, 256), np.inf, np.float32)}, ValueError, r"noise: expected finite values, found inf at \[0, 0, 0\]"),
        ({"context": np.zeros((1, 25, 256), np.float32)}, ValueError, r"context: expected shape \(1, 0, 256\), found \(1, 25, 256\)"),
        ({"steps": 0}, ValueError, "steps: expected 1 to 1000, found 0"),
        ({"steps": 10**9}, ValueError, "steps: expected 1 to 1000"),
        ({"guidance": float("nan")}, ValueError, "guidance: expected 0 to 100, found nan"),
    ],
)
def test_inputs_that_cannot_be_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        check_flow({**flow_inputs(0, model="tiny", frames=12), **changes})


@pytest.mark.parametrize("segment", [0, -3, 2.5, 5000])
def test_segments_that_cannot_be_are_refused(segment):
    with pytest.raises(ValueError, match="segment: expected 1 to 4096 frames"):
        check_song({**song_inputs(0, model="tiny", frames=12), "segment": segment})


def test_solvers_take_whole_and_real_guidance():
    assert check_solver(5, 1) == (5, 1.0)


def test_units_of_work_are_seconds_found_in_the_output():
    assert FLOW.produced({}, {"latents": np.zeros((4, 186, 256))}) == pytest.approx(4 * 7.44)
    assert SONG.produced({"model": "tiny"}, {"wave": np.zeros((2400, 2))}) == 1.0
    assert DECODER.produced({"model": "small"}, {"wave": np.zeros((24000, 2))}) == 0.5


def by_hand(name, latents):
    """Products of one evaluation, written down from the structure: per latent, and attention over all of them."""
    c = FLAVOURS[name]
    total = 0.0
    for width, blocks in ((c.width, c.num_layers), (2 * c.width, c.num_layers_2)):
        hidden = 256 * -(-int(8 * width / 3) // 256)
        total += blocks * (4 * width**2 + 3 * width * hidden + 2 * latents * width)
    total += c.width * (3 * c.in_channels + c.width) + 2 * c.width * (3 * (c.in_channels + c.width) + 2 * c.width)
    total += c.out_channels * (3 * 2 * c.width + c.out_channels)
    time = sum(512 * width + 7 * width**2 for width in (c.width, 2 * c.width))
    return 2.0 * latents * total, 2.0 * time


@pytest.mark.parametrize("name", ["tiny", "small", "published"])
def test_an_evaluation_is_counted_exactly(name):
    latents, per_call = by_hand(name, 186)
    for rows in (1, 2):
        assert evaluation(name, rows, 186).total == rows * latents + per_call


def test_published_figures():
    """2.97 GFLOP for a latent and evaluation; for a second of a song 1.73 TFLOP of the flow, with what segments share, and 0.115 of the
    decoder."""
    assert evaluation("published", 1, 744).total / 744 == pytest.approx(2.97e9, rel=0.02)
    assert evaluation("published", 2, 744).total * 10 / (320 / 12.5) == pytest.approx(1.73e12, rel=0.02)
    assert decoding("published", 25) == pytest.approx(0.115e12, rel=0.03)
    assert weight_bytes("published")[0] == 4 * 1_486_920_192


def test_parameters_are_those_of_the_parts_that_are_computed_with():
    """Both parts hold more than the estimator and the folded decoder: codebooks, the condition's layers, the weight norm's lengths."""
    estimator, decoder = (size / 4 for size in weight_bytes("published"))
    found = parameters("published")
    assert found["flow matching"] - estimator == 8 * 8192 * 32 + 33 * 512 + 513 * 512
    assert 0 < found["scalar model"] - decoder < 0.001 * decoder


def test_the_decoder_has_no_snake():
    """One PReLU behind each convolution of the residual units, and one of the post-processor."""
    assert activations("published") == {"PReLU": 5 * 5 * 2 + 1}


def test_floors_follow_from_bytes_or_operations():
    """A second of a song: 1.84 TFLOP, and 2.3 GB of weights in float32."""
    slow_memory = rtf_floor("published", gigabytes_per_second=1, teraflops=1e6)
    assert slow_memory == pytest.approx(2.35, rel=0.03)
    assert rtf_floor("published", gigabytes_per_second=1, teraflops=1e6, width=2) == pytest.approx(slow_memory / 2, rel=0.01)
    computing = rtf_floor("published", gigabytes_per_second=1e6, teraflops=1)
    assert computing == pytest.approx(1.84, rel=0.03)
    plain = rtf_floor("published", gigabytes_per_second=1e6, teraflops=1, guided=False)
    assert plain - 0.134 == pytest.approx((computing - 0.134) / 2, rel=0.02)  # the decoder is guided by nothing


def test_work_counts_each_step_and_row_but_not_twice_what_stays_the_same():
    one, ten = (FLOW.work(flow_inputs(0, model="small", frames=93, steps=steps)) for steps in (1, 10))
    counted = evaluation("small", 2, 186)
    assert one.operations == counted.total - counted.present
    assert ten.operations == pytest.approx(10 * one.operations - 9 * counted.fixed)
    assert 0 < counted.present < counted.fixed < 0.2 * counted.total
    plain = FLOW.work(flow_inputs(0, model="small", frames=93, guidance=1.0))
    assert plain.operations == pytest.approx(ten.operations / 2, rel=0.03)
    assert ten.at("bfloat16").weight_bytes == ten.weight_bytes / 2


def test_the_work_of_a_song_is_that_of_its_segments():
    inputs = song_inputs(0, model="tiny", frames=140, segment=93)
    flow = FLOW.work(flow_inputs(0, model="tiny", frames=93))
    assert SONG.work(inputs).operations == 2 * (flow.operations + decoding("tiny", 186))


@ALL
def test_approximations_are_labelled_and_bounded(of):
    for row in discover().implementations(of.name).values():
        for variant in row.variants:
            assert set(variant.parity) == set(of.policy)
            assert all(isinstance(parity, Approximate) for parity in variant.parity.values())


@ALL
def test_effects_name_cases_and_settings_that_rows_have(of):
    rows = discover().implementations(of.name).values()
    for effect in of.effects:
        of.case(effect.case)
        assert any(effect.setting in row.settings for row in rows)


@ALL
def test_targets_are_valid(of):
    path = Path(component.__file__).with_name("targets.toml")
    rows = discover().implementations(of.name).values()
    found = targets.load(path, of, rows, PROFILES, beside=CHECKS)
    assert found
    assert {target.component for target in found} == {of.name}
