"""Cutting a song into segments and joining their samples, with a codec that only remembers what it was asked."""

import math
from functools import partial

import numpy as np
import pytest

from implementations.codec.configuration import FLAVOURS
from implementations.codec.song import SEGMENT, Segments, cut, noise_of, song

TINY = FLAVOURS["tiny"]
PER_FRAME = TINY.samples_per_frame


def numbered(frames):
    """Codes of which each frame says which it is, modulo the codebook."""
    return np.repeat(np.arange(frames)[:, None], TINY.num_quantizers, axis=1)


def played(codes, length, *, parts=1):
    """Segments with a flow that repeats its codes and a decoder that repeats its latents; what the flow was given."""
    calls = []

    def flow(codes, noise, context):
        calls.append((codes, noise, context))
        latents = np.zeros((1, 2 * codes.shape[1], TINY.out_channels), np.float32)
        latents[:] = np.repeat(codes[..., :1], 2, axis=1)
        return latents

    def decode(latents):
        return np.repeat(latents[:, :2], TINY.samples_per_latent, axis=0)

    found = list(song(np.array_split(codes, parts), lambda number: np.float32([[number]]), flow, decode, TINY, length=length))
    return found, calls


def test_upstreams_segments_are_29_seconds_with_4_of_overlap():
    assert cut(1, SEGMENT) == Segments(372, 320, 1)
    assert cut(1).overlap == 52
    assert cut(140, 93) == Segments(93, 80, 2)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 15, 92, 93, 94, 186, 372])
def test_segments_cover_every_length_and_none_is_idle(length):
    for frames in range(1, 3 * length + 20):
        segments = cut(frames, length)
        assert segments.hop >= 1
        assert (segments.count - 1) * segments.hop + length >= frames
        assert segments.count == 1 or (segments.count - 1) * segments.hop + segments.overlap < frames
        assert segments.overlap <= segments.hop  # else three segments would meet


@pytest.mark.parametrize("frames", [1, 13, 92, 93, 94, 172, 173, 174, 184, 264, 344])
def test_a_song_is_as_long_as_its_codes(frames):
    """184 = 104 + 80 and its like are the lengths at which upstream drops the end."""
    found, calls = played(numbered(frames), 93)
    assert sum(len(samples) for _, samples in found) == frames * PER_FRAME
    assert len(calls) == len(found) == cut(frames, 93).count


def test_a_fade_between_equal_samples_changes_nothing():
    frames = 300
    found, _ = played(numbered(frames), 93)
    wave = np.concatenate([samples for _, samples in found])
    assert np.abs(wave[:, 0] - np.repeat(np.arange(frames), PER_FRAME)).max() < 1e-4


def test_samples_fade_linearly_from_a_segment_to_the_next():
    levels = iter([0.0, 1.0])

    def decode(latents):
        return np.full((len(latents) * TINY.samples_per_latent, 2), next(levels), np.float32)

    def flow(codes, noise, context):
        return np.zeros((1, 2 * codes.shape[1], TINY.out_channels), np.float32)

    wave = np.concatenate(
        [part for _, part in song([numbered(173)], lambda number: noise_of(0, number, TINY, 93), flow, decode, TINY, length=93)]
    )
    begin, end = 80 * PER_FRAME, 93 * PER_FRAME
    assert not wave[:begin].any()
    assert np.allclose(wave[begin:end, 1], np.linspace(0, 1, end - begin), atol=1e-7)
    assert (wave[end:] == 1).all()


def test_each_segment_continues_the_latents_of_the_one_before():
    _, calls = played(numbered(250), 93)
    assert calls[0][2].shape == (1, 0, TINY.out_channels)
    for number, (codes, noise, context) in enumerate(calls[1:], 1):
        assert codes[0, 0, 0] == 80 * number
        assert noise[0, 0] == number
        assert np.array_equal(context[0, :, 0], np.repeat(np.arange(80 * number, 80 * number + 13), 2))


def test_what_a_segment_lacks_repeats_the_song():
    _, calls = played(numbered(5), 93)
    assert np.array_equal(calls[0][0][0, :, 0], np.arange(93) % 5)
    _, calls = played(numbered(100), 93)
    assert np.array_equal(calls[1][0][0, :, 0], np.arange(80, 173) % 100)


@pytest.mark.parametrize("parts", [2, 3, 50])
def test_codes_may_come_in_parts(parts):
    whole, _ = played(numbered(200), 30)
    found, _ = played(numbered(200), 30, parts=parts)
    assert len(found) == len(whole)
    for one, other in zip(found, whole, strict=True):
        assert all(np.array_equal(left, right) for left, right in zip(one, other, strict=True))


def test_a_segment_is_given_out_once_its_codes_and_one_more_are_there():
    asked = []

    def parts():
        for frame in numbered(40):
            asked.append(len(asked))
            yield frame[None]

    stream = song(
        parts(),
        lambda number: noise_of(0, number, TINY, 15),
        lambda c, n, x: n,
        lambda x: np.zeros((30 * TINY.samples_per_latent, 2)),
        TINY,
        length=15,
    )
    next(stream)
    assert len(asked) == 16


def test_no_codes_give_no_sound():
    assert list(song([], None, None, None, TINY)) == []


def test_noise_is_normal_and_belongs_to_its_segment():
    draw = partial(noise_of, configuration=TINY, length=93)
    one, again, other, seed = draw(3, 0), draw(3, 0), draw(3, 1), draw(4, 0)
    assert one.shape == (186, 256)
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, seed)
    assert abs(one.mean()) < 0.02
    assert math.isclose(one.std(), 1, abs_tol=0.02)
