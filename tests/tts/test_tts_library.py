"""Speech as a library and from the command line, by checkpoints of one's own."""

import io
import re

import numpy as np
import pytest
import soundfile
import torch

from implementations.tts.__main__ import main
from implementations.tts.acoustic.configurations import SMALL
from implementations.tts.acoustic.weights import save_model, seeded
from implementations.tts.speech import load_voice, stream_speech, synthesize_speech
from implementations.tts.text.lexicon import BUILT_IN
from implementations.tts.vocoder.hifigan import random_weights
from implementations.tts.vocoder.shapes import V3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voice")
    save_model(seeded(SMALL), folder / "acoustic.safetensors")
    torch.save({"generator": {name: torch.from_numpy(array) for name, array in random_weights(V3).items()}}, folder / "generator.pth")
    return {"acoustic": folder / "acoustic.safetensors", "vocoder": folder / "generator.pth"}


def arguments(files, *more):
    return [*(f"--{name}={path}" for name, path in files.items()), "--shape=v3", f"--lexicon={BUILT_IN}", *more]


def test_a_voice_of_ones_own(files):
    voice = load_voice(**files, shape="v3", lexicon=BUILT_IN)
    assert load_voice(**files, shape="v3", lexicon=BUILT_IN) is voice
    speech = synthesize_speech("Hello, zorblax \U0001f600", voice)
    assert speech.sample_rate == 22050
    assert speech.wave.dtype == np.float32
    assert np.abs(speech.wave).max() > 0.1
    assert (speech.out_of_vocabulary, speech.skipped) == (0.5, 1)
    chunks = list(stream_speech("Hello, zorblax", voice))
    np.testing.assert_allclose(np.concatenate(chunks), speech.wave, atol=1e-4)


def test_voices_that_cannot_be(files, tmp_path):
    with pytest.raises(ValueError, match=r"expected an acoustic model and a vocoder, .* found one"):
        load_voice(files["acoustic"])
    with pytest.raises(ValueError, match=r"shape: expected the vocoder's, one of v1, .* found None"):
        load_voice(**files)
    with pytest.raises(ValueError, match="precision: expected float32 or bfloat16, found 'int4'"):
        load_voice(**files, shape="v3", precision="int4")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(files["acoustic"].read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"broken.safetensors: expected safetensors"):
        load_voice(broken, files["vocoder"], shape="v3")


def test_the_command_line_writes_a_file(files, tmp_path, capsys, monkeypatch):
    path = tmp_path / "hello.wav"
    assert main([*arguments(files, "--bits=24"), "Hello there.", "-o", str(path)]) == 0
    samples, rate = soundfile.read(path)
    assert rate == 22050
    assert np.abs(samples).max() > 0.1
    assert soundfile.info(path).subtype == "PCM_24"
    said = capsys.readouterr()
    assert f"{len(samples) / 22050:.2f} s of audio at 22050 Hz, 24 bit" in said.out
    assert "2 words, 0.0% not in the dictionary" in said.out
    assert re.search(r"of that text [\d.]+ ms, acoustic [\d.]+ ms, vocoder [\d.]+ ms", said.out)
    assert "random weights" not in said.err
    monkeypatch.setattr("sys.stdin", io.StringIO("\U0001f600"))
    assert main([*arguments(files), "-", "-o", str(path)]) == 0
    assert len(soundfile.read(path)[0]) == 0
    assert "0 words" in capsys.readouterr().out


def test_the_command_line_says_that_weights_are_random(tmp_path, capsys):
    path = tmp_path / "noise.wav"
    assert main(["--random=small", f"--lexicon={BUILT_IN}", "a", "-o", str(path)]) == 0
    assert "random weights: this is noise" in capsys.readouterr().err
    assert len(soundfile.read(path)[0]) > 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--acoustic=nowhere.pth.tar", "--vocoder=nowhere.pt", "--shape=v1"], "nowhere.pt: expected a HiFi-GAN checkpoint"),
        (["--random=small", "--lexicon=nowhere.dict"], "nowhere.dict: expected a dictionary in CMUdict's format, found no file"),
        (["--random=small", "--espeak=nowhere.so"], "nowhere.so: expected the shared library libespeak-ng, found: "),
    ],
)
def test_the_command_line_refuses_in_one_line(more, message, tmp_path, capsys):
    assert main([*more, "Hello", "-o", str(tmp_path / "never.wav")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert not (tmp_path / "never.wav").exists()
