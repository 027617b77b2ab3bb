"""Known-bad codecs: upstream's defects and plausible mistakes, each caught by the check meant for it."""

import math

import numpy as np
import pytest
import torch

from harness.parity import compare
from implementations.codec import component, decoder, estimator, flow
from implementations.codec.component import DECODER, FLOW, SONG, decoder_inputs, flow_inputs, song_inputs
from implementations.codec.configuration import FLAVOURS
from implementations.codec.contract import check_codes
from implementations.codec.model import seeded
from implementations.codec.reference import kernels
from implementations.codec.song import cut, song

TINY = FLAVOURS["tiny"]


@pytest.fixture(scope="module")
def good():
    return kernels(seeded(TINY))


def flow_outputs(ready, inputs):
    latents = ready.flow(inputs["codes"], inputs["noise"], inputs["context"], inputs["steps"], inputs["guidance"])
    return {"latents": latents, "levels": np.rint(9 * latents).astype(np.int32)}


def song_outputs(ready, inputs, *, codes=None, flow=None):
    def plain(codes, noise, context):
        return ready.flow(codes, noise, context, inputs["steps"], inputs["guidance"])

    noise = [*inputs["noise"], *inputs["noise"]].__getitem__
    codes = inputs["codes"] if codes is None else codes
    parts = list(song([codes], noise, flow or plain, ready.decode, TINY, length=inputs["segment"]))
    latents, wave = (np.concatenate(found) for found in zip(*parts, strict=True))
    return {"latents": latents, "levels": np.rint(9 * latents).astype(np.int32), "wave": wave}


def failed(component, reference, candidate):
    return {result.output for result in compare(reference, candidate, component.policy) if not result.passed}


def upstream_count(frames, length):
    """Segments as upstream counts them: it asks whether codes are left over with the overlap in latents, twice that in frames."""
    hop = length // 93 * 80
    overlap = length - hop
    frames = max(frames, length)
    if (frames - 2 * overlap) % hop > 0:
        frames = math.ceil((frames - overlap) / hop) * hop + overlap
    return len(range(0, frames - hop + 1, hop))


def test_upstream_loses_four_seconds_of_some_songs(good):
    """104 + 320 k frames, here in segments of 93: the wave is too short, and what was produced is counted in the output."""
    lost = [frames for frames in range(373, 3000) if upstream_count(frames, 372) < cut(frames).count]
    assert lost == [104 + 320 * k for k in range(1, 10) if 104 + 320 * k < 3000]
    inputs = song_inputs(0, model="tiny", frames=26 + 80, segment=93, steps=1)
    assert upstream_count(106, 93) == 1
    right, wrong = song_outputs(good, inputs), song_outputs(good, inputs, codes=inputs["codes"][:93])
    assert SONG.produced(inputs, right) == pytest.approx(106 / 12.5)
    assert SONG.produced(inputs, wrong) == pytest.approx(93 / 12.5)
    assert "wave" in failed(SONG, right, wrong)


@pytest.mark.parametrize("length", [1, 2, 13, 92])
def test_upstream_cannot_divide_short_segments(good, length):
    with pytest.raises(ZeroDivisionError):
        upstream_count(100, length)
    inputs = song_inputs(0, model="tiny", frames=3, segment=length, steps=1)
    assert SONG.produced(inputs, song_outputs(good, inputs)) == pytest.approx(3 / 12.5)


def test_code_8192_crashes_without_the_check_and_is_named_by_it(good):
    codes = np.zeros((1, 2, 8), np.int64)
    codes[0, 1, 3] = TINY.codebook_size
    noise, context = np.zeros((1, 4, 256), np.float32), np.zeros((1, 0, 256), np.float32)
    with pytest.raises(IndexError):
        good.flow(codes, noise, context, 1, 1.0)
    with pytest.raises(ValueError, match=r"expected 0 to 60, found 61 at frame 1, codebook 3: the generator's special tokens"):
        check_codes(codes, TINY, axes=3)


def test_minus_one_decodes_to_something_without_the_check_and_is_named_by_it(good):
    codes = np.full((1, 2, 8), -1)
    noise, context = np.zeros((1, 4, 256), np.float32), np.zeros((1, 0, 256), np.float32)
    assert np.isfinite(good.flow(codes, noise, context, 1, 1.0)).all()
    with pytest.raises(ValueError, match=r"found -1 at frame 0, codebook 0"):
        check_codes(codes, TINY, axes=3)


def test_segments_side_by_side_are_not_the_song(good):
    """The document's proposal: flow matching of all segments at once, without what the one before leaves."""
    inputs = song_inputs(0, model="tiny", frames=140, segment=93, steps=2)

    def alone(codes, noise, context):
        return good.flow(codes, noise, context[:, :0], inputs["steps"], inputs["guidance"])

    assert failed(SONG, song_outputs(good, inputs), song_outputs(good, inputs, flow=alone)) == {"latents", "levels", "wave"}


def last_quantizer_ignored(model):
    model.flow_matching.vq_embed.layers[-1]._codebook.embed.zero_()


def other_norm(model):
    for module in model.modules():
        if isinstance(module, torch.nn.RMSNorm):
            module.eps = 1e-5


@pytest.mark.parametrize(
    ("place", "name", "value"), [(estimator, "ROTARY_BASE", 500000), (estimator, "TIME_SCALE", 1), (flow, "SIGMA", 0.5)]
)
def test_a_wrong_constant_moves_the_latents(good, monkeypatch, place, name, value):
    inputs = flow_inputs(0, model="tiny", frames=12, context=6)
    right = flow_outputs(good, inputs)
    monkeypatch.setattr(place, name, value)
    assert failed(FLOW, right, flow_outputs(good, inputs)) == {"latents", "levels"}


@pytest.mark.parametrize("break_it", [last_quantizer_ignored, other_norm])
def test_a_wrong_layer_moves_the_latents(good, break_it):
    inputs, model = flow_inputs(0, model="tiny", frames=12), seeded(TINY)
    break_it(model)
    assert "latents" in failed(FLOW, flow_outputs(good, inputs), flow_outputs(kernels(model), inputs))


def test_guidance_on_the_wrong_row_is_seen(good, monkeypatch):
    inputs = flow_inputs(0, model="tiny", frames=12)
    right, plain = flow_outputs(good, inputs), flow.guide
    monkeypatch.setattr(flow, "guide", lambda found, guidance: plain(found.roll(len(found) // 2, dims=0), guidance))
    assert "latents" in failed(FLOW, right, flow_outputs(good, inputs))


def test_latents_that_are_not_rounded_are_heard(good, monkeypatch):
    inputs = decoder_inputs(0, model="tiny", latents=20)
    right = {"wave": good.decode(inputs["latents"])}
    monkeypatch.setattr(decoder, "levels", lambda latents: 9 * latents)
    assert failed(DECODER, right, {"wave": good.decode(inputs["latents"])}) == {"wave"}


def test_slopes_that_are_not_the_checkpoints_are_heard(good):
    model = seeded(TINY)
    for module in model.modules():
        if isinstance(module, torch.nn.PReLU):
            module.weight.fill_(0.25)
    inputs = decoder_inputs(0, model="tiny", latents=20)
    right, wrong = ({"wave": ready.decode(inputs["latents"])} for ready in (good, kernels(model)))
    assert failed(DECODER, right, wrong) == {"wave"}


def test_a_few_flipped_levels_are_counted_and_many_are_refused():
    levels = np.zeros((1, 186, 256), np.int32)
    other = levels.copy()
    other[0, 0, :40] = 1
    assert component.flipped_levels(levels, other) == 40
    policy = {"levels": FLOW.policy["levels"]}
    assert all(
        result.passed and result.measured["flipped_levels"] == 40 for result in compare({"levels": levels}, {"levels": other}, policy)
    )
    other[0, 0, 40] = 1
    assert not any(result.passed for result in compare({"levels": levels}, {"levels": other}, policy))
