"""The shipped voice speaks: held-out sentences can be understood, what is not speech cannot, and its files say where they come from."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from implementations.tts import checkpoints, quality  # noqa: E402
from implementations.tts.mel import HOP  # noqa: E402
from implementations.tts.training import acoustic, sentences, vocoder  # noqa: E402

FLOOR = 0.75
"""STOI that every held-out sentence reaches, with espeak's durations: they have 0.84, 0.85 and 0.88."""

CONTROL = 0.5
"""STOI that what is not this sentence stays below: noise has at most 0.41, another sentence 0.27, silence 0."""


@pytest.fixture(scope="module")
def recordings():
    return checkpoints.held_out()


@torch.inference_mode()
def speak(recording):
    """By the shipped voice, each sound as long as espeak's."""
    model = checkpoints.acoustic_model()
    symbols = torch.tensor([model.configuration.symbol_set.encode(recording.phonemes)])
    found = model(symbols, torch.tensor([symbols.shape[1]]), durations=torch.from_numpy(recording.durations)[None])
    return checkpoints.vocoder()(found.mel_postnet.transpose(1, 2))[0, 0].numpy()


@pytest.fixture(scope="module")
def waves(recordings):
    return [speak(recording) for recording in recordings]


def test_held_out_sentences_can_be_understood(recordings, waves):
    pytest.importorskip("pystoi")
    found = [quality.stoi(recording.wave, wave) for recording, wave in zip(recordings, waves, strict=True)]
    assert min(found) > FLOOR, found


def test_silence_noise_and_another_sentence_cannot(recordings, waves):
    """The same levels, and even the same voice, do not pass."""
    pytest.importorskip("pystoi")
    noise = np.random.Generator(np.random.PCG64(0))
    for place, recording in enumerate(recordings):
        other = np.resize(waves[place - 1], len(recording.wave))
        for control in (np.zeros_like(other), noise.normal(0, waves[place].std(), len(other)), other):
            assert quality.stoi(recording.wave, control) < CONTROL


def test_the_voice_is_as_loud_as_speech_and_clean(recordings, waves):
    for recording, wave in zip(recordings, waves, strict=True):
        assert len(wave) == len(recording.wave)
        assert wave.std() == pytest.approx(recording.wave.std(), rel=0.35)
        assert abs(wave.mean()) < 0.01
        assert np.abs(wave).max() < 1


def test_durations_of_its_own_are_about_those_of_espeak(recordings):
    model = checkpoints.acoustic_model()
    for recording in recordings:
        symbols = torch.tensor([model.configuration.symbol_set.encode(recording.phonemes)])
        found = model(symbols, torch.tensor([symbols.shape[1]]))
        assert int(found.frames[0]) == pytest.approx(int(recording.durations.sum()), rel=0.15)


def test_what_ships_is_small_and_says_where_it_comes_from():
    files = [path for path in checkpoints.FOLDER.iterdir() if path.suffix in (".safetensors", ".flac", ".json")]
    assert sum(path.stat().st_size for path in files) < 4 << 20
    record = checkpoints.record()
    assert record["seed"] == 0
    assert "implementations.tts.training --seed 0" in record["command"]
    assert record["data"]["speech"].startswith("espeak-ng")
    for part in (acoustic, vocoder):
        told = record[part.__name__.rpartition(".")[2]]["validation_losses"]
        assert told[-1]["step"] == part.STEPS
        assert told[-1]["mel_l1"] < 0.5 * told[0]["mel_l1"]


def test_the_recordings_are_the_held_out_sentences(recordings):
    assert tuple(recording.text for recording in recordings) == sentences.HELD_OUT
    assert not {*sentences.HELD_OUT} & {*sentences.sentences("train")}
    for recording in recordings:
        assert len(recording.wave) == HOP * recording.durations.sum()
        assert len(recording.phonemes) == len(recording.durations)
