"""Sizes of a HeartCodec, the named ones and those of a checkpoint's config.json; rates and lengths that follow from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

CODES_PER_SECOND, LATENTS_PER_SECOND = 12.5, 25
LATENTS_PER_FRAME = 2
CHANNELS = 2


class BadCheckpoint(ValueError):
    """A checkpoint that is not what the codec needs: says where, what was expected and what was found."""


def _positive(value: Any) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return bool(values) and all(type(one) is int and one >= 1 for one in values)


@dataclass(frozen=True)
class Configuration:
    """Sizes by the names of upstream's config.json; the defaults are the published ones (HeartMuLa/heartlib, HeartCodecConfig).

    dim: of the summed codes. num_layers, num_layers_2: blocks of width heads x head_dim, then of twice that. out_channels: of a latent,
    2 stereo channels of latent_hidden_dim. init_channel: of the decoder's last stage; each stage before it has twice as many.
    num_samples: repetitions after the last stage.
    """

    dim: int = 512
    codebook_size: int = 8192
    codebook_dim: int = 32
    num_quantizers: int = 8
    attention_head_dim: int = 64
    num_attention_heads: int = 24
    num_layers: int = 24
    num_layers_2: int = 6
    out_channels: int = 256
    latent_hidden_dim: int = 128
    init_channel: int = 64
    num_samples: int = 2
    sample_rate: int = 48000
    upsample_factors: tuple[int, ...] = field(default=(5, 4, 4, 4, 3))

    def __post_init__(self) -> None:
        wrong = [f"{name}={value!r}" for name, value in vars(self).items() if not _positive(value)]
        if wrong:
            raise BadCheckpoint(f"codec configuration: expected whole numbers >= 1, found {', '.join(wrong)}")
        if self.samples_per_latent * LATENTS_PER_SECOND != self.sample_rate:
            raise BadCheckpoint(
                f"codec configuration: expected {LATENTS_PER_SECOND} latents a second, found {self.sample_rate} Hz "
                f"with {self.samples_per_latent} samples to a latent"
            )
        if self.out_channels != CHANNELS * self.latent_hidden_dim:
            raise BadCheckpoint(
                f"codec configuration: expected out_channels of {CHANNELS} x latent_hidden_dim, "
                f"found {self.out_channels} and {self.latent_hidden_dim}"
            )

    @property
    def width(self) -> int:
        """Of the first blocks; the second ones have twice that."""
        return self.num_attention_heads * self.attention_head_dim

    @property
    def in_channels(self) -> int:
        """What the estimator sees of a latent: its present value, its context, its condition."""
        return 2 * self.out_channels + self.dim

    @property
    def samples_per_latent(self) -> int:
        return math.prod(self.upsample_factors) * self.num_samples

    @property
    def samples_per_frame(self) -> int:
        """Samples to a frame of codes."""
        return LATENTS_PER_FRAME * self.samples_per_latent


FLAVOURS: dict[str, Configuration] = {
    "published": Configuration(),
    "width": Configuration(num_layers=1, num_layers_2=1),
    "small": Configuration(
        dim=64, codebook_dim=16, attention_head_dim=32, num_attention_heads=4, num_layers=4, num_layers_2=2, init_channel=4,
        latent_hidden_dim=32, out_channels=64,
    ),
    "tiny": Configuration(
        dim=16, codebook_size=61, codebook_dim=8, attention_head_dim=8, num_attention_heads=2, num_layers=2, num_layers_2=1, init_channel=2,
        sample_rate=2400, upsample_factors=(3, 2, 2, 2, 2),
    ),
}  # fmt: skip
"""`width` has the published widths and one block of each kind: what a layer costs, in minutes instead of hours."""

_FIXED: Mapping[str, Any] = {
    "norm_type": "ada_norm_single", "causal": True, "num_bands": 1, "default_kernel_size": 7, "delay_kernel_size": 5, "res_kernel_size": 7,
}  # fmt: skip
"""Of upstream's options, the values that its checkpoints have and that the model here is written for."""


def read(path: Path) -> Configuration:
    """The configuration in a checkpoint's config.json; BadCheckpoint where it is not one of a HeartCodec."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{path}: expected the configuration of a HeartCodec, found: {error}") from None
    if not isinstance(content, dict) or content.get("model_type", "heartcodec") != "heartcodec":
        found = content.get("model_type") if isinstance(content, dict) else type(content).__name__
        raise BadCheckpoint(f"{path}: expected model_type heartcodec, found {found!r}; the codec's folder is named HeartCodec")
    known = {item.name for item in fields(Configuration)}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items() if name in known}
    try:
        found = Configuration(**values)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{path}: {error}") from None
    expected = dict(_FIXED) | {
        "in_channels": found.in_channels,
        "upsample_kernel_sizes": [2 * factor for factor in found.upsample_factors],
    }
    for name, value in expected.items():
        if content.get(name, value) != value:
            raise BadCheckpoint(f"{path}: {name}: expected {value!r}, found {content[name]!r}: another flavour of codec")
    return found
