"""What four proposals save per track of four stems, in MLX: `python -m implementations.spectrogram.savings`.

The source document proposes to keep window and filters, to transform four stems in one call, to hand the spectrogram over in memory
instead of a file, and to find local maxima without NumPy. Each is measured beside the way it replaces, in turns in one process. The
file's own share, reading it, is a stage of the document's table.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np

from harness.figures import tell
from harness.signals import stems
from implementations._comparing import in_turns
from implementations.dbn.boundaries import local_maxima
from implementations.spectrogram import mlx_batched
from implementations.spectrogram.reference import FRAMES_PER_SECOND, forget

RATE, FILE = 44100, "spectrogram.npy"

Way = Callable[[], object]


def constants(parts: int) -> tuple[Way, Way]:
    """Window and filters made anew for each part of a track, and found where they were kept."""

    def make() -> None:
        for _ in range(parts):
            forget()
            mlx_batched.constants.cache_clear()
            mlx_batched.constants(RATE, False)

    def keep() -> None:
        for _ in range(parts):
            mlx_batched.constants(RATE, False)

    return make, keep


def batches(signals: np.ndarray) -> tuple[Way, Way]:
    """The stems of signals (stems, samples) float32 one after the other, and in one call."""

    def in_turn() -> None:
        for number in range(len(signals)):
            mx.eval(mlx_batched.spectrogram(signals[number : number + 1], RATE))

    return in_turn, lambda: mx.eval(mlx_batched.spectrogram(signals, RATE))


def handovers(found: mx.array, folder: Path) -> tuple[Way, Way]:
    """A spectrogram to the next stage through NumPy and a file, and as it is."""
    path = folder / FILE

    def through_a_file() -> None:
        np.save(path, np.array(found))
        read(path)

    return through_a_file, lambda: mx.eval(found)


def read(path: Path) -> None:
    """A spectrogram from a file, as an MLX array."""
    mx.eval(mx.array(np.load(path)))


def maxima(probabilities: mx.array) -> tuple[Way, Way]:
    """Local maxima of probabilities (frames,) float32 through NumPy and back, and on the device they lie on."""
    return (
        lambda: mx.eval(mx.array(local_maxima(np.array(probabilities)))),
        lambda: mx.eval(local_maxima(probabilities)),
    )


def _compare(ways: tuple[Way, Way], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds that the second way saves, and its speed-up, in each round."""
    before, after = in_turns(dict(enumerate(ways)), rounds).values()
    return [one - two for one, two in zip(before, after, strict=True)], [one / two for one, two in zip(before, after, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.spectrogram.savings", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the track")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    signals = stems(seconds=options.seconds, sample_rate=RATE)
    spectrogram = mlx_batched.spectrogram(signals, RATE)
    frames = round(options.seconds * FRAMES_PER_SECOND)
    curve = mx.array(np.random.default_rng(0).random(frames, dtype=np.float32))
    track = f"four stems of {options.seconds:g} s"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ways = {
            "seconds_saved_by_keeping": ("window and filters kept", constants(len(signals))),
            "speedup_batched": ("four stems in one call", batches(signals)),
            "seconds_saved_in_memory": ("no file between the stages", handovers(spectrogram, folder)),
            "seconds_saved_on_device": ("local maxima without NumPy", maxima(curve)),
        }
        for metric, (words, pair) in ways.items():
            saved, faster = _compare(pair, options.rounds)
            print(f"{words}: saves {_shown(saved, 1e3)} ms of {track}; {_shown(faster, 1)} times as fast", flush=True)
            values = faster if metric.startswith("speedup") else saved
            tell(metric, statistics.median(values), "measured", f"mlx, {track}", interval=(min(values), max(values)))
        (reading,) = in_turns({"": lambda: read(folder / FILE)}, options.rounds).values()
        print(f"the file read: {_shown(reading, 1e3)} ms of {track}")
        tell("file_read_seconds", statistics.median(reading), "measured", f"mlx, {track}", interval=(min(reading), max(reading)))


def _shown(values: list[float], factor: float) -> str:
    point, low, high = (factor * value for value in (statistics.median(values), min(values), max(values)))
    return f"{point:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
