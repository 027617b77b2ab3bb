"""The bounds of approximate rows: what the row promises passes, plausible mistakes do not."""

import numpy as np
import pytest
import torch

from harness.parity import compare
from implementations.codec import variants as module
from implementations.codec.component import DECODER, FLOW, SONG, decoder_inputs, flow_inputs, song_inputs
from implementations.codec.configuration import FLAVOURS
from implementations.codec.model import seeded
from implementations.codec.reference import kernels
from implementations.codec.variants import variants

TINY = FLAVOURS["tiny"]
FLOWS = {repr(dict(variant.settings)): variant for variant in variants("codec_flow", ("bfloat16", "float16"), solver=True)}


@pytest.fixture(scope="module")
def good():
    return kernels(seeded(TINY))


def solver(variant, inputs):
    return variant.settings.get("steps", inputs["steps"]), 1.0 if "mode" in variant.settings else inputs["guidance"]


def flow_outputs(ready, inputs, steps, guidance, **changes):
    given = {**inputs, **changes}
    return with_levels(ready.flow(given["codes"], given["noise"], given["context"], steps, guidance))


def with_levels(latents):
    return {"latents": latents, "levels": np.rint(9 * latents).astype(np.int32)}


def failed(component, variant, inputs, candidate, reference):
    results = compare(reference, candidate, component.policy, replaced=variant.parity, inputs=inputs)
    assert all(result.kind == "approximate" for result in results)
    return {result.output for result in results if not result.passed}


def without_the_last_codebook(inputs):
    codes = inputs["codes"].copy()
    codes[..., -1] = 0
    return codes


BROKEN = {
    "a step too few": lambda ready, inputs, steps, guidance: flow_outputs(ready, inputs, steps - 1, guidance),
    "the noise itself": lambda ready, inputs, steps, guidance: with_levels(inputs["noise"]),
    "a codebook left out": lambda ready, inputs, steps, guidance: flow_outputs(
        ready, inputs, steps, guidance, codes=without_the_last_codebook(inputs)
    ),
    "no context": lambda ready, inputs, steps, guidance: flow_outputs(ready, inputs, steps, guidance, context=inputs["context"][:, :0]),
    "other guidance": lambda ready, inputs, steps, guidance: flow_outputs(ready, inputs, steps, 1.5),
    "a latent late": lambda ready, inputs, steps, guidance: with_levels(
        np.roll(flow_outputs(ready, inputs, steps, guidance)["latents"], 1, axis=1)
    ),
}


@pytest.mark.parametrize("variant", FLOWS.values(), ids=FLOWS)
def test_a_flow_that_keeps_its_promise_passes_and_broken_ones_fail(good, variant):
    inputs = flow_inputs(0, model="tiny", frames=24, context=6)
    reference = flow_outputs(good, inputs, inputs["steps"], inputs["guidance"])
    asked = solver(variant, inputs)
    assert not failed(FLOW, variant, inputs, flow_outputs(good, inputs, *asked), reference)
    for name, broken in BROKEN.items():
        assert failed(FLOW, variant, inputs, broken(good, inputs, *asked), reference) == {"latents", "levels"}, name


@pytest.mark.parametrize("variant", FLOWS.values(), ids=FLOWS)
def test_weights_of_four_bits_are_no_row_of_sixteen(good, variant):
    """Of both narrower precisions, and at other steps, where a row may be narrower as well."""
    model = seeded(TINY)
    for parameter in model.parameters():
        mantissa, exponent = torch.frexp(parameter.data)
        parameter.data = torch.ldexp((16 * mantissa).round() / 16, exponent)
    inputs = flow_inputs(0, model="tiny", frames=24, context=6)
    reference = flow_outputs(good, inputs, inputs["steps"], inputs["guidance"])
    assert "latents" in failed(FLOW, variant, inputs, flow_outputs(kernels(model), inputs, *solver(variant, inputs)), reference)


@pytest.mark.parametrize(
    "broken",
    [
        lambda wave, unrounded: 0 * wave,
        lambda wave, unrounded: wave[:, ::-1],
        lambda wave, unrounded: np.float32(1.05) * wave,
        lambda wave, unrounded: wave[:-1],
        lambda wave, unrounded: np.roll(wave, 1, axis=0),
        lambda wave, unrounded: unrounded,
    ],
    ids=["silence", "channels swapped", "0.4 dB louder", "a sample short", "a sample late", "latents not rounded"],
)
def test_a_broken_decoder_fails_the_bounds_of_narrow_ones(good, broken, monkeypatch):
    inputs = decoder_inputs(0, model="tiny", latents=40)
    wave = good.decode(inputs["latents"])
    monkeypatch.setattr("implementations.codec.decoder.levels", lambda latents: 9 * latents)
    wrong = broken(wave, good.decode(inputs["latents"]))
    for variant in variants("codec_decoder", ("bfloat16", "float16"), solver=False):
        assert not failed(DECODER, variant, inputs, {"wave": wave}, {"wave": wave})
        assert failed(DECODER, variant, inputs, {"wave": wrong}, {"wave": wave}) == {"wave"}


def test_a_song_is_compared_with_the_reference_at_its_own_steps():
    """Also the wave, of which a bound against ten steps could say nothing; the reference answers once for all three outputs."""
    from harness.settings import Settings
    from implementations.codec.reference import SONG as ROW

    (variant,) = (one for one in variants("codec", (), solver=True) if one.settings == {"steps": 5})
    inputs = song_inputs(0, model="tiny", frames=20, segment=15)

    def outputs(**settings):
        with ROW.load(Settings(**settings)) as run:
            chunks = list(run(inputs))
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}

    reference, five = outputs(), outputs(steps=5)
    module._answer.cache_clear()
    assert not failed(SONG, variant, inputs, five, reference)
    assert module._answer.cache_info().misses == 1
    assert failed(SONG, variant, inputs, reference, reference) == {"latents", "levels", "wave"}
    assert failed(SONG, variant, inputs, {**five, "wave": 0 * five["wave"]}, reference) == {"wave"}
