"""Arrivals of chunks by hand: first audio, jitter, underruns, and memory that grows."""

from __future__ import annotations

import pytest
from synthetic import record

from harness.metrics import Absent, metrics_of
from harness.record import Record, Samples, Timing
from harness.stats import Interval
from harness.store import from_json, to_json


def streamed(*chunks: tuple[float, ...], audio: tuple[tuple[float, ...], ...] = (), **fields: object) -> Record:
    return record(samples=Samples(chunks=chunks, chunk_seconds=audio, **fields))  # type: ignore[arg-type]


def point(item: Record, name: str) -> float:
    found = metrics_of([item])[name]
    assert isinstance(found, Interval), found
    return found.point


def absent(item: Record, name: str) -> str:
    found = metrics_of([item])[name]
    assert isinstance(found, Absent), found
    return found.reason


def test_first_audio_counts_calls_that_were_left_at_their_first_chunk() -> None:
    item = streamed((0.1, 0.5), (0.3, 0.6), first_chunks=(0.2, 0.4, 0.5))
    assert point(item, "time_to_first_audio_seconds") == pytest.approx(0.3)


def test_its_percentile_needs_enough_calls() -> None:
    name = "time_to_first_audio_p95_seconds"
    firsts = tuple(0.001 * (1 + number) for number in range(58))
    assert absent(streamed((0.1, 0.5), first_chunks=firsts[:57]), name) == "58 calls were timed one by one, 95 % needs 59"
    assert point(streamed((0.059, 0.5), first_chunks=firsts), name) == pytest.approx(0.0561)
    launches = [streamed((0.1, 0.2), first_chunks=(0.1,) * 19)] * 3
    assert metrics_of(launches)[name] == Interval(pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 3)
    assert absent(record(), name) == "the result does not come in chunks"


def test_cold_is_the_first_chunk_of_the_first_call_and_loading_comes_before_it():
    began = {"load": Timing(1.5, 1.5), "cold": Timing(3.0, 3.0)}
    item = streamed((0.1, 0.5), cold_chunks=(2.0, 2.9), **began)
    assert point(item, "time_to_first_audio_cold_seconds") == 2.0
    assert point(item, "time_to_first_audio_with_load_seconds") == 3.5
    assert point(item, "time_to_first_audio_seconds") == 0.1
    for name in ("time_to_first_audio_cold_seconds", "time_to_first_audio_with_load_seconds"):
        assert absent(streamed(**began), name) == "the result does not come in chunks"
        assert absent(streamed((0.1, 0.5)), name) == "the first call was not timed"


def test_a_chunk_is_late_when_all_before_it_has_been_played() -> None:
    audio = ((0.1, 0.2, 0.4, 0.0),) * 2
    # Played from 1.0 on: the second is due at 1.1, the third at 1.3; the last has no audio, so that it can be late for nobody.
    in_time, late = (1.0, 1.1, 1.3, 9.0), (1.0, 1.05, 1.31, 1.32)
    assert point(streamed(in_time, late, audio=audio), "underruns") == 0.5
    # After a pause playing goes on from the chunk that was late.
    assert point(streamed((1.0, 1.5, 1.6), audio=((0.1, 0.2, 0.4),)), "underruns") == 1
    assert point(streamed((1.0,), audio=((0.1,),)), "underruns") == 0
    assert absent(streamed((1.0, 2.0)), "underruns") == "its chunks are no audio"
    assert absent(record(), "underruns") == "the result does not come in chunks"


def test_jitter_is_of_the_same_chunk_from_call_to_call() -> None:
    audio = ((0.1, 0.2),) * 3
    # Second chunks arrive 0.3, 0.5 and 0.4 after the first ones.
    assert point(streamed((0.1, 0.4), (0.2, 0.7), (0.1, 0.5), audio=audio), "chunk_jitter_seconds") == pytest.approx(0.2 / 3)
    assert point(streamed((0.1, 0.4), (0.2, 0.7), (0.1, 0.5)), "chunk_jitter_seconds") == pytest.approx(0.2 / 3)
    other = streamed((0.1, 0.4), (0.1, 0.9), audio=((0.1, 0.2), (0.1, 0.3)))
    assert absent(other, "chunk_jitter_seconds") == "no two calls came in the same chunks"
    assert absent(streamed((0.1,), (0.2,)), "chunk_jitter_seconds") == "no two calls came in the same chunks"


def test_a_leak_is_the_slope_of_the_second_half_whatever_a_single_look_saw() -> None:
    rising = tuple((10 * n, 10**8 + (5000 * n if n >= 6 else 40_000 * n)) for n in range(12))
    looks = (*rising[:8], (80, 10**9), *rising[9:])
    assert point(streamed(memory=looks), "leak_bytes_per_call") == pytest.approx(500)
    assert point(streamed(memory=tuple((n, 10**8) for n in range(8))), "leak_bytes_per_call") == 0
    reason = "its memory was looked at 7 times between calls, a slope needs 8"
    assert absent(streamed(memory=rising[:7]), "leak_bytes_per_call") == reason


def test_what_a_launch_saw_survives_json() -> None:
    item = streamed((0.1, 0.2), audio=((0.5, 0.5),), first_chunks=(0.1,), cold_chunks=(0.3, 0.4), memory=((3, 10**9),))
    assert from_json(to_json(item)) == item
