"""A queue of songs: one after another by librosa, and by the native engine in as many processes as there are workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._modes import is_lightweight
from implementations.features import native, reference
from implementations.song_queue.component import LIGHTWEIGHT, songs_of, stacked

if TYPE_CHECKING:
    from harness.settings import Settings

Song = Callable[[Inputs], Outputs]


def _by_librosa(song: Inputs) -> Outputs:
    return reference.features(song["samples"], song["sample_rate"])


def _by_native(song: Inputs, *, lightweight: bool) -> Outputs:
    """On one thread: the workers are the threads."""
    return native.features(song["samples"], song["sample_rate"], lightweight=lightweight, threads=1)


@contextmanager
def load_librosa(settings: Settings) -> Iterator[Run]:
    """Gives `run`."""
    with reference.load(settings.only(())):  # brings what librosa loads late
        yield _run(map, _by_librosa, None)


@contextmanager
def load_native(settings: Settings) -> Iterator[Run]:
    """Gives `run`; more than one worker are processes that start here, fresh ones: a fork would copy locks that threads hold."""
    song = partial(_by_native, lightweight=is_lightweight("features.native", settings))
    with native.load(settings.only(("mode",))):
        if (settings.workers or 1) == 1:
            yield _run(map, song, settings.longest_audio)
            return
        with ProcessPoolExecutor(settings.workers, get_context("spawn")) as pool:
            list(pool.map(abs, range(settings.workers or 1)))  # a task each, so that all are there
            yield _run(pool.map, song, settings.longest_audio)


def _run(over: Callable[[Song, list[Inputs]], Iterable[Outputs]], song: Song, longest: float | None) -> Run:
    def run(inputs: Inputs) -> Outputs:
        return stacked(list(over(song, songs_of(inputs, longest))))

    return run


REFERENCE = Implementation(
    component="song_queue",
    name="reference",
    role="reference",
    load=load_librosa,
    requires=Requires(packages=("librosa",)),
    description="librosa, one song after another",
)
NATIVE = Implementation(
    component="song_queue",
    name="native",
    role="optimized",
    load=load_native,
    requires=Requires(native="implementations.features._native"),
    settings=("workers", "mode", "longest_audio"),
    variants=(LIGHTWEIGHT,),
    description="the native features on one thread, songs shared out to as many processes as there are workers",
)
