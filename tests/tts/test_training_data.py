"""Training data: sentences that splits do not share, sounds with times, and features whose values are known."""

import ctypes.util
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from implementations.tts.acoustic.configurations import CONFIGURATIONS  # noqa: E402
from implementations.tts.mel import HOP, SAMPLE_RATE, log_mel  # noqa: E402
from implementations.tts.training import arpabet, data, espeak, features, sentences  # noqa: E402
from implementations.tts.training.espeak import Spoken  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden"
RATE = SAMPLE_RATE

speaking = pytest.mark.skipif(ctypes.util.find_library("espeak-ng") is None, reason="libespeak-ng is not installed")


def spoken(*sounds, samples=2560):
    """Of (name, stress, word, start)."""
    names, stress, word, starts = zip(*sounds, strict=True)
    return Spoken(np.zeros(samples, np.float32), names, stress, word, starts)


def test_the_same_seed_gives_the_same_sentences_and_no_split_shares_one():
    found = {split: sentences.sentences(split, 300, seed=3) for split in sentences.SPLITS}
    assert found["train"] == sentences.sentences("train", 300, seed=3)
    assert found["train"] != sentences.sentences("train", 300, seed=4)
    assert found["train"][:10] == sentences.sentences("train", 10, seed=3)
    texts = [*found["train"], *found["validation"], *found["test"], *sentences.HELD_OUT]
    assert len(set(texts)) == len(texts)
    assert all(text[0].isupper() and text.endswith(".") for text in texts)


def test_what_is_no_split_or_count_is_told():
    with pytest.raises(ValueError, match="split: expected one of train, validation, test, found 'dev'"):
        sentences.sentences("dev")
    with pytest.raises(ValueError, match="expected numbers >= 0, found -1 and 0"):
        sentences.sentences("train", -1)


def test_sounds_become_the_symbols_of_the_front_end():
    butter = spoken(("b", 0, 0, 0), ("V", 1, 0, 512), ("t#", 0, 0, 1024), ("3", 0, 0, 1280), ("", 0, 0, 2048))
    assert arpabet.phonemes(butter) == (("B", "AH1", "T", "ER0", "sp"), (0, 512, 1024, 1280, 2048), (0, 0, 0, 0, 0))


def test_one_sound_for_two_symbols_shares_its_time_and_a_glide_has_none_of_its_own():
    start = spoken(("s", 0, 0, 0), ("t", 0, 0, 300), ("A@", 1, 0, 600), (";", 0, 1, 1600), ("@L", 2, 1, 2000))
    symbols, starts, words = arpabet.phonemes(start)
    assert symbols == ("S", "T", "AA1", "R", "AH0", "L")
    assert starts == (0, 300, 600, 1100, 2000, 2280)
    assert words == (0, 0, 0, 0, 1, 1)


def test_a_sound_without_a_row_is_told():
    with pytest.raises(ValueError, match="expected a sound of espeak's American English, found 'x'"):
        arpabet.phonemes(spoken(("x", 0, 0, 0)))


def test_every_symbol_has_a_number():
    rows = [*arpabet._VOWELS, *arpabet._CONSONANTS]
    symbols = {symbol for name in rows for stress in (0, 1, 2) for symbol in arpabet.symbols_of(name, stress)}
    CONFIGURATIONS["small"].symbol_set.encode([*sorted(symbols), arpabet.PAUSE])


def test_small_words_keep_a_mark_of_stress_about_half_of_the_time():
    random = np.random.PCG64(0)
    found = [data.marked(("HH", "IY0", "DH", "AH0", "M", "EH0", "N", "IY0"), (0, 0, 1, 1, 2, 2, 2, 2), random) for _ in range(400)]
    assert {each[1] for each in found} == {"IY0", "IY1"}
    assert 150 < sum(each[1] == "IY1" for each in found) < 250
    assert {each[2:] for each in found} == {("DH", "AH0", "M", "EH0", "N", "IY0")}


@pytest.mark.parametrize("name", ["tones", "music", "silence_then_click"])
def test_the_spectrogram_is_that_of_hifigan(name):
    with np.load(GOLDEN / "hifigan.npz", allow_pickle=False) as golden:
        wave, mel = golden[f"mel/{name}/wave"], golden[f"mel/{name}/lj"]
    found = features.log_mel(features.spectrum(torch.from_numpy(wave).float())).numpy()
    np.testing.assert_allclose(found, mel, atol=1e-3)
    np.testing.assert_allclose(log_mel(wave), mel.T, atol=1e-3)


def test_silence_has_a_gradient():
    wave = torch.zeros(1, 2048, requires_grad=True)
    features.log_mel(features.spectrum(wave)).sum().backward()
    assert torch.isfinite(wave.grad).all()


@pytest.mark.parametrize("hertz", [75.0, 100.0, 118.0])
def test_pitch_of_a_voice_is_found_and_silence_and_noise_have_none(hertz):
    time = torch.arange(RATE) / RATE
    voice = sum(torch.cos(2 * torch.pi * hertz * k * time) / k for k in range(1, 20)) / 8
    # The edges see their own reflection.
    np.testing.assert_allclose(features.pitch(voice).numpy()[3:-3], hertz, rtol=0.02)
    assert not features.pitch(torch.zeros(RATE)).any()
    noise = torch.randn(RATE, generator=torch.Generator().manual_seed(0)) / 8
    assert (features.pitch(noise) > 0).float().mean() < 0.1


def test_values_are_bridged_and_averaged():
    np.testing.assert_array_equal(features.bridged(np.array([0, 2.0, 0, 0, 8.0, 0])), [2, 2, 4, 6, 8, 8])
    np.testing.assert_array_equal(features.bridged(np.zeros(3)), np.zeros(3))
    lasting = features.durations((0, 300, 310, 1000), frames=6)
    np.testing.assert_array_equal(lasting, [1, 0, 3, 2])
    np.testing.assert_array_equal(features.per_sound(np.array([1.0, 2, 4, 6, 7, 9]), lasting), [1, 2, 4, 8])


@speaking
def test_espeak_tells_sounds_and_their_times():
    found = espeak.speak("Butter, yes.")
    assert found.names == ("b", "V", "t#", "3", "", "j", "E", "s", "")
    assert found.stress == (0, 1, 0, 0, 0, 0, 1, 0, 0)
    assert found.word == (0, 0, 0, 0, 0, 1, 1, 1, 1)
    assert sorted(found.starts) == list(found.starts)
    assert len(found.samples) == pytest.approx(1.1 * RATE, rel=0.3)
    assert 0.05 < np.abs(found.samples).max() <= 1


@speaking
def test_an_utterance_is_whole():
    one = data.utterance("The quick brown fox.")
    frames = len(one.mel)
    assert one.durations.sum() == frames
    assert len(one.wave) == frames * HOP
    assert one.phonemes[:2] == ("DH", "AH0")
    assert one.phonemes[-1] == "sp"
    assert {len(one.phonemes)} == {len(one.durations), len(one.pitch), len(one.energy)}
    assert 70 < np.median(one.pitch) < 140
    # The vowels are the loud ones: the times belong to the sounds.
    vowels = np.array([symbol[-1].isdigit() for symbol in one.phonemes])
    assert np.median(one.energy[vowels]) > 1.5 * np.median(one.energy[~vowels])


@speaking
@pytest.mark.parametrize(("text", "message"), [("", r"expected the sounds \(any\), found times for none"), ("...", "found times")])
def test_text_without_sounds_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        espeak.speak(text)


def test_without_the_library_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    espeak._library.cache_clear()
    with pytest.raises(espeak.NoEspeak, match=r"found none\. Debian, Ubuntu: apt-get install libespeak-ng1"):
        espeak.speak("Hello.")
