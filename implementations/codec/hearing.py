"""Does a song sound what its codes say? `python -m implementations.codec.hearing` measures the small codec against the score's own sound.

Held-out songs are those of odd seeds, which nothing was trained on; written ones are the small generator's. Beside the trained codec stand
random weights of the same sizes, brought to the score's loudness, and silence.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from implementations.codec.library import SHIPPED, Codec, open_codec
from implementations.codec.score import FRAME, MELODY_HERTZ, SAMPLE_RATE, melody, render

SEGMENT = 93
FLOOR = 1e-10
"""Mel energies below are silence: 80 dB under a sine at full scale, about."""


def notes_right(wave: np.ndarray, codes: np.ndarray) -> float:
    """The share of the melody's notes that sound loudest among the twelve of their octave in their frame. wave: (frames x 3840, 2)."""
    heard, asked = melody_of(wave), melody(codes)
    return float((heard == asked)[asked >= 0].mean())


def melody_of(wave: np.ndarray) -> np.ndarray:
    """(frames,) int64: the loudest pitch class of the melody's octave in each frame; where all are alike, as in silence, C."""
    time = np.arange(FRAME) / SAMPLE_RATE
    filters = np.hanning(FRAME)[:, None] * np.exp(-2j * np.pi * time[:, None] * MELODY_HERTZ)
    found: np.ndarray = np.abs(wave.sum(axis=1).reshape(-1, FRAME) @ filters).argmax(axis=1)
    return found


def mel_distance_db(wave: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square difference of log-mel spectra (2048 samples, every 512; 128 bands) of both channels, in dB."""
    return float(np.sqrt(np.mean((_log_mel(wave) - _log_mel(expected)) ** 2)))


def spectral_convergence(wave: np.ndarray, expected: np.ndarray) -> float:
    """By how much magnitudes are off, over the expected ones (Frobenius norms): 0 is right, silence has 1."""
    ours, theirs = _magnitudes(wave), _magnitudes(expected)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def held_out(songs: int, frames: int) -> Iterator[np.ndarray]:
    """Codes (frames, 8) that nothing was trained on."""
    from implementations.generator.songs import song

    for number in range(songs):
        yield song(2 * number + 1, frames)[2]


def written(songs: int, frames: int) -> Iterator[np.ndarray]:
    """Codes (frames, 8) that the small generator writes, tag after tag."""
    from implementations.generator.flavours import FRAMES_PER_SECOND
    from implementations.generator.pipeline import Song, open_generator
    from implementations.generator.songs import TAGS

    with open_generator() as generator:
        for number in range(songs):
            asked = Song(TAGS[number % len(TAGS)], "la la", frames / FRAMES_PER_SECOND, seed=number)
            yield np.concatenate(list(generator.codes(asked)))


@contextmanager
def untrained() -> Iterator[Codec]:
    """A codec of the sizes of the trained one with random weights."""
    from implementations.codec import model
    from implementations.codec.reference import kernels
    from implementations.codec.training import SIZES

    yield Codec(SIZES, kernels(model.seeded(SIZES)))


def _magnitudes(wave: np.ndarray) -> np.ndarray:
    """(channels, frames, 1025)."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(wave.T, ((0, 0), (1024, 1024))), 2048, axis=1)[:, ::512]
    found: np.ndarray = np.abs(np.fft.rfft(windows * np.hanning(2048).astype(np.float32)))
    return found


def _log_mel(wave: np.ndarray) -> np.ndarray:
    from implementations.features.tables import mel_bank

    energies = (_magnitudes(wave) / 512) ** 2 @ mel_bank(SAMPLE_RATE).T
    found: np.ndarray = 10 * np.log10(np.maximum(energies, FLOOR))
    return found


def table(folder: Path, songs: int, frames: int) -> str:
    """Markdown: the means over songs of each kind, for the codec in a folder, random weights, silence, and the score's own sound."""
    lines = ["| songs | sound | notes right | spectral convergence | log-mel distance |", "|---|---|---|---|---|"]
    with open_codec(folder, backend="auto") as trained, untrained() as random:
        for kind, of in (("held out", held_out), ("written", written)):
            rows: dict[str, list[tuple[float, ...]]] = {}
            for codes in of(songs, frames):
                expected, noise = render(codes), random.decode(codes, seed=3, segment=SEGMENT)
                sounds = {
                    "trained": trained.decode(codes, seed=3, segment=SEGMENT),
                    "random weights": noise * (expected.std() / noise.std()),
                    "silence": np.zeros_like(expected),
                    "the score": expected,
                }
                for name, wave in sounds.items():
                    measured = notes_right(wave, codes), spectral_convergence(wave, expected), mel_distance_db(wave, expected)
                    rows.setdefault(name, []).append(measured)
            for name, found in rows.items():
                notes, convergence, mel = np.mean(found, axis=0)
                lines.append(f"| {kind} | {name} | {notes:.1%} | {convergence:.3f} | {mel:.1f} dB |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.codec.hearing", description=__doc__)
    parser.add_argument("--codec", type=Path, default=SHIPPED / "small", help="a folder of the small codec's sizes")
    parser.add_argument("--songs", type=int, default=8, help="of each kind")
    parser.add_argument("--frames", type=int, default=125)
    options = parser.parse_args()
    print(table(options.codec, options.songs, options.frames))


if __name__ == "__main__":
    main()
