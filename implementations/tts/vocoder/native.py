"""The native vocoder: Toom and Cook's minimal filtering in float32, 16- or 8-bit integers, tiles of time through whole stages (engine/)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations._cpus import usable_cpus
from implementations._memory import give_back
from implementations.tts.quality import proxies
from implementations.tts.vocoder.component import check_mel, precision_variant
from implementations.tts.vocoder.serving import Vocode, implementation
from implementations.tts.vocoder.shapes import Shape
from implementations.tts.vocoder.streaming import chunks

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.vocoder.hifigan import Weights

MOST_FRAMES = 2048
"""At once: 24 s of V1 at 22.05 kHz, 130 MB. Longer mels go in parts of `LONG` frames with their context."""

LONG = 1984

INT16 = precision_variant(
    "int16",
    40.0,
    "products of 16-bit integers, about 13 bits of each used, with scales per point, output channel and block of time",
    also=proxies(),
)

INT8 = precision_variant(
    "int8",
    20.0,
    "products of 8-bit integers in residual blocks of 64 channels and more, with scales per point, output channel and block of time",
    also=proxies(),
)

BITS = {"float32": 32, "int16": 16, "int8": 8}


class Vocoder:
    """A generator packed for one dispatch level.

    precision: "float32"; "int16": products of 16-bit integers, exact sums of 32 bits, all else float32; "int8": those of 8 bits in residual
    blocks where there are channels enough. level: "avx512_vnni", "avx512", "avx2", "neon" or "baseline", the fastest by default; only the
    first multiplies 8 bits faster than 16. threads: as many as there are CPUs by default; the result does not
    depend on them. pool: keep the buffers that a call works in for the next one; else the system has them back after each call. Calls from
    several threads take turns.
    """

    def __init__(
        self,
        shape: Shape,
        weights: Weights,
        *,
        precision: str = "float32",
        threads: int | None = None,
        level: str = "auto",
        pool: bool = True,
    ) -> None:
        if precision not in BITS:
            raise ValueError(f"tts_vocoder.native: precision: expected {', '.join(BITS)}, found {precision!r}")
        native = import_module("implementations.tts.vocoder._native")
        layers = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in _order(shape)]
        self._native: Any = native.Vocoder(
            layers,
            rates=shape.rates,
            pairs=shape.resblock == 1,
            dilations=shape.block_dilations,
            bits=BITS[precision],
            level=level,
        )
        self.shape, self.precision, self.level = shape, precision, str(self._native.level)
        self.threads, self.pool = threads or usable_cpus(), pool
        self.weight_bytes = int(self._native.weight_bytes)
        """What the packed weights take, with their scales and biases."""

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        """mel (frames, mels) float32 -> wave (frames * hop,) float32; TypeError, ValueError: not such a mel, or not finite."""
        mel = check_mel(mel, self.shape)
        if len(mel) > MOST_FRAMES:
            return np.concatenate([self(mel[part.mel])[part.wave] for part in chunks(len(mel), self.shape, first=LONG, longest=LONG)])
        wave = np.empty(len(mel) * self.shape.hop, np.float32)
        self._native.run(mel, wave, self.threads)
        if not self.pool:
            self._native.release()
            give_back()
        return wave

    def stream(self, mel: np.ndarray) -> Iterator[np.ndarray]:
        """The same wave in growing chunks: in float32 to within the rounding of a sum, in int16 to within that of its scales."""
        mel = check_mel(mel, self.shape)
        for chunk in chunks(len(mel), self.shape):
            yield self(mel[chunk.mel])[chunk.wave]


def _order(shape: Shape) -> list[str]:
    """Layers as they compute: an upsampling before the blocks of its stage, the convolutions of a pair one after the other."""
    names = ["conv_pre"]
    for i in range(len(shape.rates)):
        names.append(f"ups.{i}")
        for j, dilations in enumerate(shape.block_dilations):
            block = f"resblocks.{i * len(shape.block_dilations) + j}"
            for k in range(len(dilations)):
                names += [f"{block}.convs1.{k}", f"{block}.convs2.{k}"] if shape.resblock == 1 else [f"{block}.convs.{k}"]
    return [*names, "conv_post"]


def _made(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocoder, int]:
    made = Vocoder(
        shape, weights, precision=settings.precision or "float32", threads=settings.threads, pool=settings.pool is not False
    )
    return made, made.weight_bytes


def _streamed(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocode, int]:
    made, size = _made(shape, weights, settings)
    return made.stream, size


IMPLEMENTATION = implementation(
    "native",
    "optimized",
    _made,
    precisions=("float32", "int16"),
    requires=Requires(packages=("torch",), native="implementations.tts.vocoder._native"),
    variants=(INT16,),
    settings=("pool",),
    description="C++ with minimal filtering, tiles of time through whole stages, run-time dispatch",
)
STREAMING = implementation(
    "native_streaming",
    "optimized",
    _streamed,
    precisions=("float32", "int16"),
    requires=Requires(packages=("torch",), native="implementations.tts.vocoder._native"),
    variants=(INT16,),
    settings=("pool",),
    description="the same in growing chunks, each with the context that makes it exact",
)
QUANTIZED = implementation(
    "quantized",
    "optimized",
    _made,
    precisions=("int8",),
    requires=Requires(packages=("torch",), native="implementations.tts.vocoder._native", cpu_flags=("avx512_vnni",)),
    variants=(INT8,),
    plain=False,
    settings=("precision", "pool"),
    description="the same with 8-bit products in the wide residual blocks",
)
