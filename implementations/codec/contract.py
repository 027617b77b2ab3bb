"""The inputs of the three components, checked: TypeError or ValueError says what was expected and what was found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.component import Inputs
from implementations.codec.configuration import CODES_PER_SECOND, FLAVOURS, LATENTS_PER_FRAME, Configuration
from implementations.codec.song import LONGEST_SECONDS, cut


@dataclass(frozen=True)
class FlowCall:
    """codes (songs, frames, quantizers) int64, noise (songs, latents, channels) and context (songs, n, channels) float32."""

    model: str
    codes: np.ndarray
    noise: np.ndarray
    context: np.ndarray
    steps: int
    guidance: float


@dataclass(frozen=True)
class SongCall:
    """codes (frames, quantizers) int64, noise (segments, latents, channels) float32; segment in frames."""

    model: str
    codes: np.ndarray
    noise: np.ndarray
    segment: int
    steps: int
    guidance: float


def check_flow(inputs: Inputs) -> FlowCall:
    """The inputs of codec_flow."""
    configuration = _configuration(inputs)
    codes = check_codes(inputs["codes"], configuration, axes=3)
    songs, latents = len(codes), LATENTS_PER_FRAME * codes.shape[1]
    noise = check_latents("noise", inputs["noise"], (songs, latents, configuration.out_channels))
    found = np.shape(inputs["context"])
    known = found[1] if len(found) == 3 and found[1] <= latents else 0
    context = check_latents("context", inputs["context"], (songs, known, configuration.out_channels))
    return FlowCall(inputs["model"], codes, noise, context, *check_solver(inputs["steps"], inputs["guidance"]))


def check_decoder(inputs: Inputs) -> tuple[str, np.ndarray]:
    """The inputs of codec_decoder: the model's name and latents (t, channels) float32."""
    configuration = _configuration(inputs)
    found = np.shape(inputs["latents"])
    count = found[0] if found else 0
    if not 1 <= count <= LONGEST_SECONDS * LATENTS_PER_FRAME * CODES_PER_SECOND:
        raise ValueError(f"latents: expected 1 to {LONGEST_SECONDS * LATENTS_PER_FRAME * CODES_PER_SECOND:g} of them, found {count}")
    return inputs["model"], check_latents("latents", inputs["latents"], (count, configuration.out_channels))


def check_song(inputs: Inputs) -> SongCall:
    """The inputs of codec."""
    configuration = _configuration(inputs)
    codes = check_codes(inputs["codes"], configuration, axes=2)
    segment = check_segment(inputs["segment"])
    shape = (cut(len(codes), segment).count, LATENTS_PER_FRAME * segment, configuration.out_channels)
    noise = check_latents("noise", inputs["noise"], shape)
    return SongCall(inputs["model"], codes, noise, segment, *check_solver(inputs["steps"], inputs["guidance"]))


def check_codes(codes: Any, configuration: Configuration, *, axes: int) -> np.ndarray:
    """Codes as contiguous int64, (frames, quantizers) or with songs before, every one an entry of its codebook."""
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        found = f"dtype {codes.dtype}" if isinstance(codes, np.ndarray) else type(codes).__name__
        raise TypeError(f"codes: expected an array of whole numbers, found {found}")
    expected = f"({'songs, ' if axes == 3 else ''}frames, {configuration.num_quantizers})"
    if codes.ndim != axes or codes.shape[-1] != configuration.num_quantizers or codes.shape[0] == 0:
        raise ValueError(f"codes: expected shape {expected}, found {codes.shape}")
    seconds, frames = codes.shape[-2] / CODES_PER_SECOND, codes.shape[-2]
    if not 0 < seconds <= LONGEST_SECONDS:
        most = int(LONGEST_SECONDS * CODES_PER_SECOND)
        raise ValueError(f"codes: expected 1 to {most} frames ({LONGEST_SECONDS:g} s), found {frames} ({seconds:g} s)")
    wrong = (codes < 0) | (codes >= configuration.codebook_size)
    if wrong.any():
        *_, frame, quantizer = place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise ValueError(
            f"codes: expected 0 to {configuration.codebook_size - 1}, found {codes[place]} at frame {frame}, codebook {quantizer}: "
            "the generator's special tokens are no sound; end the song before them"
        )
    return np.ascontiguousarray(codes, np.int64)


def check_latents(name: str, latents: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Finite float32 of that shape, contiguous."""
    if not isinstance(latents, np.ndarray) or latents.dtype != np.float32:
        found = f"dtype {latents.dtype}" if isinstance(latents, np.ndarray) else type(latents).__name__
        raise TypeError(f"{name}: expected a float32 array, found {found}")
    if latents.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, found {latents.shape}")
    if not math.isfinite(float(np.add.reduce(latents, axis=None, dtype=np.float64))):
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(latents))[0])
        raise ValueError(f"{name}: expected finite values, found {latents[place]} at {list(place)}")
    return np.ascontiguousarray(latents)


def check_segment(segment: Any) -> int:
    """Frames of a segment."""
    if type(segment) is not int or not 1 <= segment <= 4096:
        raise ValueError(f"segment: expected 1 to 4096 frames, found {segment!r}")
    return segment


def check_solver(steps: Any, guidance: Any) -> tuple[int, float]:
    """Euler steps, and the scale of the guidance: up to 1 there is none."""
    if type(steps) is not int or not 1 <= steps <= 1000:
        raise ValueError(f"steps: expected 1 to 1000, found {steps!r}")
    if isinstance(guidance, bool) or not isinstance(guidance, int | float) or not 0 <= guidance <= 100:
        raise ValueError(f"guidance: expected 0 to 100, found {guidance!r}")
    return steps, float(guidance)


def _configuration(inputs: Inputs) -> Configuration:
    name = inputs["model"]
    if name not in FLAVOURS:
        raise ValueError(f"model: expected one of {', '.join(FLAVOURS)}, found {name!r}")
    return FLAVOURS[name]
