"""Log-filtered spectrogram in NumPy, rounding where madmom rounds: the definition the other implementations are held to.

Frames of 2048 samples, 100 per second, centred on i * rate / 100; a Hann window; 1024 bins; 12 triangular bands per octave
from 30 to 17000 Hz; log10(1 + x). Settings of mir-aidj/all-in-one (spectrogram.py), behaviour of CPJKU/madmom @27f032e.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Run, Variant

if TYPE_CHECKING:
    from harness.settings import Settings

FRAME = 2048
BINS = FRAME // 2
FRAMES_PER_SECOND = 100
RATES = (1000, 192000)  # Hz; above the last, hops leave gaps between frames
CHUNK = 512  # frames at a time: 8 MB of float64, so that a long song needs no gigabytes


@lru_cache(maxsize=1)
def window() -> np.ndarray:
    """The symmetric Hann window, (2048,) float64, read-only; int16 signals are windowed with it divided by 32767."""
    return _frozen(np.hanning(FRAME))


@lru_cache(maxsize=16)
def filterbank(sample_rate: int) -> np.ndarray:
    """Triangular filters of unit area, (1024, bands) float32, read-only.

    Centres are the FFT bins nearest to the notes of A4 = 440 Hz from 30 to 17000 Hz, each bin once, so that the number of
    bands depends on the rate: 81 at 44.1 kHz, 80 at 48 kHz, 84 at 22.05 kHz. Notes beyond the Nyquist frequency fall on the last bin.
    """
    return _frozen(_filters(sample_rate, np.float32))


@dataclass(frozen=True)
class Block:
    """Neighbouring bands and the bins they look at: spectrum[first:last] @ weights gives result[bands]."""

    bands: slice
    first: int
    last: int
    weights: np.ndarray


def forget() -> None:
    """Make window and filters anew at their next use: what `cache=false` measures."""
    window.cache_clear()
    filterbank.cache_clear()


def filter_blocks(sample_rate: int, count: int) -> tuple[Block, ...]:
    """The filterbank as `count` dense blocks along its diagonal: 4 hold a fifth of the products of the whole matrix."""
    bank = filterbank(sample_rate)
    blocks = []
    for bands in np.array_split(np.arange(bank.shape[1]), min(count, bank.shape[1])):
        part = slice(int(bands[0]), int(bands[-1]) + 1)
        used = np.flatnonzero(bank[:, part].any(axis=1))
        first, last = int(used[0]), int(used[-1]) + 1
        blocks.append(Block(part, first, last, bank[first:last, part]))
    return tuple(blocks)


def frame_count(samples: int, sample_rate: int) -> int:
    """ceil(samples / hop), in madmom's floating point."""
    return math.ceil(samples / (sample_rate / FRAMES_PER_SECOND))


def frame_starts(samples: int, sample_rate: int) -> np.ndarray:
    """First sample of each frame, (frames,) int64: int(i * hop) - 1024; what lies outside the signal counts as zero."""
    hop = sample_rate / FRAMES_PER_SECOND
    return np.asarray((np.arange(frame_count(samples, sample_rate)) * hop).astype(np.int64) - FRAME // 2)


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames, and the samples they need: signal[first:last] between `left` and `right` zeros.

    starts: (frames,) int64, counted from the first of those zeros.
    """

    frames: slice
    first: int
    last: int
    left: int
    right: int
    starts: np.ndarray


def chunks(samples: int, sample_rate: int, size: int) -> Iterator[Chunk]:
    """All frames of a signal in order, at most `size` at a time."""
    starts = frame_starts(samples, sample_rate)
    for i in range(0, len(starts), size):
        part = starts[i : i + size]
        begin, end = int(part[0]), int(part[-1]) + FRAME
        first, last = max(begin, 0), min(end, samples)
        yield Chunk(slice(i, i + len(part)), first, last, first - begin, end - last, part - begin)


def to_mono(signals: np.ndarray) -> np.ndarray:
    """(stems, samples[, channels]) to (stems, samples) of the same dtype: the mean; int16 is truncated toward zero."""
    if signals.ndim == 2:
        return signals
    channels = signals.shape[2]
    if channels == 1:
        return signals[:, :, 0]
    total = signals[:, :, 0].astype(np.int64 if signals.dtype == np.int16 else signals.dtype)
    for channel in range(1, channels):
        total += signals[:, :, channel]
    if signals.dtype != np.int16:
        return np.asarray(total / total.dtype.type(channels))
    return np.asarray((total / channels).astype(np.int16))


def check_signals(inputs: Inputs) -> tuple[np.ndarray, int]:
    """The signals and the sample rate in Hz, once type, shape and rate are right; TypeError or ValueError otherwise.

    Finiteness is checked on the result (`check_finite`), which is five times smaller than the input.
    """
    signals = inputs["signals"]
    if not isinstance(signals, np.ndarray):
        raise TypeError(f"spectrogram: signals: expected a NumPy array, found {type(signals).__name__}; convert it with numpy.asarray")
    return signals, check_form(str(signals.dtype), signals.shape, inputs["sample_rate"])


def check_form(dtype: str, shape: tuple[int, ...], sample_rate: Any) -> int:
    """The sample rate in Hz, once it and the signals' dtype and shape are right: for arrays of any library."""
    if dtype not in ("int16", "float32"):
        raise TypeError(f"spectrogram: signals: expected dtype int16 or float32, found {dtype}; convert the signals first")
    if len(shape) not in (2, 3) or shape[0] == 0 or 0 in shape[2:]:
        raise ValueError(
            "spectrogram: signals: expected shape (stems, samples) or (stems, samples, channels) with at least one stem and channel, "
            f"found {shape}; a single mono signal is signal[None]"
        )
    if not isinstance(sample_rate, int | np.integer) or isinstance(sample_rate, bool):
        raise TypeError(f"spectrogram: sample_rate: expected a whole number of Hz, found {sample_rate!r} ({type(sample_rate).__name__})")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise ValueError(f"spectrogram: sample_rate: expected {RATES[0]} to {RATES[1]} Hz, found {sample_rate}; resample the signals first")
    return int(sample_rate)


def check_finite(signals: np.ndarray, spectrogram_sum: float) -> None:
    """ValueError where a sample is NaN or infinite, or so large that its magnitude overflows.

    `spectrogram_sum` is the sum of the result: not finite exactly if one such sample lies inside a frame.
    """
    if math.isfinite(spectrogram_sum):
        return
    finite = np.isfinite(signals)
    if finite.all():
        found = f"a peak of {np.abs(signals).max():g}, too large for a float32 magnitude; scale the signal to [-1, 1]"
    else:
        where = np.unravel_index(int(np.argmin(finite)), signals.shape)
        found = f"{signals[where]} at stem {where[0]}, sample {where[1]}; remove NaN and inf first"
    raise ValueError(f"spectrogram: signals: expected finite samples, normally in [-1, 1], found {found}")


def spectrogram(signals: np.ndarray, sample_rate: int, *, truth: bool = False) -> np.ndarray:
    """(stems, frames, bands) float32 of checked signals; `truth` keeps every step, and the result, in float64."""
    samples, frames = signals.shape[1], frame_count(signals.shape[1], sample_rate)
    taper = window() / np.iinfo(np.int16).max if signals.dtype == np.int16 else window()
    bank = _filters(sample_rate, np.float64) if truth else filterbank(sample_rate)
    # madmom stores its float64 transform as complex64: the magnitudes are float32 from there on.
    spectrum_type = np.complex128 if truth else np.complex64
    result = np.empty((len(signals), frames, bank.shape[1]), bank.dtype)
    magnitudes = np.empty((frames, BINS), bank.dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # check_finite names the sample
        for stem in range(len(signals)):
            for chunk in chunks(samples, sample_rate, CHUNK):
                part = signals[stem : stem + 1, chunk.first : chunk.last]
                mono = to_mono(part.astype(np.float64) if truth and part.dtype != np.int16 else part)[0]
                windows = np.lib.stride_tricks.sliding_window_view(np.pad(mono, (chunk.left, chunk.right)), FRAME)
                spectrum = np.fft.rfft(windows[chunk.starts] * taper)[:, :BINS]
                np.abs(spectrum.astype(spectrum_type), out=magnitudes[chunk.frames])
            # One product for the whole stem: a BLAS sums in another order for another shape, and madmom's shape is this one.
            result[stem] = np.log10(magnitudes @ bank + bank.dtype.type(1))
        check_finite(signals, float(result.sum(dtype=np.float64)))
    return result


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`; precision "float32" is madmom's mixture (the default), "float64" the truth."""
    check_precision("reference", settings, "float32", "float64")
    truth = settings.precision == "float64"

    def run(inputs: Inputs) -> Outputs:
        signals, rate = check_signals(inputs)
        return {"spectrogram": spectrogram(signals, rate, truth=truth)}

    yield run


def check_precision(name: str, settings: Settings, *known: str) -> None:
    """ValueError unless the precision is left open or one of `known`."""
    if settings.precision not in (None, *known):
        raise ValueError(f"spectrogram.{name}: precision: expected {' or '.join(known)}, found {settings.precision!r}")


def _filters(sample_rate: int, dtype: type[np.floating[Any]]) -> np.ndarray:
    notes = 440 * 2.0 ** (np.arange(math.floor(12 * math.log2(30 / 440)), math.ceil(12 * math.log2(17000 / 440))) / 12)
    notes = notes[(notes >= 30) & (notes <= 17000)]
    frequencies = np.fft.fftfreq(FRAME, 1 / sample_rate)[:BINS]
    right = np.clip(frequencies.searchsorted(notes), 1, BINS - 1)
    nearest = np.where(notes - frequencies[right - 1] < frequencies[right] - notes, right - 1, right)
    bins = np.unique(nearest)
    bank = np.zeros((BINS, len(bins) - 2), dtype)
    for band, (start, centre, stop) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        rise = np.linspace(0, 1, centre - start, endpoint=False)
        fall = np.linspace(1, 0, stop - centre, endpoint=False)
        triangle = np.concatenate([rise, fall]).astype(dtype)
        bank[start:stop, band] = triangle / triangle.sum()
    return bank


def _frozen(array: Any) -> np.ndarray:
    array.setflags(write=False)  # shared by every caller in the process
    return np.asarray(array)


IMPLEMENTATION = Implementation(
    component="spectrogram",
    name="reference",
    role="reference",
    load=load,
    settings=("precision",),
    variants=(Variant({"precision": "float64"}),),
    description="NumPy with madmom's rounding points: float64 FFT stored as complex64, float32 magnitudes and filters",
)
