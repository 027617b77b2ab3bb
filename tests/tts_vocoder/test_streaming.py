"""Chunks cover a sentence exactly, and what is streamed is what one call computes."""

from itertools import pairwise

import numpy as np
import pytest

from harness.parity import snr_db
from implementations.tts.vocoder.shapes import SHAPES
from implementations.tts.vocoder.streaming import chunks


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("frames", [1, 7, 8, 9, 24, 431, 1500])
def test_chunks_are_every_sample_once_and_grow(shape, frames):
    found = list(chunks(frames, shape))
    samples = []
    for chunk in found:
        place = np.arange(chunk.mel.start * shape.hop, chunk.mel.stop * shape.hop)
        samples.append(place[chunk.wave])
    assert np.array_equal(np.concatenate(samples), np.arange(frames * shape.hop))
    sizes = [len(each) // shape.hop for each in samples]
    assert sizes[0] == min(8, frames)
    assert all(later == min(2 * earlier, 256) for earlier, later in pairwise(sizes[:-1]))


@pytest.mark.parametrize("name", ["v1", "v3"])
def test_streamed_is_one_shot_in_float32_and_with_less_context_it_is_not(name, monkeypatch):
    pytest.importorskip("torch", reason="torch: not installed")
    from vocoder_rows import SHAPES as SMALL
    from vocoder_rows import weights

    from implementations.tts.vocoder.torch_planar import vocoder

    shape = SMALL[name]
    vocode, _ = vocoder(shape, weights(name))
    mel = np.random.default_rng(0).standard_normal((40, 80)).astype(np.float32)
    whole = vocode(mel)

    def streamed():
        return np.concatenate([vocode(mel[chunk.mel])[chunk.wave] for chunk in chunks(len(mel), shape)])

    assert snr_db(whole, streamed()) >= 110
    exact = shape.context
    monkeypatch.setattr(type(shape), "context", property(lambda _: exact - 5))
    assert snr_db(whole, streamed()) < 100
