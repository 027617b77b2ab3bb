"""PyTorch with weight norm folded and the wave as a picture of one row: oneDNN's channels-last kernels are for two dimensions only."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations.tts.vocoder.component import BFLOAT16, FLOAT16
from implementations.tts.vocoder.serving import Vocode, implementation
from implementations.tts.vocoder.streaming import chunks

if TYPE_CHECKING:
    import torch

    from harness.settings import Settings
    from implementations.tts.vocoder.hifigan import Generator, Weights
    from implementations.tts.vocoder.shapes import Shape


def planar(made: Generator) -> Generator:
    """The same generator for mel (batch, mels, 1, frames), with wave (batch, 1, 1, samples)."""
    from torch import nn

    made = copy.deepcopy(made)
    for parent in list(made.modules()):
        for name, layer in list(parent.named_children()):
            if not isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
                continue
            inputs, outputs, kernel, padding = layer.in_channels, layer.out_channels, layer.kernel_size[0], (0, int(layer.padding[0]))
            flat: nn.Module
            if isinstance(layer, nn.ConvTranspose1d):
                flat = nn.ConvTranspose2d(inputs, outputs, (1, kernel), stride=(1, layer.stride[0]), padding=padding)
            else:
                flat = nn.Conv2d(inputs, outputs, (1, kernel), dilation=(1, layer.dilation[0]), padding=padding)
            flat.load_state_dict({"weight": layer.weight[:, :, None], "bias": layer.get_parameter("bias")})
            setattr(parent, name, flat)
    return made.eval().requires_grad_(False)


def ready(made: Generator, precision: str) -> tuple[Any, torch.dtype]:
    """The planar generator in that precision, and the dtype of what passes between its layers."""
    import torch

    from implementations.tts.stored import in_float16

    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    flat: Any = planar(made)
    flat = flat.to(dtype=dtype, memory_format=torch.channels_last)
    return in_float16(flat) if precision == "float16" else flat, dtype


def vocoder(shape: Shape, weights: Weights, *, precision: str = "float32") -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """mel (frames, mels) -> wave (samples,), both float32, and what the weights take.

    precision "bfloat16": weights, and all that passes between layers; "float16": weights alone.
    """
    import torch

    from implementations.tts.stored import weight_bytes
    from implementations.tts.vocoder.hifigan import generator

    made, dtype = ready(generator(shape, weights), precision)

    @torch.inference_mode()
    def vocode(mel: np.ndarray) -> np.ndarray:
        picture = torch.from_numpy(mel)[None, None].to(dtype).permute(0, 3, 1, 2)  # its memory is (frames, mels): channels last
        wave: np.ndarray = made(picture)[0, 0, 0].float().numpy()
        return wave

    return vocode, weight_bytes(made)


def _whole(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocode, int]:
    return vocoder(shape, weights, precision=settings.precision or "float32")


def _streamed(shape: Shape, weights: Weights, settings: Settings) -> tuple[Vocode, int]:
    vocode, size = vocoder(shape, weights, precision=settings.precision or "float32")

    def stream(mel: np.ndarray) -> Iterator[np.ndarray]:
        for chunk in chunks(len(mel), shape):
            yield vocode(mel[chunk.mel])[chunk.wave]

    return stream, size


IMPLEMENTATION = implementation(
    "torch_planar",
    "optimized",
    _whole,
    precisions=("float32", "bfloat16", "float16"),
    requires=Requires(packages=("torch",)),
    variants=(BFLOAT16, FLOAT16),
    description="PyTorch, weight norm folded, channels last",
)
STREAMING = implementation(
    "torch_streaming",
    "optimized",
    _streamed,
    precisions=("float32", "bfloat16", "float16"),
    requires=Requires(packages=("torch",)),
    variants=(BFLOAT16, FLOAT16),
    description="the same in growing chunks, each with the context that makes it exact",
)
