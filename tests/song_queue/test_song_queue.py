"""Several songs at once: the features of each, whatever the number of workers, and their processes."""

import numpy as np
import psutil
import pytest

from harness import signals
from harness.settings import Settings
from implementations.features import native
from implementations.song_queue.component import COMPONENT, LIGHTWEIGHT, from_audio
from implementations.song_queue.queues import NATIVE

pytest.importorskip("implementations.features._native", reason="native: not built")

SONGS = np.stack([signals.mix(seconds=1.5, sample_rate=22050, seed=seed) for seed in range(3)])
INPUTS = {"samples": SONGS, "sample_rate": 22050}


@pytest.mark.parametrize("workers", [None, 2])
def test_each_row_holds_the_features_of_a_song(workers):
    with NATIVE.load(Settings(workers=workers)) as run:
        found = run(INPUTS)
        assert len(psutil.Process().children()) >= (workers or 0)
        with pytest.raises(ValueError, match="found nan at sample 7"):
            run({**INPUTS, "samples": np.where(np.arange(SONGS.shape[1]) == 7, np.float32(np.nan), SONGS)})
        assert np.array_equal(run(INPUTS)["mfcc"], found["mfcc"])
    assert set(found) == set(COMPONENT.policy)
    for row, song in enumerate(SONGS):
        for name, value in native.features(song, 22050, threads=1).items():
            if name in found:
                np.testing.assert_array_equal(found[name][row], value)
    assert COMPONENT.produced(INPUTS, found) == pytest.approx(4.5)


def test_lightweight_mode_skips_what_it_skips():
    with NATIVE.load(Settings(mode="lightweight")) as run:
        found = run(from_audio(SONGS[:2], 22050))
    assert found["chroma"].shape == (2, 0)
    assert set(LIGHTWEIGHT.parity) == set(COMPONENT.policy)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({**INPUTS, "samples": SONGS[0]}, r"song_queue: samples: expected shape \(songs, n\) with at least one song, found \(33075,\)"),
        ({**INPUTS, "samples": SONGS[:0]}, r"found \(0, 33075\)"),
        (INPUTS, r"expected at most 1 s \(longest_audio\), found 1.5 s"),
    ],
)
def test_what_cannot_be_is_refused(inputs, message):
    with NATIVE.load(Settings(longest_audio=1.0)) as run, pytest.raises(ValueError, match=message):
        run(inputs)


def test_the_cases_are_queues_of_different_songs():
    samples = COMPONENT.case("four-clips").make(2)["samples"]
    assert samples.shape == (4, 5 * 44100)
    assert len({song.tobytes() for song in samples}) == 4
