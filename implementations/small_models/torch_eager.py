"""PyTorch without a compiler, on the CPU, CUDA or Apple's GPU; the chain stays on the device from the features to its last output.

In float32 only: its narrower products round what passes between layers as well, which misses the bounds (bfloat16: 36 dB for Harmony,
48 asked), and its dynamic quantization to int8 keeps 7 bits of it and one scale for all weights of an LSTM.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Requires
from implementations._torch import threads
from implementations.small_models.checkpoints import Served
from implementations.small_models.models import LSTM, Dense, Model
from implementations.small_models.serving import Compute, implementations, outputs_of
from implementations.small_models.weights import Weights

if TYPE_CHECKING:
    import torch

    from harness.settings import Settings


def module(model: Model, weights: Weights) -> torch.nn.ModuleList:
    """Each dense layer as a Linear, each LSTM as an LSTM, with these weights; `forward` computes with it."""
    import torch

    layers = torch.nn.ModuleList()
    for layer in model.layers:
        made = torch.nn.Linear(layer.inputs, layer.outputs) if isinstance(layer, Dense) else torch.nn.LSTM(layer.inputs, layer.outputs)
        layers.append(made)
    names = {name: name + "_l0" if "_ih" in name or "_hh" in name else name for name in model.shapes()}
    layers.load_state_dict({names[name]: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return layers.eval().requires_grad_(False)


def forward(model: Model, layers: torch.nn.ModuleList, values: torch.Tensor, stateful: bool) -> torch.Tensor:
    """(frames, outputs) of features (frames, inputs), as a tensor on their device."""
    import torch

    if not len(values):  # an LSTM refuses a sequence of no frames
        return values.new_empty((0, model.outputs))
    for layer, made in zip(model.layers, layers, strict=True):
        match layer:
            case Dense(activation="softmax"):
                values = torch.softmax(made(values), dim=1)
            case Dense(activation=activation):
                values = getattr(torch, activation)(made(values))
            case LSTM():
                values = made(values)[0] if stateful else _from_zero(made, values)
    return values


def _from_zero(made: torch.nn.Module, values: torch.Tensor) -> torch.Tensor:
    """One step from zero state: neither W_hh nor the forget gate matter. The rest of W_ih lies together in two places."""
    import torch

    kernel, _, one, other = (parameter for _, parameter in made.named_parameters())
    size, bias = len(kernel) // 4, one + other
    enter = torch.nn.functional.linear(values, kernel[:size], bias[:size])
    candidate, leave = torch.nn.functional.linear(values, kernel[2 * size :], bias[2 * size :]).chunk(2, dim=1)
    return torch.sigmoid(leave) * torch.tanh(torch.sigmoid(enter) * torch.tanh(candidate))


@contextmanager
def _open(served: Mapping[str, Served], settings: Settings, *, device: str) -> Iterator[tuple[Compute, int]]:
    import torch

    made = {name: module(model, weights).to(device) for name, (model, weights) in served.items()}
    stages = {name: partial(forward, model, made[name]) for name, (model, _) in served.items()}
    size = sum(weight.nbytes for layers in made.values() for weight in layers.state_dict().values())
    join = partial(_join, torch.cat)

    def compute(features: np.ndarray, stateful: bool) -> Mapping[str, np.ndarray]:
        with torch.inference_mode():
            values = _tensor(features).to(device)
            found = outputs_of(values, stateful, stages, join)
            return {name: output.cpu().numpy() for name, output in found.items()}

    with threads(settings.threads or 1), _exact_products():  # one by default: the layers are too small to share
        yield compute, size
    if device == "cuda":
        del made, stages
        torch.cuda.empty_cache()


def _join(concatenate: Callable[..., Any], left: Any, right: Any) -> Any:
    return concatenate([left, right], dim=1)


def _tensor(features: np.ndarray) -> torch.Tensor:
    import torch

    with warnings.catch_warnings():  # a read-only array is only read here
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(features)


@contextmanager
def _exact_products() -> Iterator[None]:
    """cuDNN would round the products of an LSTM to TF32."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _six(name: str, device: str, description: str, **options: Any) -> list[Implementation]:
    return implementations(name, "optimized", partial(_open, device=device), description=description, **options)


EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN = _six(
    "torch_eager",
    "cpu",
    "PyTorch on the CPU, eager",
    requires=Requires(packages=("torch",)),
    settings=("batch", "threads"),
)
EMOTION_CUDA, MELODY_CUDA, HARMONY_CUDA, DYNAMICS_CUDA, GROOVE_CUDA, CHAIN_CUDA = _six(
    "torch_cuda",
    "cuda",
    "the same on an NVIDIA GPU",
    requires=Requires(packages=("torch",), device="cuda"),
    clock="cuda",
)
EMOTION_MPS, MELODY_MPS, HARMONY_MPS, DYNAMICS_MPS, GROOVE_MPS, CHAIN_MPS = _six(
    "torch_mps",
    "mps",
    "the same on Apple's GPU",
    requires=Requires(packages=("torch",), device="mps"),
)
