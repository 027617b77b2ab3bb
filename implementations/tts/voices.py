"""Which acoustic model speaks through which vocoder."""

from __future__ import annotations

from dataclasses import dataclass

from implementations.tts.acoustic import configurations
from implementations.tts.acoustic.configurations import Configuration
from implementations.tts.vocoder.shapes import SHAPES, Shape


@dataclass(frozen=True)
class Voice:
    """Two models that fit together. vocoder: a name of `SHAPES`."""

    configuration: Configuration
    vocoder: str

    def __post_init__(self) -> None:
        for name in ("mels", "hop", "sample_rate"):
            ours, theirs = getattr(self.configuration, name), getattr(self.shape, name)
            if ours != theirs:
                raise ValueError(f"voice of {self.configuration.name} and {self.vocoder}: expected equal {name}, found {ours} and {theirs}")

    @property
    def shape(self) -> Shape:
        """The vocoder's sizes."""
        return SHAPES[self.vocoder]


VOICES = {
    "v1": Voice(configurations.LJSPEECH, "v1"),
    "v2": Voice(configurations.LJSPEECH, "v2"),
    "v3": Voice(configurations.LJSPEECH, "v3"),
    "small": Voice(configurations.SMALL, "v3"),
}
"""At 22.05 kHz."""

SIZES = {"small": "small", "medium": "v2", "large": "v1"}
"""What model_size speaks with: of V2's vocoder the parameters are a fifteenth of V1's, `small` is V3's behind a small FastSpeech2."""

AT_48KHZ = Voice(configurations.SOURCE_48K, "v1-48khz")
"""What the source document means by 48 kHz: models of that rate, in place of V1's."""
