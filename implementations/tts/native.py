"""The native vocoder behind PyTorch's acoustic model: float32; the vocoder in int16; the acoustic convolutions in int8; both in int8."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Approximate, Metric, Requires, Variant
from implementations.tts.serving import implementation

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.tts.chain import Engine
    from implementations.tts.text.lexicon import Lexicon
    from implementations.tts.voices import Voice

INT16 = Variant(
    {"precision": "int16"}, {"wave": Approximate(Metric("snr_db", at_least=38.0), "the vocoder's products are of 16-bit integers")}
)
LIGHTWEIGHT = Variant({"mode": "lightweight"}, INT16.parity)
INT8 = Variant(
    {"precision": "int8"},
    {
        "wave": Approximate(
            Metric("snr_db", at_least=22.0),
            "convolutions behind the acoustic model's decisions in int8, products of the vocoder in 16-bit integers",
        )
    },
)

NARROWEST = Variant(
    {"precision": "int8"}, {"wave": Approximate(Metric("snr_db", at_least=19.0), "both models' convolutions behind the decisions in int8")}
)


def make(voice: Voice, lexicon: Lexicon, settings: Settings) -> Engine:
    return _engine(voice, lexicon, settings, narrow="int16")


def make_narrowest(voice: Voice, lexicon: Lexicon, settings: Settings) -> Engine:
    return _engine(voice, lexicon, settings, narrow="int8")


def _engine(voice: Voice, lexicon: Lexicon, settings: Settings, *, narrow: str) -> Engine:
    """narrow: what the vocoder multiplies in where the acoustic model does in int8."""
    from implementations.tts.acoustic.planar import planar
    from implementations.tts.acoustic.quantized import quantized
    from implementations.tts.acoustic.serving import model_of
    from implementations.tts.chain import Engine
    from implementations.tts.stored import weight_bytes
    from implementations.tts.vocoder.hifigan import weights_of
    from implementations.tts.vocoder.native import Vocoder

    precision = settings.precision or ("int16" if settings.mode == "lightweight" else "float32")
    model = model_of(voice.configuration)
    speak = quantized(model) if precision == "int8" else planar(model)
    vocoder = Vocoder(
        voice.shape,
        weights_of(voice.vocoder),
        precision=narrow if precision == "int8" else precision,
        threads=settings.threads,
        pool=settings.pool is not False,
    )

    def vocode(mels: np.ndarray) -> np.ndarray:
        return np.stack([vocoder(mel) for mel in mels])

    return Engine(voice.configuration, voice.shape, speak, vocode, lexicon, weight_bytes(speak) + vocoder.weight_bytes)


_NATIVE = Requires(packages=("torch",), native="implementations.tts.vocoder._native")
_VNNI = replace(_NATIVE, cpu_flags=("avx512_vnni",))

IMPLEMENTATION = implementation(
    "native",
    "optimized",
    make,
    precisions=("float32", "int16"),
    requires=_NATIVE,
    light=True,
    batches=False,
    variants=(INT16, LIGHTWEIGHT),
    description="PyTorch's acoustic model and the native vocoder",
)
STREAMING = implementation(
    "native_streaming",
    "optimized",
    make,
    precisions=("float32", "int16"),
    streamed=True,
    requires=_NATIVE,
    light=True,
    variants=(INT16, LIGHTWEIGHT),
    description="the same in growing chunks, the first after 8 mel frames",
)
QUANTIZED = implementation(
    "quantized",
    "optimized",
    make,
    precisions=("int8",),
    requires=_VNNI,
    batches=False,
    variants=(INT8,),
    plain=False,
    description="PyTorch's acoustic model with int8 convolutions, and the native vocoder in int16",
)
QUANTIZED_STREAMING = implementation(
    "quantized_streaming",
    "optimized",
    make,
    precisions=("int8",),
    streamed=True,
    requires=_VNNI,
    variants=(INT8,),
    plain=False,
    description="the same in growing chunks, the first after 8 mel frames",
)
QUANTIZED_THROUGHOUT = implementation(
    "quantized_throughout",
    "optimized",
    make_narrowest,
    precisions=("int8",),
    requires=_VNNI,
    batches=False,
    variants=(NARROWEST,),
    plain=False,
    description="both models with int8 convolutions",
)
