"""Outputs that come in chunks: when the first is there, how regularly the others come, and which come too late to be played.

A figure of one launch each, or the reason why it has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness import stats
from harness.record import Record, Samples

WHOLE = "the result does not come in chunks"


def firsts(samples: Samples) -> list[float]:
    """Seconds from the start of a call to its first chunk: of whole calls, and of those that were left there."""
    return [*(arrivals[0] for arrivals in samples.chunks if arrivals), *samples.first_chunks]


def first_audio(record: Record) -> float | str:
    """The middle one of them."""
    found = firsts(record.samples)
    return stats.median(found) if found else WHOLE


def cold(record: Record) -> float | str:
    """Of the first call of a fresh process, whose load() had come to its end."""
    if record.samples.cold is None:
        return "the first call was not timed"
    return record.samples.cold_chunks[0] if record.samples.cold_chunks else WHOLE


def with_load(record: Record) -> float | str:
    """The same with load() before it: what whoever starts a program for one text waits for, but for Python's own start."""
    first, load = cold(record), record.samples.load
    if isinstance(first, str):
        return first
    return "loading was not timed" if load is None else load.wall_seconds + first


def jitter(record: Record) -> float | str:
    """By how many seconds a chunk, counted from the first one, arrives beside its usual time: the mean over chunks and calls.

    Usual is the median of the calls that came in chunks of the same audio.
    """
    alike: dict[object, list[list[float]]] = {}
    chunks, audio = record.samples.chunks, record.samples.chunk_seconds
    for number, arrivals in enumerate(chunks):
        alike.setdefault(audio[number] if audio else len(arrivals), []).append([arrival - arrivals[0] for arrival in arrivals])
    found: list[float] = []
    for calls in alike.values():
        if len(calls) > 1:
            for times in list(zip(*calls, strict=True))[1:]:
                usual = stats.median(times)
                found += [abs(time - usual) for time in times]
    return sum(found) / len(found) if found else "no two calls came in the same chunks" if chunks else WHOLE


def underruns(record: Record) -> float | str:
    """How many chunks of a call, in the mean, arrive after the audio before them has been played, which begins with the first chunk."""
    chunks, audio = record.samples.chunks, record.samples.chunk_seconds
    if not chunks or not audio:
        return "its chunks are no audio" if chunks else WHOLE
    return sum(map(_late, chunks, audio)) / len(chunks)


def _late(arrivals: Sequence[float], audio: Sequence[float]) -> int:
    late, played = 0, arrivals[0] + audio[0]
    for arrival, seconds in zip(arrivals[1:], audio[1:], strict=True):
        late += seconds > 0 and arrival > played
        played = max(arrival, played) + seconds
    return late
