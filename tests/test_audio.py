"""The user's own audio, really decoded."""

import numpy as np
import pytest
import soundfile

from harness.audio import BLOCK_FRAMES, read
from harness.settings import ConfigurationError

TONE = 0.5 * np.sin(2 * np.pi * np.outer(np.arange(24000) / 24000, [440, 660]))


@pytest.mark.parametrize(("ending", "error"), [("wav", 1e-4), ("flac", 1e-4), ("mp3", 0.05), ("ogg", 0.05)])
def test_each_format_gives_the_samples_that_were_written(tmp_path, ending, error):
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, TONE, 24000)
    samples, rate = read(path)
    assert (rate, samples.dtype, samples.shape[0]) == (24000, np.float32, 2)
    assert samples.flags.c_contiguous
    middle = slice(6000, 18000)
    assert np.abs(samples[:, middle] - TONE.T[:, middle]).max() < error


def test_long_files_are_joined_from_blocks(tmp_path):
    mono = np.random.default_rng(0).uniform(-1, 1, 2 * BLOCK_FRAMES + 3).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", mono, 8000, subtype="FLOAT")
    assert np.array_equal(read(tmp_path / "long.wav")[0], mono[None])


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "raw", "txt", ""])
def test_what_is_not_audio_is_an_error(tmp_path, ending):
    path = (tmp_path / "file").with_suffix(f".{ending}" if ending else "")
    path.write_bytes(b"this is no audio at all" * 40)
    with pytest.raises(ConfigurationError, match=r"--input .*: expected a readable audio file, found .*; wav, flac, mp3, ogg are read"):
        read(path)


def test_a_missing_file_a_folder_and_an_impossible_name_are_errors(tmp_path):
    with pytest.raises(ConfigurationError, match="found No such file or directory"):
        read(tmp_path / "gone.wav")
    with pytest.raises(ConfigurationError, match="found Is a directory"):
        read(tmp_path)
    with pytest.raises(ConfigurationError, match="found embedded null byte"):
        read(tmp_path / "a\0b.wav")


def test_empty_and_not_finite_audio_are_errors(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 1)), 8000)
    with pytest.raises(ConfigurationError, match="found a file without a sample"):
        read(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 1.0]), 8000, subtype="FLOAT")
    with pytest.raises(ConfigurationError, match="found NaN or infinity"):
        read(tmp_path / "nan.wav")


@pytest.mark.parametrize("kept", [30, 0.5])
def test_a_truncated_file_is_an_error(tmp_path, kept):
    path = tmp_path / "cut.flac"
    soundfile.write(path, TONE, 24000)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if kept > 1 else int(len(whole) * kept)])
    with pytest.raises(ConfigurationError, match="expected a readable audio file"):
        read(path)
