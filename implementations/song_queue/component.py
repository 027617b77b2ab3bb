"""Audio features of the songs in a queue: what a service's workers compute, several at a time.

Inputs: `samples` (songs, n) float32 in [-1, 1], mono; `sample_rate` in Hz.
Outputs: those of the component features, a song per row: scalars (songs,), `chroma` (songs, 12), `mfcc` (songs, 13). `beats` are left
out: every song has another number of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import signals
from harness.component import Case, Component, Effect, Inputs, Outputs, Unit, Variant
from implementations.features import component as features
from implementations.features.contract import check

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

LEFT_OUT = "beats"


def _queue(songs: int, seconds: float, seed: int) -> Inputs:
    pieces = [signals.mix(seconds=seconds, sample_rate=44100, seed=1000 * seed + song) for song in range(songs)]
    return {"samples": np.stack(pieces), "sample_rate": 44100}


def songs_of(inputs: Inputs, longest: float | None) -> list[Inputs]:
    """The inputs of each song, checked as those of features are; longest: seconds of one song, or any."""
    samples = inputs["samples"]
    if not isinstance(samples, np.ndarray) or samples.ndim != 2 or not len(samples):
        found = samples.shape if isinstance(samples, np.ndarray) else type(samples).__name__
        raise ValueError(f"song_queue: samples: expected shape (songs, n) with at least one song, found {found}")
    songs: list[Inputs] = [{"samples": song, "sample_rate": inputs["sample_rate"]} for song in samples]
    for song in songs:
        check(song, longest)
    return songs


def stacked(found: list[Outputs]) -> Outputs:
    """Named outputs with a song per row."""
    return {name: np.stack([outputs[name] for outputs in found]) for name in found[0] if name != LEFT_OUT}


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio that the features describe."""
    return float(outputs["duration"].sum())


def from_audio(samples: np.ndarray, sample_rate: int) -> Inputs:
    """A queue of each channel of a recording."""
    return {"samples": np.ascontiguousarray(samples), "sample_rate": sample_rate}


def strategy() -> SearchStrategy[Inputs]:
    """One to three songs, each drawn from one of those of features."""
    from hypothesis import strategies as st

    def queue(song: Inputs, songs: int) -> Inputs:
        return {"samples": np.stack([song["samples"]] * songs), "sample_rate": song["sample_rate"]}

    return st.builds(queue, features.strategy(), st.integers(1, 3))


def _kept(by_output: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in by_output.items() if name != LEFT_OUT}


LIGHTWEIGHT = Variant(features.LIGHTWEIGHT.settings, _kept(features.LIGHTWEIGHT.parity))

COMPONENT = Component(
    name="song_queue",
    unit=Unit("audio second", 1.0),
    cases=(
        Case("four-clips", partial(_queue, 4, 5.0), quick=True),
        Case("eight-songs", partial(_queue, 8, 30.0), thorough="librosa takes 25 s"),
    ),
    policy=_kept(features.COMPONENT.policy),
    produced=produced,
    strategy=strategy,
    from_audio=from_audio,
    effects=(
        Effect("workers", (1, 3), "four-clips", "processes"),
        Effect("mode", ("full", "lightweight"), "four-clips", "output"),
        Effect("longest_audio", (300.0, 4.0), "four-clips", "error"),
    ),
    description="the features of several songs, as the workers of a service compute them; inputs: samples (songs, n) float32, sample_rate",
)
