"""What the small generator's codes mean, whether the shipped codec says it, and whether what listens can tell."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from implementations._comparing import snr_db
from implementations.codec import open_codec
from implementations.codec.configuration import read
from implementations.codec.first_guess import lay_decoder
from implementations.codec.hearing import held_out, mel_distance_db, notes_right, spectral_convergence, untrained
from implementations.codec.library import SHIPPED
from implementations.codec.model import load, seeded
from implementations.codec.reference import to_channels, to_wave
from implementations.codec.score import BASS, CHORD, FRAME, HAT, KICK, MELODY, SNARE, VOICES, latents_of, meanings, render, strikes
from implementations.codec.training import SIZES, codes_of, loss_of, save, train

SMALL = SHIPPED / "small"


def frame(*first):
    return np.array([[*first, *[0] * (8 - len(first))]])


@pytest.fixture(scope="module")
def codes():
    return next(held_out(1, 31))


@pytest.fixture(scope="module")
def wave(codes):
    with open_codec(SMALL, backend="auto") as codec:
        return codec.decode(codes, seed=3, segment=31)


def test_a_frame_strikes_what_its_codes_say():
    """D major of bright pop, the fourth beat (melody G) and the first (melody C, to the right, with the hat)."""
    struck = strikes(np.concatenate([frame(14, 43), frame(14, 0, 48, 63)]))
    fourth, first = struck[0], struck[1]
    assert set(np.flatnonzero(fourth[0])) == {CHORD + 2, CHORD + 6, CHORD + 9, MELODY + 7}
    assert set(np.flatnonzero(first[0])) == {BASS + 2, KICK, HAT, MELODY}
    assert fourth[:, MELODY + 7].tolist() == pytest.approx([1, 3 / 9])
    assert first[:, MELODY].tolist() == pytest.approx([3 / 9, 1])
    assert not struck[:, :, SNARE].any()


def test_rests_are_silent():
    assert not strikes(np.concatenate([frame(48, 48), frame(63, 63)])).any()
    assert not render(frame(60, 50)).any()


def test_latents_are_on_the_decoders_levels(codes):
    latents = latents_of(codes)
    assert latents.shape == (62, 2 * VOICES)
    assert np.allclose(np.round(9 * latents) / 9, latents, atol=1e-6)
    assert not latents[1::2].any()


@pytest.mark.parametrize("book", range(8))
def test_codes_of_one_meaning_sound_alike(book):
    """Beside any others: what the codec does not see of a code, the score does not have it sound."""
    frames = np.random.default_rng(0).integers(0, 64, (100, 8))
    heard: dict[bytes, set[bytes]] = {}
    for code in range(64):
        frames[:, book] = code
        heard.setdefault(meanings()[book, code].tobytes(), set()).add(strikes(frames).tobytes())
    assert all(len(sounds) == 1 for sounds in heard.values())
    assert len(heard) == [49, 49, 4, 4, 1, 1, 1, 1][book]


def test_the_decoder_sounds_the_score(codes):
    """From a song's right latents; all but what stages with too few channels leave out, and 16 bits."""
    expected = render(codes[:12])
    with open_codec(SMALL, backend="reference") as codec:
        assert snr_db(expected, codec.kernels.decode(latents_of(codes[:12]))) > 55


def test_a_decoder_too_narrow_for_the_score_is_refused():
    narrow = dataclasses.replace(SIZES, init_channel=2)
    with pytest.raises(ValueError, match="expected a decoder of at least 117 channels that repeats nothing, found 64"):
        lay_decoder(seeded(narrow).scalar_model, narrow)
    other = dataclasses.replace(SIZES, latent_hidden_dim=32, out_channels=64)
    with pytest.raises(ValueError, match=r"expected \(sample rate, .*39\), found \(48000, 3840, 32\)"):
        lay_decoder(seeded(other).scalar_model, other)


def test_a_narrower_decoder_leaves_more_out(codes):
    narrow = dataclasses.replace(SIZES, init_channel=4)
    errors = []
    for sizes in (SIZES, narrow):
        model = seeded(sizes)
        lay_decoder(model.scalar_model, sizes)
        with torch.inference_mode():
            errors.append(np.abs(to_wave(model.scalar_model(to_channels(latents_of(codes[:8])))) - render(codes[:8])).mean())
    assert errors[1] > 3 * errors[0]


def test_the_shipped_file_is_loaded_as_it_is():
    stored, found = load_file(SMALL / "model.safetensors"), load(SMALL).state_dict()
    assert read(SMALL / "config.json") == SIZES
    assert stored.keys() == found.keys()
    assert all(tensor.dtype == torch.float32 and torch.equal(tensor, stored[name].float()) for name, tensor in found.items())


def test_a_held_out_song_sounds_what_its_codes_say(codes, wave):
    expected = render(codes)
    assert wave.shape == (31 * FRAME, 2)
    assert notes_right(wave, codes) >= 0.95
    assert spectral_convergence(wave, expected) < 0.4
    with untrained() as codec:
        random = codec.decode(codes, seed=3, segment=31)
    assert notes_right(random, codes) < 0.3
    assert spectral_convergence(random, expected) > 0.8
    assert mel_distance_db(wave, expected) < mel_distance_db(random, expected) / 2


def test_a_song_is_a_function_of_codes_and_seed(codes, wave):
    with open_codec(SMALL, backend="auto") as codec:
        assert np.array_equal(codec.decode(codes, seed=3, segment=31), wave)
        higher = codes.copy()
        higher[:, 1] = codes[:, 1] // 12 * 12 + (codes[:, 1] + 1) % 12
        assert notes_right(codec.decode(higher, seed=3, segment=31), higher) >= 0.95


def test_what_hears_notes_is_right_about_sounds_that_are(codes):
    expected = render(codes)
    assert notes_right(expected, codes) == 1
    assert notes_right(0.01 * expected, codes) == 1
    assert notes_right(np.zeros_like(expected), codes) < 0.5
    assert notes_right(np.roll(expected, FRAME, axis=0), codes) < 0.5  # a frame late
    assert spectral_convergence(expected, expected) == mel_distance_db(expected, expected) == 0
    assert spectral_convergence(np.zeros_like(expected), expected) == pytest.approx(1)


@pytest.mark.long
def test_training_learns_and_what_it_saves_is_read(tmp_path):
    model, losses = train(40)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    codes = np.stack([codes_of(2 * number + 1, 31) for number in range(4)])
    with torch.no_grad():
        trained = float(loss_of(model.flow_matching, codes, torch.Generator().manual_seed(1)))
        assert trained < float(loss_of(seeded(SIZES).flow_matching, codes, torch.Generator().manual_seed(1)))
    save(tmp_path, model)
    for name, tensor in load(tmp_path).state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].half().float()), name
