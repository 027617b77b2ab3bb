"""The decoder in C++: its kernels of 7 taps by minimal filtering, piece by piece of time through a stage (engine/); float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Requires
from implementations._cpus import usable_cpus
from implementations._torch import threads as torch_threads
from implementations.codec import reference, torch_packed
from implementations.codec.serving import LEVELS, Kernels, Model, implementations

if TYPE_CHECKING:
    from harness.settings import Settings
    from implementations.codec.decoder import ScalarModel
    from implementations.codec.model import HeartCodec

MODULE = "implementations.codec._native"

LEAST_FILTERED = 3
"""Taps from which on minimal filtering takes fewer products: 7 instead of 16 for four outputs of four taps."""


@dataclass(frozen=True)
class Layer:
    """A convolution (outputs, inputs, taps) of which tap `before` meets the present row; slope: of the PReLU behind it, 1 without."""

    weights: np.ndarray
    bias: np.ndarray
    before: int
    dilation: int = 1
    slope: float = 1.0


Stage = tuple[int, list[Layer]]
"""How many steps its first layer makes of a row, side by side as channels; then that layer and the pairs of the residual units."""


def stages(scalar: ScalarModel, aligned: int) -> tuple[list[Stage], Layer]:
    """The stages of a decoder whose weight norm is folded, channels padded to multiples of `aligned`, and its last layer."""
    from implementations.codec.decoder import LOOK_AHEAD, PostProcessor

    def plain(conv: Any, slope: float = 1.0) -> Layer:
        weights, bias = _arrays(conv)
        return _layer(weights[None], bias, aligned, dilation=conv.dilation[0], slope=slope)

    first, *others, last = scalar.decoder
    found: list[Stage] = [(1, [replace(plain(first), before=LOOK_AHEAD)])]
    for layer in others:
        if isinstance(layer, PostProcessor):
            weights, bias = _arrays(layer.conv)
            repeated = _repeated(weights, layer.repeats)
            found.append((layer.repeats, [_layer(repeated, bias, aligned, slope=_slope(layer.activation))]))
            continue
        stage: Any = layer
        up = stage.up_conv.layer
        weights, bias = _arrays(up)
        layers = [_layer(_upsampling(weights, up.stride[0]), bias, aligned)]
        for unit in stage.convs:
            layers += [plain(unit.conv1, _slope(unit.activation1)), plain(unit.conv2, _slope(unit.activation2))]
        found.append((up.stride[0], layers))
    return found, plain(last)


def _arrays(conv: Any) -> tuple[np.ndarray, np.ndarray]:
    return conv.weight.detach().numpy(), conv.bias.detach().numpy()


def _slope(activation: Any) -> float:
    return float(activation.weight.detach())


def _upsampling(weights: np.ndarray, stride: int) -> np.ndarray:
    """(stride, outputs, inputs, 2): what each step takes of the row before and of its own, of a transposed convolution's weights
    (inputs, outputs, 2 stride)."""
    inputs, outputs, _ = weights.shape
    own, before = weights.reshape(inputs, outputs, 2, stride).transpose(2, 3, 1, 0)
    return np.stack([before, own], axis=-1)


def _repeated(weights: np.ndarray, repeats: int) -> np.ndarray:
    """(repeats, outputs, inputs, rows): a causal convolution (outputs, inputs, taps) over rows that are each repeated; what meets the same
    row adds up."""
    outputs, inputs, taps = weights.shape
    rows = 1 - (1 - taps) // repeats
    found = np.zeros((repeats, outputs, inputs, rows), np.float32)
    for step in range(repeats):
        for tap in range(taps):
            found[step, ..., rows - 1 + (step + tap - (taps - 1)) // repeats] += weights[..., tap]
    return found


def _layer(steps: np.ndarray, bias: np.ndarray, aligned: int, *, dilation: int = 1, slope: float = 1.0) -> Layer:
    """Causal, of weights (steps, outputs, inputs, taps): the steps that are made of a row lie side by side."""
    outputs, inputs = (-size % aligned for size in steps.shape[1:3])
    padded = np.pad(steps, [(0, 0), (0, outputs), (0, inputs), (0, 0)])
    biases = np.tile(np.pad(bias, (0, outputs)), len(steps))
    return Layer(np.ascontiguousarray(padded.reshape(-1, *padded.shape[2:])), biases, padded.shape[3] - 1, dilation, slope)


class Decoder:
    """A decoder packed for one dispatch level: "avx512", "avx2", "neon" or "baseline", the fastest by default.

    scalar: with its weight norm folded. threads: as many as there are CPUs by default; the result does not depend on them. Calls from
    several threads take turns.
    """

    def __init__(self, scalar: ScalarModel, *, threads: int | None = None, level: str = "auto") -> None:
        native = import_module(MODULE)
        self._aligned, self._native = int(native.ALIGNED), native.Decoder(level)
        parts, last = stages(scalar, self._aligned)
        self._hop = 1
        for rate, layers in parts:
            self._native.stage(rate)
            self._hop *= rate
            for layer in layers:
                filtered = layer.weights.shape[2] >= LEAST_FILTERED and layer.before == layer.weights.shape[2] - 1
                self._native.layer(layer.weights, layer.bias, filtered, layer.before, layer.dilation, layer.slope)
        self._native.finish(np.ascontiguousarray(last.weights[0].T), float(last.bias[0]))
        self.threads, self.level = threads or usable_cpus(), str(self._native.level)

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """latents (t, channels) float32 -> samples (t * hop, 2) float32."""
        rounded = np.rint(np.float32(LEVELS) * latents) / np.float32(LEVELS)
        halves = rounded.reshape(len(latents), 2, -1).transpose(1, 0, 2)
        halves = np.pad(halves, [(0, 0), (0, 0), (0, -halves.shape[2] % self._aligned)])
        wave = np.empty((2, len(latents) * self._hop), np.float32)
        self._native.run(np.ascontiguousarray(halves), wave, self.threads)
        return np.ascontiguousarray(wave.T)


def kernels(model: HeartCodec, *, threads: int | None = None) -> Kernels:
    """The model, taken over: the native decoder, behind the estimator from prepacked weights (the reference's, where they cannot be)."""
    decoder = _decoder(model, threads)
    behind = reference.kernels(model) if torch_packed.why_not() else torch_packed.kernels(model)
    return replace(behind, decode=decoder)


def _decoder(model: HeartCodec, threads: int | None) -> Decoder:
    from implementations.codec.decoder import fold

    fold(model.scalar_model)
    return Decoder(model.scalar_model, threads=threads)


def _alone(model: HeartCodec, *, threads: int | None) -> Kernels:
    """The decoder before an estimator that nothing was done for: nobody asks it."""
    return replace(reference.kernels(model), decode=_decoder(model, threads))


@contextmanager
def _open(settings: Settings, made: Callable[..., Kernels] = kernels) -> Iterator[Model]:
    from implementations.codec import model

    import_module(MODULE)  # a case names the model: the kernel is loaded before the first one is packed
    with torch_threads(settings.threads):
        yield lru_cache(maxsize=None)(lambda name: made(model.load(name), threads=settings.threads))


(DECODER,) = implementations(
    "native",
    "optimized",
    partial(_open, made=_alone),
    only=("codec_decoder",),
    requires=Requires(packages=("torch",), native=MODULE),
    description="C++ with minimal filtering, pieces of time through whole stages, run-time dispatch",
)
(SONG,) = implementations(
    "native",
    "optimized",
    _open,
    only=("codec",),
    requires=Requires(packages=("torch",), native=MODULE, why_not=torch_packed.why_not),
    description="torch_packed's estimator, then the decoder in C++",
)
