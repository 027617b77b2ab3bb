"""Trains the five models on procedural music, as a chain: Emotion first, then the others on what it really puts out.

`python -m implementations.small_models.training --seed 0 -o DIR` writes DIR/trained.safetensors in under a minute on two cores.
Stateless, as the document's Python reference runs: one step from the zero state, so the recurrent weights W_hh stay as they were drawn.

The same seed gives the same data, first weights and batches everywhere, and the same checkpoint bit for bit on the same processor and
torch; elsewhere sums round in another order, and accuracies move by a few tenths of a point.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.small_models import data
from implementations.small_models.models import LSTM, MODELS, Dense, Model, chain
from implementations.small_models.weights import Weights, random_weights

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS, BATCH, RATE = 18, 128, 2e-3

Networks = dict[str, dict[str, np.ndarray]]
"""Weights by model."""

Reader = Callable[[str, "Tensor"], "Tensor"]
"""What a layer reads in place of a weight or of its input, by name: the place for masks and fake quantization."""


def forward(model: Model, weights: Mapping[str, Tensor], inputs: Tensor, read: Reader = lambda name, value: value) -> Tensor:
    """(batch, outputs) from (batch, inputs), stateless; of a softmax the logits, which the loss and argmax want."""
    import torch

    value = inputs
    for number, layer in enumerate(model.layers):
        value = read(f"{number}.input", value)
        match layer:
            case Dense(activation=activation):
                value = value @ read(f"{number}.weight", weights[f"{number}.weight"]).T + weights[f"{number}.bias"]
                value = value if activation == "softmax" else getattr(torch, activation)(value)
            case LSTM():
                bias = weights[f"{number}.bias_ih"] + weights[f"{number}.bias_hh"]
                gates = value @ read(f"{number}.weight_ih", weights[f"{number}.weight_ih"]).T + bias
                let_in, _, cell, let_out = gates.chunk(4, dim=1)
                value = torch.sigmoid(let_out) * torch.tanh(torch.sigmoid(let_in) * torch.tanh(cell))
    return value


def loss(model: Model, outputs: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy for choices and for notes, mean square for the rest."""
    from torch.nn import functional

    match model.name:
        case "harmony_predictor":
            return functional.cross_entropy(outputs, labels)
        case "melody_transformer":
            return functional.binary_cross_entropy(outputs, labels)
        case _:
            return functional.mse_loss(outputs, labels)


def fit(
    model: Model,
    start: Weights,
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    epochs: int = EPOCHS,
    rate: float = RATE,
    read: Reader = lambda name, value: value,
    keep: Weights | None = None,
    objective: Callable[[Model, Tensor, Tensor], Tensor] = loss,
) -> dict[str, np.ndarray]:
    """Weights after Adam, its rate falling in a straight line to zero; start is left as it is.

    inputs (examples, model.inputs) float32; labels as `objective` takes them. keep: weights (by name, 0 or 1 each) that may be other than
    zero. seed: of the order of the batches.
    """
    import torch

    weights = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    masks = {name: torch.tensor(mask, dtype=torch.float32) for name, mask in (keep or {}).items()}
    source, target = torch.from_numpy(inputs), torch.from_numpy(labels)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(list(weights.values()), lr=rate, fused=True)
    steps = epochs * (len(source) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(steps, 1))
    for _ in range(epochs):
        for batch in torch.randperm(len(source), generator=order)[: len(source) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            objective(model, forward(model, weights, source[batch], read), target[batch]).backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    weights[name] *= mask
    return {name: value.detach().numpy() for name, value in weights.items()}


def apply(model: Model, weights: Weights, inputs: np.ndarray, read: Reader = lambda name, value: value) -> np.ndarray:
    """Outputs (examples, outputs) float32; of a softmax the logits."""
    import torch

    with torch.no_grad():
        return forward(model, {name: torch.from_numpy(value) for name, value in weights.items()}, torch.from_numpy(inputs), read).numpy()


def train(seed: int, *, count: int | None = None, epochs: int = EPOCHS) -> Networks:
    """All five, from scratch; count: training examples, all of the split by default."""
    examples = data.split("train", count, seed)
    networks: Networks = {}

    def fitted(model: Model) -> Callable[[np.ndarray], np.ndarray]:
        def step(inputs: np.ndarray) -> np.ndarray:
            place = list(MODELS).index(model.name)
            start = random_weights(model, 1000 * seed + place)
            networks[model.name] = fit(model, start, inputs, examples.labels[model.name], seed=seed, epochs=epochs)
            return apply(model, networks[model.name], inputs)

        return step

    chain(examples.features, {name: fitted(model) for name, model in MODELS.items()})
    return networks


def accuracies(networks: Mapping[str, Weights], examples: data.Examples) -> dict[str, float]:
    """Task accuracy of each model, each fed as in the chain."""
    outputs = chain(examples.features, {name: lambda x, m=model: apply(m, networks[m.name], x) for name, model in MODELS.items()})
    return {name: data.accuracy(name, output, examples.labels[name]) for name, output in outputs.items()}


def save(path: Path, networks: Mapping[str, Weights], provenance: Mapping[str, Any]) -> None:
    """A safetensors file with keys `<model>.<weight>`; provenance becomes its metadata, JSON per value."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    flat = {f"{model}.{name}": np.ascontiguousarray(value) for model, weights in networks.items() for name, value in weights.items()}
    save_file(flat, path, {key: value if isinstance(value, str) else json.dumps(value) for key, value in provenance.items()})


def main(arguments: list[str] | None = None) -> None:
    import torch

    parser = argparse.ArgumentParser(prog="python -m implementations.small_models.training", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for trained.safetensors")
    given = parser.parse_args(arguments)
    # Layers of this size gain nothing from a second thread, and one makes the result independent of how many there are.
    torch.set_num_threads(1)
    networks = train(given.seed)
    found = {name: accuracies(networks, data.split(name, seed=given.seed)) for name in ("validation", "test")}
    for name, values in found.items():
        print(f"{name:10}", *(f"{model} {value:.4f}" for model, value in values.items()))
    command = f"python -m implementations.small_models.training --seed {given.seed} -o DIR"
    provenance = {"command": command, "seed": given.seed, "numpy": np.__version__, "torch": version("torch")}
    save(given.output / "trained.safetensors", networks, provenance | {f"{name}_accuracy": values for name, values in found.items()})


if __name__ == "__main__":
    main(sys.argv[1:])
