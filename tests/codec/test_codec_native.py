"""The native decoder at every dispatch level this processor has."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from implementations._comparing import snr_db
from implementations.codec.component import WAVE_DB
from implementations.codec.configuration import FLAVOURS
from implementations.codec.decoder import fold
from implementations.codec.model import from_files, load
from implementations.codec.reference import to_channels, to_wave

_native = pytest.importorskip("implementations.codec._native", reason="native: not built")

from implementations.codec.native import Decoder  # noqa: E402

GOLDEN = Path(__file__).parent.parent / "golden"
LEVELS = _native.levels()


def folded(source):
    scalar = (source if not isinstance(source, str) else load(source)).scalar_model
    fold(scalar)
    return scalar


def drawn(count, name="tiny", seed=0):
    return np.random.default_rng(seed).standard_normal((count, FLAVOURS[name].out_channels), np.float32)


@pytest.fixture(scope="module")
def small():
    return folded("small")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("key", ["random", "on_grid", "one_frame", "half_steps"])
def test_golden_waves_at_every_level(key, level):
    decode = Decoder(folded(from_files([GOLDEN / "heartcodec.safetensors"], FLAVOURS["tiny"])), level=level)
    assert decode.level == level
    with np.load(GOLDEN / "heartcodec.npz", allow_pickle=False) as data:
        latents, wave = data[f"scalar/{key}/latents"], data[f"scalar/{key}/wave"]
    for item, expected in zip(latents, wave, strict=True):
        found = decode(np.concatenate([item, item[::-1]]).T)  # of two channels, the second is another sound
        assert np.abs(found[:, 0] - expected[0]).max() < 3e-6
        assert not np.array_equal(found[:, 0], found[:, 1])


@pytest.mark.parametrize("level", LEVELS)
def test_pieces_of_time_give_the_samples_of_the_whole(small, level):
    """2 seconds are more than a piece of every stage but the first."""
    latents = drawn(50, "small")
    with torch.inference_mode():
        expected = to_wave(small(to_channels(latents)))
    assert snr_db(expected, Decoder(small, level=level)(latents)) >= WAVE_DB


def test_any_slope_of_an_activation():
    scalar = folded("tiny")
    slopes = [module.weight for module in scalar.modules() if isinstance(module, torch.nn.PReLU)]
    for slope, value in zip(slopes, np.linspace(-0.5, 1.5, len(slopes)), strict=True):
        slope[:] = value
    latents = drawn(20)
    with torch.inference_mode():
        expected = to_wave(scalar(to_channels(latents)))
    assert snr_db(expected, Decoder(scalar)(latents)) >= WAVE_DB


def test_the_result_depends_on_neither_threads_nor_calls_before_or_beside(small):
    one, three = Decoder(small, threads=1), Decoder(small, threads=3)
    inputs = [drawn(count, "small", seed=count) for count in (1, 9, 30)]
    expected = [one(latents) for latents in inputs]
    assert all(np.array_equal(three(latents), wave) for latents, wave in zip(inputs, expected, strict=True))
    with ThreadPoolExecutor(3) as pool:
        assert all(np.array_equal(found, wave) for found, wave in zip(pool.map(three, inputs), expected, strict=True))


def test_what_cannot_be_is_refused(small):
    with pytest.raises(ValueError, match=r"level: expected one of .*, found 'sse9'"):
        Decoder(small, level="sse9")
    with pytest.raises(ValueError, match="threads: expected 1 or more, found -1"):
        Decoder(small, threads=-1)(drawn(2, "small"))
