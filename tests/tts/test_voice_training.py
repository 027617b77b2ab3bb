"""Training: losses that are zero where nothing is wrong and fall where something is learnt; the command at a tiny size."""

import ctypes.util

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from implementations.tts import checkpoints  # noqa: E402
from implementations.tts.mel import HOP, SAMPLE_RATE  # noqa: E402
from implementations.tts.training import acoustic, features, vocoder  # noqa: E402
from implementations.tts.training.__main__ import main  # noqa: E402
from implementations.tts.training.data import Utterance, scale  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tone(seed):
    """Three sounds whose pitch and level are those of their vowel, as an utterance."""
    random = np.random.Generator(np.random.PCG64(seed))
    durations = random.integers(8, 14, 3)
    choice = random.permutation(3)
    pitch, level = np.array([90.0, 110, 140])[choice], np.array([0.1, 0.3, 0.2])[choice]
    lasting = np.repeat(np.arange(3), durations * HOP)
    wave = level[lasting] * np.sin(2 * np.pi * np.cumsum(8 * pitch[lasting]) / SAMPLE_RATE)
    mel = features.log_mel(features.spectrum(torch.from_numpy(wave.astype(np.float32)))).T.contiguous().numpy()
    phonemes = tuple(np.array(["AA1", "IY1", "UW1"])[choice])
    samples = np.round(wave * 32767).astype(np.int16)
    return Utterance("", phonemes, durations, pitch.astype(np.float32), level.astype(np.float32), mel, samples)


TONES = [tone(seed) for seed in range(24)]


def test_the_acoustic_model_learns_tones():
    found = {}
    model = acoustic.fit(TONES, TONES[:8], scale(TONES), steps=12, report=found.__setitem__)
    assert list(found) == [0, 12]
    assert found[12]["mel_l1"] < 0.8 * found[0]["mel_l1"]
    assert found[12]["log_duration_mse"] < 0.5 * found[0]["log_duration_mse"]
    assert not model.training


def test_padding_is_no_part_of_the_losses():
    short, long = sorted(TONES, key=lambda one: len(one.mel))[:: len(TONES) - 1]
    model = acoustic.FastSpeech2(acoustic.CONFIGURATION).eval()
    batch = acoustic.collate([short, long], scale(TONES))
    assert batch.mel.shape[1] == len(long.mel) > len(short.mel)
    spoilt = batch.mel.clone()
    spoilt[0, len(short.mel) :] = 99
    once, again = (acoustic.losses(model, each) for each in (batch, acoustic.Batch(**{**vars(batch), "mel": spoilt})))
    assert once["mel_l1"] == again["mel_l1"]


def test_too_few_sentences_are_told():
    with pytest.raises(ValueError, match="expected at least 16 sentences to train on, found 3"):
        acoustic.fit(TONES[:3], TONES[:3], scale(TONES), steps=1)


def test_the_rate_warms_up_and_comes_down_to_nothing():
    rates = [acoustic.warm_cosine(step, 100, 10) for step in range(101)]
    assert np.argmax(rates) in (9, 10)
    assert max(rates) == pytest.approx(1)
    assert rates[0] == pytest.approx(0.1)
    assert rates[100] == pytest.approx(0, abs=1e-12)


def test_the_loss_of_a_wave_hears_no_sign_but_other_tones():
    wave = torch.from_numpy(TONES[0].wave.astype(np.float32) / 32768)[None, : 20 * HOP]
    other = torch.from_numpy(TONES[3].wave.astype(np.float32) / 32768)[None, : 20 * HOP]
    same, inverted, wrong, silent = (vocoder.losses(made, wave) for made in (wave, -wave, other, torch.zeros_like(wave)))
    for name in same:
        assert same[name] == 0
        assert inverted[name] == pytest.approx(0, abs=1e-3)
        assert wrong[name] > 0.3
        assert silent[name] > wrong[name]


def test_the_first_wave_is_quiet_and_alive():
    with torch.inference_mode():
        wave = vocoder._fresh(0)(torch.from_numpy(TONES[0].mel.T[None].copy()))
    assert 0.001 < wave.std() < 0.3


@pytest.mark.long
@pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="libespeak-ng is not installed")
def test_the_command_at_a_tiny_size(tmp_path):
    """Losses fall, the files load, the recordings are those that ship, and one part alone leaves the other."""
    main(["--seed", "0", "-o", str(tmp_path), "--sentences", "64", "--steps", "60"])
    record = checkpoints.record(tmp_path)
    for part in ("acoustic", "vocoder"):
        first, last = (record[part]["validation_losses"][place]["mel_l1"] for place in (0, -1))
        assert last < 0.8 * first
    model = checkpoints.acoustic_model.__wrapped__(tmp_path)
    assert model.configuration == acoustic.CONFIGURATION
    assert checkpoints.vocoder.__wrapped__(tmp_path).shape == vocoder.SHAPE
    for made, shipped in zip(checkpoints.held_out(tmp_path), checkpoints.held_out(), strict=True):
        assert made.text == shipped.text
    before = (tmp_path / checkpoints.VOCODER).read_bytes()
    main(["--seed", "0", "-o", str(tmp_path), "--sentences", "64", "--steps", "4", "--only", "acoustic"])
    assert (tmp_path / checkpoints.VOCODER).read_bytes() == before
    assert checkpoints.record(tmp_path)["vocoder"] == record["vocoder"]
