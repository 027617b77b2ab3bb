"""The tts_vocoder component: cases, units of work, work model, bad input, and every row against the reference."""

import numpy as np
import pytest

from harness.component import Approximate
from harness.parity import compare
from harness.registry import discover, unavailable
from harness.settings import Settings
from implementations.tts.vocoder.component import COMPONENT, check_inputs, produced, work
from implementations.tts.vocoder.hifigan import random_weights, weights_of
from implementations.tts.vocoder.shapes import SHAPES

ROWS = [
    (implementation, variant)
    for implementation in discover().implementations("tts_vocoder").values()
    for variant in ((None,) if implementation.plain else ()) + implementation.variants
]


def mel(name: str, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, SHAPES[name].mels)).astype(np.float32)


def run(implementation, inputs, **settings):
    """The outputs of one call; chunks joined."""
    with implementation.load(Settings(**settings)) as call:
        outputs = call(inputs)
        chunks = [outputs] if isinstance(outputs, dict) else list(outputs)
    return {"wave": np.concatenate([chunk["wave"] for chunk in chunks])}, len(chunks)


@pytest.mark.parametrize(("implementation", "variant"), ROWS, ids=lambda each: str(getattr(each, "name", getattr(each, "settings", ""))))
def test_every_row_is_as_near_to_the_reference_as_it_says(implementation, variant):
    if (reason := unavailable(implementation)) is not None:
        pytest.skip(reason)
    reference = discover().implementations("tts_vocoder")["reference"]
    for name, frames in (("v2", 40), ("v3", 1)):
        inputs = {"mel": mel(name, frames), "vocoder": name}
        expected, _ = run(reference, inputs)
        found, _ = run(implementation, inputs, threads=2, **(variant.settings if variant else {}))
        assert expected["wave"].shape == (frames * 256,)
        (result,) = compare(expected, found, COMPONENT.policy, replaced=variant.parity if variant else {})
        assert result.passed, (name, result.message)
        assert variant is None or isinstance(variant.parity["wave"], Approximate)


def test_cases_are_deterministic_families():
    for case in COMPONENT.cases:
        first, again, other = case.make(3), case.make(3), case.make(4)
        assert np.array_equal(first["mel"], again["mel"])
        assert not np.array_equal(first["mel"], other["mel"])
        assert "recording" in first or 0.9 < first["mel"].std() < 1.1
        check_inputs(first)
    sentence = COMPONENT.case("sentence-5s").make(0)
    assert produced(sentence, {"wave": np.zeros(431 * 256)}) == pytest.approx(5.0, abs=0.005)
    assert produced({"vocoder": "v1-48khz"}, {"wave": np.zeros(48000)}) == 1.0


def test_speech_is_a_recording_of_the_shipped_voice():
    inputs = COMPONENT.case("speech").make(0)
    assert inputs["vocoder"] == "shipped"
    assert inputs["recording"].shape == (256 * len(inputs["mel"]),)
    trained, random = weights_of("shipped"), random_weights(SHAPES["shipped"])
    assert trained.keys() == random.keys()
    assert all((trained[name] != random[name]).any() for name in trained)


def test_work_is_that_of_minimal_filtering():
    sentence = COMPONENT.case("sentence-5s").make(0)
    assert 2 * SHAPES["v1"].macs_per_frame * len(sentence["mel"]) == pytest.approx(264.7e9, rel=1e-3)
    # 6, 13 and 20 products for four outputs of 3, 7 and 11 taps
    assert work(sentence).operations == pytest.approx(264.7e9 * (6 + 13 + 20) / (4 * 21), rel=0.03)
    assert work(sentence).at("int16").bytes == pytest.approx(work(sentence).bytes - 2 * 13.926e6, rel=1e-3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mel": mel("v2", 3).astype(np.float64)}, TypeError, "expected a float32 array, found dtype float64"),
        ({"mel": [1.0]}, TypeError, "expected a float32 array, found list"),
        ({"mel": mel("v2", 3).T}, ValueError, r"expected shape \(frames, 80\), found \(80, 3\); frames come first"),
        ({"mel": mel("v2", 3) * np.float32(np.inf)}, ValueError, "expected finite values, found .*inf at frame 0, band 0"),
        ({"vocoder": "v4"}, ValueError, "expected v1, v2, v3, shipped, v1-48khz, found 'v4'"),
    ],
)
def test_bad_input_is_refused(change, error, message):
    reference = discover().implementations("tts_vocoder")["reference"]
    with pytest.raises(error, match=message):
        run(reference, {"mel": mel("v2", 3), "vocoder": "v2"} | change)


def test_unknown_precision_is_refused_and_no_frames_are_no_samples():
    reference = discover().implementations("tts_vocoder")["reference"]
    with pytest.raises(ValueError, match=r"tts_vocoder.reference: precision: expected float32, found 'int8'"):
        run(reference, {}, precision="int8")
    found, _ = run(reference, {"mel": mel("v2", 0), "vocoder": "v2"})
    assert found["wave"].shape == (0,)


def test_effects_name_settings_that_some_row_honours():
    for effect in COMPONENT.effects:
        COMPONENT.case(effect.case)
        assert any(effect.setting in implementation.settings for implementation, _ in ROWS)
