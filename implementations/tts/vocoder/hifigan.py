"""HiFi-GAN's generator in PyTorch, and its weights: upstream's checkpoints, safetensors, or reproducible random ones.

Behaviour of jik876/hifi-gan @4769534 (models.py); names of layers and weights are upstream's, so that its `generator` state dicts load.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import weight_norm

from implementations.tts import checkpoints
from implementations.tts.vocoder.shapes import SHAPES, Shape

Weights = Mapping[str, np.ndarray]
"""float32 arrays: `<layer>.weight` and `<layer>.bias` for each layer of `Shape.weights()`; weight norm folded."""

MOST_BYTES = 1 << 30
"""Of a checkpoint: V1 with its weight norm takes 56 MB."""


INSTEAD = "TTS_VOCODER_CHECKPOINTS"
"""Environment variable: a folder with checkpoints named after the vocoders (`v1.pth`, ...), to measure in place of random weights."""


class BadCheckpoint(ValueError):
    """A checkpoint that is not the generator it should be: says where, what was expected and what was found."""


class ResBlock1(nn.Module):
    """Three times: a dilated and a plain convolution, added to what came in."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(nn.Conv1d(channels, channels, kernel, dilation=d, padding=(kernel - 1) * d // 2) for d in dilations)
        self.convs2 = nn.ModuleList(nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(leaky_relu(first(leaky_relu(x, 0.1)), 0.1))
        return x


class ResBlock2(nn.Module):
    """Twice: a dilated convolution, added to what came in."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(channels, channels, kernel, dilation=d, padding=(kernel - 1) * d // 2) for d in dilations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = x + conv(leaky_relu(x, 0.1))
        return x


class Generator(nn.Module):
    """mel (batch, mels, frames) -> wave (batch, 1, frames * hop) in (-1, 1).

    normed: with weight norm, as upstream trains (state dict with weight_g and weight_v); without, the weights are `Weights`.
    """

    def __init__(self, shape: Shape, *, normed: bool = False) -> None:
        super().__init__()
        block = ResBlock1 if shape.resblock == 1 else ResBlock2
        self.shape = shape
        self.conv_pre = nn.Conv1d(shape.mels, shape.channels, 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(s.inputs, s.channels, s.kernel, stride=s.rate, padding=(s.kernel - s.rate) // 2) for s in shape.stages
        )
        self.resblocks = nn.ModuleList(
            block(stage.channels, kernel, dilations)
            for stage in shape.stages
            for kernel, dilations in zip(shape.block_kernels, shape.block_dilations, strict=True)
        )
        self.conv_post = nn.Conv1d(shape.stages[-1].channels, 1, 7, padding=3)
        if normed:
            for layer in _layers(self).values():
                weight_norm(layer)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x = self.conv_pre(mel)
        for i in range(len(self.ups)):
            x = self.stage(i, x)
        # Upstream leaves out the slope here: it is PyTorch's 0.01, not 0.1.
        wave: torch.Tensor = torch.tanh(self.conv_post(leaky_relu(x)))
        return wave

    def stage(self, i: int, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, steps) -> (batch, channels / 2, steps * rate): upsampling i, and the mean of its residual blocks."""
        x = self.ups[i](leaky_relu(x, 0.1))
        blocks = len(self.shape.block_kernels)
        total: torch.Tensor = self.resblocks[i * blocks](x)
        for j in range(1, blocks):
            total = total + self.resblocks[i * blocks + j](x)
        return total / blocks


def generator(shape: Shape, weights: Weights, *, normed: bool = False) -> Generator:
    """In eval mode, without gradients. normed: with the folded weights put under weight norm again, which computes the same."""
    made = Generator(shape)
    made.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    if normed:
        for layer in _layers(made).values():
            weight_norm(layer)
    return made.eval().requires_grad_(False)


def load(path: Path | str, shape: Shape) -> dict[str, np.ndarray]:
    """The weights in a safetensors file, or in a torch checkpoint: upstream's {"generator": state dict}, or the state dict alone.

    Weight norm is folded where it is found. Nothing in the file executes. BadCheckpoint says what is wrong with it.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise BadCheckpoint(f"{path}: expected a HiFi-GAN checkpoint, found {'a folder' if path.is_dir() else 'no such file'}")
        if path.stat().st_size > MOST_BYTES:
            raise BadCheckpoint(f"{path}: expected at most {MOST_BYTES} bytes, found {path.stat().st_size}")
        with path.open("rb") as file:
            safe = file.read(9)[8:] == b"{"  # a safetensors file is the length of its header in 8 bytes, and a header in JSON
    except OSError as error:
        raise BadCheckpoint(f"{path}: cannot be read: {error.strerror}") from None
    return folded(shape, _safetensors(path) if safe else _torch(path), str(path))


def folded(shape: Shape, state: Mapping[str, np.ndarray], where: str = "weights") -> dict[str, np.ndarray]:
    """float32 weights with the norm folded, once names, shapes and values are the shape's; else BadCheckpoint.

    state: by layer either weight_g and weight_v, or weight, as upstream's state dict has them before and after remove_weight_norm().
    """
    left = dict(state)
    found = {}
    for layer, size in shape.weights().items():
        outputs = size[1] if layer.startswith("ups") else size[0]
        bias = _taken(left, f"{layer}.bias", (outputs,), where)
        if f"{layer}.weight" in left:
            weight = _taken(left, f"{layer}.weight", size, where)
        else:
            g = _taken(left, f"{layer}.weight_g", (size[0], 1, 1), where)
            v = _taken(left, f"{layer}.weight_v", size, where)
            norm = np.sqrt(np.square(v.astype(np.float64)).sum(axis=(1, 2), keepdims=True))
            if not norm.all():
                raise BadCheckpoint(f"{where}: {layer}.weight_v: row {int(np.argmin(norm))} is zero and has no direction to scale")
            weight = (v * (g / norm)).astype(np.float32)
        found[f"{layer}.weight"], found[f"{layer}.bias"] = weight, bias
    if left:
        raise BadCheckpoint(f"{where}: the generator has no {', '.join(sorted(left)[:5])}{' ...' if len(left) > 5 else ''}; another shape?")
    return found


@lru_cache(maxsize=4)
def random_weights(shape: Shape, seed: int = 0) -> dict[str, np.ndarray]:
    """Reproducible normal weights, each layer scaled to a standard deviation of what leaves it. Do not write to them.

    It is 1, half of that where a residual is added, so that the sum stays near 1, and 0.3 for the wave. With PyTorch's initial weights the
    signal dies on its way, and a ratio of signal to noise says nothing.
    """
    random = torch.Generator().manual_seed(seed)
    made = Generator(shape).eval().requires_grad_(False)
    deviations = {layer: _deviation(name) for name, layer in _layers(made).items()}
    for layer in deviations:
        layer.get_parameter("weight").normal_(generator=random)
        layer.get_parameter("bias").normal_(generator=random).mul_(0.1)

    def rescale(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        bias = layer.get_parameter("bias")[:, None]
        # Three digits: the same weights for any number of threads, whose sums differ in the eighth.
        scale = deviations[layer] / float(f"{float((output - bias).std()):.3g}")
        layer.get_parameter("weight").mul_(scale)
        return (output - bias) * scale + bias

    hooks = [layer.register_forward_hook(rescale) for layer in deviations]
    made(torch.randn(1, shape.mels, 8, generator=random))
    for hook in hooks:
        hook.remove()
    return {name: array.numpy() for name, array in made.state_dict().items()}


def weights_of(name: str) -> dict[str, np.ndarray]:
    """What every implementation serves for a vocoder of `SHAPES`: random weights, of "shipped" the trained ones, or the file of its name in
    the folder `INSTEAD`."""
    folder = os.environ.get(INSTEAD)
    files = sorted(path for path in Path(folder).iterdir() if path.stem == name) if folder else []
    if len(files) > 1:
        raise BadCheckpoint(f"{folder}: expected one checkpoint of {name}, found {', '.join(path.name for path in files)}")
    if not files and name == "shipped":
        files = [checkpoints.FOLDER / checkpoints.VOCODER]
    return load(files[0], SHAPES[name]) if files else random_weights(SHAPES[name])


def _deviation(layer: str) -> float:
    if layer == "conv_post":
        return 0.3
    return 0.5 if ".convs2." in layer or ".convs." in layer else 1.0


def _layers(made: nn.Module) -> dict[str, nn.Module]:
    return {name: module for name, module in made.named_modules() if isinstance(module, nn.Conv1d | nn.ConvTranspose1d)}


def _taken(left: dict[str, np.ndarray], name: str, size: tuple[int, ...], where: str) -> np.ndarray:
    if name not in left:
        raise BadCheckpoint(f"{where}: expected {name} {size}, found {', '.join(sorted(left)[:5]) or 'nothing more'}")
    array = np.asarray(left.pop(name))
    if array.shape != size:
        raise BadCheckpoint(f"{where}: {name}: expected shape {size}, found {array.shape}; another shape of generator?")
    if array.dtype.kind != "f":
        raise BadCheckpoint(f"{where}: {name}: expected floating point numbers, found {array.dtype}")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise BadCheckpoint(f"{where}: {name}: found {array[place]} at {place}, expected finite numbers")
    return np.ascontiguousarray(array, np.float32)


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return _arrays(load_file(path))
    except (SafetensorError, ValueError) as error:
        raise BadCheckpoint(f"{path}: not a readable safetensors file: {error}") from None


def _torch(path: Path) -> dict[str, np.ndarray]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises its own, pickle's, zipfile's and plain RuntimeErrors
        raise BadCheckpoint(f"{path}: not a torch checkpoint of weights alone: {str(error).splitlines()[0]}") from None
    state = state.get("generator", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadCheckpoint(f"{path}: expected a state dict of tensors, or one under 'generator', found {type(state).__name__}")
    return _arrays(state)


def _arrays(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """As NumPy arrays, which know no bfloat16."""
    return {str(name): (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy() for name, tensor in state.items()}
