"""Trains the five models on procedural music, as a chain: Emotion first, then the others on what it really puts out.

`python -m implementations.small_models.training --seed 0 -o DIR` writes DIR/trained.safetensors in under a minute on two cores.
Both ways the models run: of two frames in sequence, the first is a step from the zero state, as in the document's Python reference, and
the second goes on from it, as in its C++. An LSTM that never saw a state answers one with mixtures, where every model after it is in doubt.

Trained to be sure without bounds, a classifier grows sums of order 20 before its last activation, whose last bit alone is 1e-6 and
which narrower weights miss by more. Label smoothing (Szegedy et al., 2016) sets the sums an end, decoupled weight decay (Loshchilov
and Hutter, 2019) keeps the weights on the way there small: so every precision has room to be right.

The same seed gives the same data, first weights and batches everywhere, and the same checkpoint bit for bit on the same processor and
torch; elsewhere sums round in another order, and accuracies move by a few tenths of a point.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
DECAY, SMOOTHING = 0.2, 0.1
"""Of AdamW, per step and rate; and the share of a label that goes to all classes of a chord, or to both answers of a note, alike."""

Networks = dict[str, dict[str, np.ndarray]]
"""Weights by model."""

Outputs = dict[str, np.ndarray]
"""(examples, outputs) by model."""

Read = Callable[[str, "Tensor"], "Tensor"]
"""(name, value) -> what a layer takes in place of a weight, or of its input (`0.input`): where int8 is simulated."""


def plainly(name: str, value: Tensor) -> Tensor:
    """Weights and inputs as they are."""
    return value


def forward(model: Model, weights: Mapping[str, Tensor], frames: Sequence[Tensor], read: Read = plainly) -> list[Tensor]:
    """(batch, outputs) for each of a few frames (batch, inputs) in sequence from the zero state; of a softmax the logits."""
    import torch

    values = list(frames)
    for number, layer in enumerate(model.layers):
        values = [read(f"{number}.input", value) for value in values]
        match layer:
            case Dense(activation=activation):
                weight, bias = read(f"{number}.weight", weights[f"{number}.weight"]), weights[f"{number}.bias"]
                values = [value @ weight.T + bias for value in values]
                values = values if activation == "softmax" else [getattr(torch, activation)(value) for value in values]
            case LSTM():
                values = _lstm(number, weights, values, read)
    return values


def _lstm(number: int, weights: Mapping[str, Tensor], values: Sequence[Tensor], read: Read) -> list[Tensor]:
    import torch

    bias = weights[f"{number}.bias_ih"] + weights[f"{number}.bias_hh"]
    weight = read(f"{number}.weight_ih", weights[f"{number}.weight_ih"])
    found: list[Tensor] = []
    cell: Tensor | None = None
    for value in values:
        gates = value @ weight.T + bias
        if found:
            recurrent = read(f"{number}.weight_hh", weights[f"{number}.weight_hh"])
            gates = gates + read(f"{number}.hidden.input", found[-1]) @ recurrent.T
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        fresh = torch.sigmoid(enter) * torch.tanh(candidate)
        cell = fresh if cell is None else torch.sigmoid(forget) * cell + fresh
        found.append(torch.sigmoid(leave) * torch.tanh(cell))
    return found


def loss(model: Model, outputs: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy for chords (classes, or probabilities of each) and for notes, of smoothed labels; mean square for the rest."""
    from torch.nn import functional

    match model.name:
        case "harmony_predictor":
            return functional.cross_entropy(outputs, labels, label_smoothing=SMOOTHING)
        case "melody_transformer":
            return functional.binary_cross_entropy(outputs, labels * (1 - SMOOTHING) + SMOOTHING / 2)
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
    decay: float = DECAY,
    read: Read = plainly,
    keep: Weights | None = None,
) -> dict[str, np.ndarray]:
    """Weights after AdamW, its rate falling in a straight line to zero; start is left as it is.

    inputs (examples, model.inputs) float32, at least BATCH of them; labels as `loss` takes them. keep: by name of a weight, 0 where it
    stays zero and 1 elsewhere. seed: of the order of the batches.
    """
    import torch

    weights = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    masks = {name: torch.tensor(mask, dtype=torch.float32) for name, mask in (keep or {}).items()}
    source, target = torch.from_numpy(inputs), torch.from_numpy(labels)
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(list(weights.values()), lr=rate, weight_decay=decay, fused=True)
    steps = epochs * (len(source) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / max(steps, 1))
    for _ in range(epochs):
        shuffled = torch.randperm(len(source), generator=order)
        for batch in shuffled[: len(source) // BATCH * BATCH].split(BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            # The same examples as a frame before: of a sequence that changes at every frame.
            places = [batch.roll(1), batch] if model.recurrent else [batch]
            found = forward(model, weights, [source[place] for place in places], read)
            wrong = [loss(model, output, target[place]) for output, place in zip(found, places, strict=True)]
            (sum(wrong[1:], wrong[0]) / len(wrong)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    weights[name] *= mask
    return {name: value.detach().numpy() for name, value in weights.items()}


def apply(model: Model, weights: Weights, inputs: np.ndarray, read: Read = plainly) -> np.ndarray:
    """Outputs (examples, outputs) float32; of a softmax the logits."""
    import torch

    with torch.no_grad():
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        return forward(model, tensors, [torch.from_numpy(inputs)], read)[0].numpy()


def train(seed: int, *, count: int | None = None, epochs: int = EPOCHS) -> Networks:
    """All five, from scratch; count: training examples, all of the split by default."""
    start = {name: random_weights(model, 1000 * seed + place) for place, (name, model) in enumerate(MODELS.items())}
    examples = data.split("train", count, seed)
    return fit_chain(MODELS, start, examples.features, examples.labels, seed=seed, epochs=epochs)


def fit_chain(
    models: Mapping[str, Model],
    start: Mapping[str, Weights],
    features: np.ndarray,
    labels: Mapping[str, np.ndarray],
    *,
    seed: int,
    epochs: int,
    rate: float = RATE,
    decays: Mapping[str, float] | None = None,
    read: Read = plainly,
    keep: Mapping[str, Weights] | None = None,
) -> Networks:
    """`fit` for each model of the chain in turn, on what the ones before it put out. decays: by model, where it is not DECAY."""
    found: Networks = {}

    def step(model: Model, inputs: np.ndarray) -> np.ndarray:
        own = (keep or {}).get(model.name)
        found[model.name] = fit(
            model, start[model.name], inputs, labels[model.name],
            seed=seed, epochs=epochs, rate=rate, decay=(decays or {}).get(model.name, DECAY), read=read, keep=own,
        )  # fmt: skip
        return apply(model, found[model.name], inputs, read)

    chain(features, {name: partial(step, model) for name, model in models.items()})
    return found


def outputs(networks: Mapping[str, Weights], features: np.ndarray, models: Mapping[str, Model] = MODELS, read: Read = plainly) -> Outputs:
    """What each model of the chain puts out, by name; logits of chords."""
    return chain(features, {name: partial(apply, model, networks[name], read=read) for name, model in models.items()})


def accuracies(
    networks: Mapping[str, Weights], examples: data.Examples, models: Mapping[str, Model] = MODELS, read: Read = plainly
) -> dict[str, float]:
    """Task accuracy of each model, each fed as in the chain."""
    found = outputs(networks, examples.features, models, read)
    return {name: data.accuracy(name, output, examples.labels[name]) for name, output in found.items()}


def save(path: Path, networks: Mapping[str, Weights], provenance: Mapping[str, Any]) -> None:
    """A safetensors file with keys `<model>.<weight>`; provenance becomes its metadata, each value as JSON."""
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    flat = {f"{model}.{name}": np.ascontiguousarray(value) for model, weights in networks.items() for name, value in weights.items()}
    versions = {"numpy": np.__version__, "torch": version("torch")}
    save_file(flat, path, {key: json.dumps(value) for key, value in {**provenance, **versions}.items()})


def single_thread() -> None:
    """Layers of this size gain nothing from a second thread, and one makes the result independent of how many there are."""
    import torch

    torch.set_num_threads(1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.small_models.training", description="Trains the five small models.")
    parser.add_argument("--seed", type=int, default=0, help="of data, first weights and batches (default 0)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for trained.safetensors")
    given = parser.parse_args(arguments)
    single_thread()
    networks = train(given.seed)
    found = {f"{name}_accuracy": accuracies(networks, data.split(name, seed=given.seed)) for name in ("validation", "test")}
    for name, values in found.items():
        print(f"{name:20}", *(f"{model} {value:.4f}" for model, value in values.items()))
    command = f"python -m implementations.small_models.training --seed {given.seed} -o DIR"
    save(given.output / "trained.safetensors", networks, {"command": command, "seed": given.seed, **found})


if __name__ == "__main__":
    main()
