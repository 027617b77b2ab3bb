"""The chain: rows agree, streams and batches say what the whole says, frames are given exactly, anything that can be typed is spoken."""

import dataclasses
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

from harness import targets
from harness.parity import compare, snr_db
from harness.registry import discover, unavailable
from harness.settings import Settings
from implementations.tts import chain, native, reference, torch_planar
from implementations.tts.acoustic.configurations import SMALL
from implementations.tts.acoustic.weights import seeded
from implementations.tts.chain import in_parallel, rounded, spectrograms, stream, waves
from implementations.tts.component import BFLOAT16, COMPONENT, FLOAT16, check_inputs, text_of
from implementations.tts.serving import at_rate
from implementations.tts.text.lexicon import BUILT_IN, read
from implementations.tts.vocoder.hifigan import generator, random_weights
from implementations.tts.vocoder.shapes import V1, V3
from implementations.tts.voices import AT_48KHZ, SIZES, VOICES, Voice

TEXT = "Hello, Dr. Miller. It is 10:30."


@pytest.fixture(scope="module")
def vocoder():
    # Smaller than any published one: what is tested here is the chain.
    shape = dataclasses.replace(V3, channels=32)
    return generator(shape, random_weights(shape))


@pytest.fixture(scope="module")
def engine(vocoder):
    return torch_planar.engine(seeded(SMALL), vocoder, read(BUILT_IN))


def test_the_chain_is_its_stages(engine):
    mels = list(spectrograms(engine, TEXT))
    assert len(mels) == 2  # "Dr." ends no sentence
    expected = np.concatenate([engine.vocode(mel[None])[0] for mel in mels])
    np.testing.assert_array_equal(waves(engine, [TEXT])[0], expected)
    assert len(expected) == 256 * sum(map(len, mels))


@pytest.mark.parametrize("frames", [1, 7, 150])
def test_frames_are_given_exactly(engine, frames):
    assert sum(len(mel) for mel in spectrograms(engine, TEXT, frames)) == frames
    assert sum(map(len, stream(engine, TEXT, frames))) == 256 * frames


def test_a_stream_is_the_whole_in_chunks(engine):
    whole = waves(engine, [TEXT])[0]
    for first in (1, 8):
        chunks = list(stream(engine, TEXT, first=first))
        assert len(chunks[0]) == 256 * first
        assert len(chunks) > 3
        assert snr_db(whole, np.concatenate(chunks)) > 110


def test_batches_and_workers_say_the_same(engine):
    texts = [text_of(5, seed) for seed in range(5)] + ["", "Hello."]
    alone = waves(engine, texts, 40)
    assert [len(wave) for wave in alone] == [40 * 256] * 5 + [0, 40 * 256]
    for found in (waves(engine, texts, 40, batch=4), in_parallel([engine] * 3, texts, 40, batch=2)):
        for one, other in zip(alone, found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert torch.get_num_threads() == 1
    texts = ["Hello.", "Hello you.", "Hello."]
    for one, text in zip(waves(engine, texts, batch=8), texts, strict=True):
        np.testing.assert_allclose(one, waves(engine, [text])[0], atol=1e-5)


@pytest.mark.parametrize("text", ["", " \n", "\x00\x07", "\U0001f600\U0001f600", "\u65e5\u672c\u8a9e"])
def test_what_cannot_be_read_is_silence_of_no_length(engine, text):
    assert waves(engine, [text], 100)[0].shape == (0,)
    assert list(stream(engine, text)) == []


def test_one_word_and_a_large_number(engine):
    assert len(waves(engine, ["a"])[0]) > 0
    assert len(waves(engine, [str(10**16)])[0]) > 17 * len(waves(engine, ["a"])[0]) / 4


def test_five_thousand_words_come_sentence_by_sentence(engine):
    first = next(spectrograms(engine, "someone will go there and " * 1000))
    assert 0 < len(first) < 4000  # the rest has not been computed


def test_rows_agree_with_the_reference():
    inputs = COMPONENT.case("quick").make(1)
    rows = {
        "exact": (torch_planar.IMPLEMENTATION, {}, {}),
        "narrow": (torch_planar.IMPLEMENTATION, {"precision": "bfloat16"}, BFLOAT16.parity),
        "stored": (torch_planar.IMPLEMENTATION, {"precision": "float16"}, FLOAT16.parity),
        "stream": (torch_planar.STREAMING, {}, {}),
    }
    with reference.IMPLEMENTATION.load(Settings()) as run:
        expected = run(inputs)
    assert COMPONENT.produced(inputs, expected) == len(expected["wave"]) / 22050
    found = {}
    for name, (item, given, replaced) in rows.items():
        with item.load(Settings(**given)) as run:
            answer = run(inputs)
            if name == "stream":
                chunks = list(answer)
                answer = {key: np.concatenate([chunk[key] for chunk in chunks if key in chunk]) for key in expected}
        found[name] = answer["wave"]
        results = compare(expected, answer, COMPONENT.policy, replaced=replaced)
        assert [result.message for result in results if not result.passed] == []
    assert not np.array_equal(found["exact"], found["narrow"])
    assert snr_db(expected["wave"], found["narrow"]) < snr_db(expected["wave"], found["stored"]) < snr_db(expected["wave"], found["exact"])
    assert not compare(expected, {**expected, "wave": np.roll(expected["wave"], 1)}, COMPONENT.policy)[0].passed


@pytest.mark.parametrize(
    ("item", "variant"),
    [
        (native.IMPLEMENTATION, None),
        (native.IMPLEMENTATION, native.INT16),
        (native.STREAMING, native.INT16),
        (native.IMPLEMENTATION, native.LIGHTWEIGHT),
        (native.QUANTIZED, native.INT8),
        (native.QUANTIZED_STREAMING, native.INT8),
    ],
    ids=lambda found: getattr(found, "name", ""),
)
def test_native_rows_agree_with_the_reference(item, variant):
    if reason := unavailable(item):
        pytest.skip(reason)
    inputs = COMPONENT.case("quick").make(2)
    with reference.IMPLEMENTATION.load(Settings()) as run:
        expected = run(inputs)
    with item.load(Settings(**(variant.settings if variant else {}))) as run:
        answer = run(inputs)
        chunks = [answer] if isinstance(answer, dict) else list(answer)
    found = {key: np.concatenate([chunk[key] for chunk in chunks if key in chunk]) for key in expected}
    results = compare(expected, found, COMPONENT.policy, replaced=variant.parity if variant else {})
    assert [result.message for result in results if not result.passed] == []
    assert snr_db(expected["wave"], found["wave"]) < np.inf


def test_a_size_is_a_voice():
    inputs = COMPONENT.case("quick").make(1)
    with reference.IMPLEMENTATION.load(Settings(model_size="medium")) as run:
        sized = run(inputs)
    with reference.IMPLEMENTATION.load(Settings()) as run:
        named, small = run({**inputs, "voice": "v2"}), run(inputs)
    assert np.array_equal(sized["wave"], named["wave"])
    assert not np.array_equal(sized["wave"], small["wave"])
    assert SIZES.keys() == {"small", "medium", "large"}
    assert set(SIZES.values()) <= set(VOICES)


def test_bits_round():
    wave = np.array([0.0, 0.1, -1.0, 1.0], np.float32)
    assert np.array_equal(rounded(wave, None), wave)
    assert np.array_equal(rounded(wave, 8), np.array([0, 13 / 127, -1, 1], np.float32))
    assert rounded(wave, 16)[1] == pytest.approx(0.1, abs=2**-16)
    assert rounded(wave, 24).dtype == np.float32


def test_voices_fit_and_rates_are_those_there_are():
    assert at_rate("v1", 48000) is AT_48KHZ
    assert at_rate("v2", 22050) is VOICES["v2"]
    with pytest.raises(ValueError, match="expected v1, the only one there is at 48000 Hz, found 'small'"):
        at_rate("small", 48000)
    with pytest.raises(ValueError, match="voice of small and v1-48khz: expected equal mels, found 80 and 128"):
        Voice(SMALL, "v1-48khz")
    wrong = {
        "sample_rate": (44100, "expected 22050 or 48000 Hz"),
        "precision": ("int8", "precision: expected"),
        "mode": ("auto", "expected full"),
    }
    for name, (value, message) in wrong.items():
        with pytest.raises(ValueError, match=message), torch_planar.IMPLEMENTATION.load(Settings(**{name: value})):
            pass


@pytest.mark.parametrize("case", COMPONENT.cases, ids=lambda case: case.name)
def test_cases_are_deterministic_families(case):
    assert case.make(3) == case.make(3)
    assert case.make(3) != case.make(4)
    texts, voice, frames = check_inputs(case.make(3))
    assert voice in VOICES
    assert frames in (0, 129, 431)
    assert len({len(text.split()) for text in texts}) == 1
    assert COMPONENT.work(case.make(3)).operations > 0


def test_work_is_that_of_the_facts():
    # 26.45 GMAC per second of audio by V1, 2.05 by FastSpeech2.
    assert COMPONENT.work(COMPONENT.case("sentence-5s").make(0)).operations / 2e9 / 5.0 == pytest.approx(26.45 + 2.1, rel=0.02)
    assert V1.macs_per_frame > 0


@hypothesis.settings(max_examples=20, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(COMPONENT.strategy())
def test_adversarial_inputs_are_valid(inputs):
    check_inputs(inputs)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"texts": "hello"}, TypeError, "texts: expected a tuple of strings, found str"),
        ({"texts": (b"hello",)}, TypeError, "texts: expected a tuple of strings, found tuple"),
        ({"voice": "v9"}, ValueError, "voice: expected v1, v2, v3, small, found 'v9'"),
        ({"frames": -1}, ValueError, "frames: expected a whole number of mel frames, or 0 for as many as predicted, found -1"),
    ],
)
def test_other_inputs_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        check_inputs({"texts": ("hello",), "voice": "small", "frames": 0, **change})


def test_the_default_first_chunk_is_the_vocoders():
    assert chain.FIRST == 8


@pytest.mark.parametrize("name", ["tts", "tts_acoustic"])
def test_targets_are_of_known_rows_and_cases(name):
    registry = discover()
    component, rows = registry.components[name], registry.implementations(name).values()
    path = Path(registry.entry(name).folder) / "targets.toml"
    found = targets.load(path, component, rows, ("any",))
    assert found
    for target in found:
        assert target.source
