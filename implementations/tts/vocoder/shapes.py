"""The sizes of a HiFi-GAN generator and what follows from them: hop, context, parameters, arithmetic (Kong, Kim, Bae 2020, appendix A)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One upsampling and the residual blocks behind it. rate: samples of the wave per step of this stage are hop / (product of rates)."""

    inputs: int
    channels: int
    rate: int
    kernel: int


@dataclass(frozen=True)
class Shape:
    """A generator. resblock: 1 (pairs of convolutions, the second of each undilated) or 2 (single ones).

    rates, kernels: of the transposed convolutions. channels: behind the first convolution; each stage halves them.
    block_kernels, block_dilations: of the residual blocks of every stage, whose mean is the stage's result.
    """

    resblock: int
    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    channels: int
    block_kernels: tuple[int, ...] = (3, 7, 11)
    block_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5),) * 3
    mels: int = 80
    sample_rate: int = 22050

    def __post_init__(self) -> None:
        if self.resblock not in (1, 2):
            raise ValueError(f"HiFi-GAN shape: resblock: expected 1 or 2, found {self.resblock!r}")
        if len(self.rates) != len(self.kernels) or len(self.block_kernels) != len(self.block_dilations) or not self.rates:
            raise ValueError("HiFi-GAN shape: expected a kernel for each rate and dilations for each residual block")
        for rate, kernel in zip(self.rates, self.kernels, strict=True):
            if not 0 < rate <= kernel or (kernel - rate) % 2:
                raise ValueError(f"HiFi-GAN shape: a kernel of {kernel} cannot upsample by {rate}: expected kernel - rate even and >= 0")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.block_kernels):
            raise ValueError(f"HiFi-GAN shape: block_kernels: expected odd numbers, found {self.block_kernels}")
        if self.channels < 1 or self.channels % (1 << len(self.rates)):
            raise ValueError(f"HiFi-GAN shape: channels: expected a multiple of {1 << len(self.rates)}, found {self.channels}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Shape:
        """From the config.json that upstream keeps beside its checkpoints; ValueError names what it lacks."""
        try:
            return cls(
                resblock=int(config["resblock"]),
                rates=tuple(config["upsample_rates"]),
                kernels=tuple(config["upsample_kernel_sizes"]),
                channels=config["upsample_initial_channel"],
                block_kernels=tuple(config["resblock_kernel_sizes"]),
                block_dilations=tuple(tuple(each) for each in config["resblock_dilation_sizes"]),
                mels=config.get("num_mels", 80),
                sample_rate=config.get("sampling_rate", 22050),
            )
        except KeyError as missing:
            raise ValueError(f"HiFi-GAN config: expected {missing}, found {', '.join(sorted(config)) or 'nothing'}") from None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """From the mel's rate to the wave's."""
        return tuple(
            Stage(self.channels >> i, self.channels >> (i + 1), rate, kernel)
            for i, (rate, kernel) in enumerate(zip(self.rates, self.kernels, strict=True))
        )

    @property
    def hop(self) -> int:
        """Samples of the wave per mel frame."""
        return math.prod(self.rates)

    @property
    def block_reach(self) -> int:
        """Steps on either side that a residual block looks at, at most."""
        second = (1,) if self.resblock == 1 else ()
        return max(
            sum((kernel - 1) // 2 * (dilation + sum(second)) for dilation in dilations)
            for kernel, dilations in zip(self.block_kernels, self.block_dilations, strict=True)
        )

    @property
    def context(self) -> int:
        """Mel frames on either side that the samples of a frame depend on: what a chunk needs to be exact."""
        reach = 3
        for stage in reversed(self.stages):
            padding = (stage.kernel - stage.rate) // 2
            reach = (stage.rate - 1 + reach + self.block_reach + padding) // stage.rate
        return reach + 3

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the kernels by upstream's layer names: (out, in, taps), of `ups` (in, out, taps)."""
        found: dict[str, tuple[int, ...]] = {"conv_pre": (self.channels, self.mels, 7)}
        for i, stage in enumerate(self.stages):
            found[f"ups.{i}"] = (stage.inputs, stage.channels, stage.kernel)
        for i, stage in enumerate(self.stages):
            for j, (kernel, dilations) in enumerate(zip(self.block_kernels, self.block_dilations, strict=True)):
                block = f"resblocks.{i * len(self.block_kernels) + j}"
                for group in ("convs1", "convs2") if self.resblock == 1 else ("convs",):
                    for k in range(len(dilations)):
                        found[f"{block}.{group}.{k}"] = (stage.channels, stage.channels, kernel)
        found["conv_post"] = (1, self.stages[-1].channels, 7)
        return found

    @property
    def parameters(self) -> int:
        """Weights and biases, weight norm folded."""
        return sum(math.prod(size) + (size[1] if name.startswith("ups") else size[0]) for name, size in self.weights().items())

    @property
    def macs_per_frame(self) -> float:
        """Multiplications and additions that direct convolutions take for one mel frame of wave."""
        return self._per_frame(float)

    @property
    def products_per_frame(self) -> float:
        """The same by minimal filtering, four outputs at a time (Winograd 1980): 7 products for up to 4 taps, 6 for 3."""
        return self._per_frame(lambda taps: min(taps, (7 * math.ceil(taps / 4) - (taps % 4 > 0)) / 4))

    def _per_frame(self, per_output: Callable[[int], float]) -> float:
        """What all layers take, where one with so many taps takes per_output(taps) for each input and output channel."""
        total, steps = self.mels * self.channels * per_output(7), 1
        for stage in self.stages:
            steps *= stage.rate
            # Each step takes from kernel / rate steps of what is upsampled.
            total += steps * stage.inputs * stage.channels * per_output(stage.kernel // stage.rate)
            for kernel, dilations in zip(self.block_kernels, self.block_dilations, strict=True):
                count = len(dilations) * (2 if self.resblock == 1 else 1)
                total += steps * stage.channels**2 * count * per_output(kernel)
        return total + steps * self.stages[-1].channels * per_output(7)


V1 = Shape(resblock=1, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), channels=512)
V2 = Shape(resblock=1, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), channels=128)
V3 = Shape(
    resblock=2,
    rates=(8, 8, 4),
    kernels=(16, 16, 8),
    channels=256,
    block_kernels=(3, 5, 7),
    block_dilations=((1, 2), (2, 6), (3, 12)),
)
SHIPPED = replace(V3, channels=128)
V1_48KHZ = Shape(resblock=1, rates=(8, 8, 2, 4), kernels=(16, 16, 4, 8), channels=512, mels=128, sample_rate=48000)

SHAPES = {"v1": V1, "v2": V2, "v3": V3, "shipped": SHIPPED, "v1-48khz": V1_48KHZ}
"""The published generators for 22.05 kHz, the one of which trained weights ship, and V1 for 48 kHz with 128 mels and hops of 512."""
