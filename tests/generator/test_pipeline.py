"""From tags and lyrics to a file of sound, and what is refused before one is begun."""

import numpy as np
import pytest
import soundfile

from implementations.codec.hearing import notes_right
from implementations.generator.__main__ import main
from implementations.generator.pipeline import Song, open_generator, own_folder

ASKED = ["--tags", "calm piano", "--lyrics", "la la"]


@pytest.fixture(scope="module")
def generator():
    with open_generator() as found:
        yield found


def test_codes_are_entries_of_the_codebook_and_a_function_of_the_seed(generator):
    song = Song("calm piano", "la la", 1.0, seed=3)
    seen = []
    codes = [part.tolist() for part in generator.codes(song, lambda *at: seen.append(at))]
    assert codes == [part.tolist() for part in generator.codes(song)]
    assert codes != [part.tolist() for part in generator.codes(Song("calm piano", "la la", 1.0, seed=4))]
    assert seen[-1][1] == 12
    assert all(0 <= code < 64 for (frame,) in codes for code in frame)


@pytest.mark.parametrize("seconds", [0.0, -3.0, 1e7, float("nan")])
def test_durations_that_cannot_be_are_refused_in_one_line(seconds, tmp_path, capsys):
    assert main([*ASKED, "--seconds", str(seconds), "-o", str(tmp_path / "song.wav")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("generator: ValueError: seconds: expected")
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_folders_without_a_generator(tmp_path, capsys):
    assert main([*ASKED, "--checkpoint", str(tmp_path / "none"), "--codec", str(tmp_path), "-o", str(tmp_path / "song.wav")]) == 2
    assert "expected a checkpoint's folder, found none" in capsys.readouterr().err
    for name in ("HeartMuLa-oss-3B", "HeartMuLa-oss-7B"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="expected one generator, found HeartMuLa-oss-3B, HeartMuLa-oss-7B"):
        own_folder(tmp_path)


def test_a_song(tmp_path, capsys):
    path = tmp_path / "song.wav"
    assert main([*ASKED, "--seconds", "0.4", "--seed", "3", "--segment", "8", "-o", str(path)]) == 0
    samples, rate = soundfile.read(path)
    assert (rate, samples.shape) == (48000, (5 * 3840, 2))
    assert "0.40 s at 48000 Hz; first sound after" in capsys.readouterr().out


def test_a_song_sounds_what_its_codes_say(generator, tmp_path):
    path = tmp_path / "song.wav"
    assert main([*ASKED, "--seconds", "1", "--seed", "3", "--segment", "12", "-o", str(path)]) == 0
    codes = np.concatenate(list(generator.codes(Song("calm piano", "la la", 1.0, seed=3))))
    assert notes_right(soundfile.read(path)[0], codes) >= 0.9
    assert notes_right(soundfile.read(path)[0], codes[::-1]) < 0.5
