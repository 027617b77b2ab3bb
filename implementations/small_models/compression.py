"""Smaller models, each made from the trained ones and compared on the test split: int8, half pruned, distilled students.

`python -m implementations.small_models.compression -o DIR` makes DIR/{int8_aware,pruned,student}.safetensors from the shipped
trained.safetensors; `--table` prints accuracies and bytes of the shipped checkpoints, or of those in DIR.

Fine-tuning improves any network, so what int8 and pruning cost is told against a baseline that was fine-tuned as long, without either.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from implementations.small_models import data, packing, pruning, training
from implementations.small_models.models import MODELS, STUDENTS, Model
from implementations.small_models.quantization import int8, rounded
from implementations.small_models.training import Networks, Read, plainly
from implementations.small_models.weights import Weights, checked, random_weights

SHIPPED = Path(__file__).with_name("checkpoints")

TUNING_EPOCHS, TUNING_RATE = 6, 5e-4
STUDENT_EPOCHS, STUDENT_RATE = 30, 3e-3
STUDENT_DECAYS = {"melody_transformer": 0.5}
"""With the usual decay float32 is off by 2.2e-6 on extreme features: its few weights have to be large."""


Accuracies = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """A line of the table: accuracies on the test split, weights that are not zero, bytes of all and of what a stateless step reads."""

    variant: str
    accuracies: Accuracies
    parameters: int
    packed_bytes: int | None = None  # None: not kept
    live_bytes: int | None = None


def tuned(start: Networks, seed: int, *, read: Read = plainly, keep: Mapping[str, Weights] | None = None) -> Networks:
    """Fine-tuned on the training split; read and keep as in `training.fit_chain`."""
    examples = data.split("train", seed=seed)
    return training.fit_chain(
        MODELS,
        start,
        examples.features,
        examples.labels,
        seed=seed + 1,
        epochs=TUNING_EPOCHS,
        rate=TUNING_RATE,
        read=read,
        keep=keep,
    )


def prune(trained: Networks, seed: int) -> Networks:
    """Half of each matrix zero, the other half fine-tuned."""
    keep = {name: pruning.masks(weights) for name, weights in trained.items()}
    return tuned({name: pruning.pruned(weights) for name, weights in trained.items()}, seed, keep=keep)


def distill(teachers: Networks, seed: int, *, epochs: int = STUDENT_EPOCHS, count: int | None = None) -> Networks:
    """Students from scratch, taught half by the labels and half by what the large models put out.

    The losses are linear in the label, up to a constant: the mean of two labels is as good as the mean of two losses.
    """
    examples = data.split("train", count, seed)
    taught = training.outputs(teachers, examples.features)
    taught["harmony_predictor"] = _softmax(taught["harmony_predictor"])
    labels = dict(examples.labels)
    labels["harmony_predictor"] = np.eye(STUDENTS["harmony_predictor"].outputs, dtype=np.float32)[labels["harmony_predictor"]]
    mixed = {name: (labels[name] + taught[name]) / 2 for name in labels}
    start = {name: random_weights(model, 1000 * seed + 500 + place) for place, (name, model) in enumerate(STUDENTS.items())}
    return training.fit_chain(STUDENTS, start, examples.features, mixed, seed=seed, epochs=epochs, rate=STUDENT_RATE, decays=STUDENT_DECAYS)


def read(path: Path, models: Mapping[str, Model] = MODELS) -> tuple[Networks, dict[str, Any]]:
    """Networks and provenance of a checkpoint; BadWeights where it is not what the models need."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
        provenance = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    groups: dict[str, dict[str, np.ndarray]] = {name: {} for name in models}
    for key, array in arrays.items():
        model, _, name = key.partition(".")
        groups.setdefault(model, {})[name] = array
    return {name: checked(model, groups[name], str(path)) for name, model in models.items()}, provenance


def make(folder: Path, seed: int) -> None:
    """The three checkpoints beside what was measured on the way: the baseline fine-tuned as long, which is not kept."""
    trained, _ = read(SHIPPED / "trained.safetensors")
    test = data.split("test", seed=seed)
    made = {"command": f"python -m implementations.small_models.compression --seed {seed} -o DIR", "seed": seed}
    made |= {"baseline_test_accuracy": training.accuracies(tuned(trained, seed), test)}

    aware = rounded(tuned(trained, seed, read=int8))
    training.save(folder / "int8_aware.safetensors", aware, made | {"test_accuracy": training.accuracies(aware, test, read=int8)})
    pruned = prune(trained, seed)
    training.save(folder / "pruned.safetensors", pruned, made | {"test_accuracy": training.accuracies(pruned, test)})
    student = distill(trained, seed)
    training.save(folder / "student.safetensors", student, made | {"test_accuracy": training.accuracies(student, test, STUDENTS)})


def rows(folder: Path, seed: int) -> Iterator[Row]:
    """Measured now on the checkpoints in `folder`, except the fine-tuned baseline, whose accuracies `pruned.safetensors` tells."""
    test = data.split("test", seed=seed)
    trained, _ = read(SHIPPED / "trained.safetensors")
    aware, _ = read(folder / "int8_aware.safetensors")
    pruned, provenance = read(folder / "pruned.safetensors")
    student, _ = read(folder / "student.safetensors", STUDENTS)
    at_once = {name: pruning.pruned(weights) for name, weights in trained.items()}

    yield Row("constant predictor", constant(seed), 0, 0, 0)
    yield _row("trained", trained, training.accuracies(trained, test))
    yield Row("trained, fine-tuned (baseline)", provenance["baseline_test_accuracy"], _parameters(trained))
    yield _row("int8, post-training", trained, training.accuracies(trained, test, read=int8), packing.pack_int8)
    yield _row("int8, quantization-aware", aware, training.accuracies(aware, test, read=int8), packing.pack_int8)
    yield _row("half pruned, one shot", at_once, training.accuracies(at_once, test), packing.pack_sparse)
    yield _row("half pruned, fine-tuned", pruned, training.accuracies(pruned, test), packing.pack_sparse)
    students = training.accuracies(student, test, STUDENTS)
    yield _row("student", student, students, models=STUDENTS)
    yield _row(
        "student, int8 post-training", student, training.accuracies(student, test, STUDENTS, int8), packing.pack_int8, models=STUDENTS
    )


def constant(seed: int) -> dict[str, float]:
    """Accuracies of always saying the same: what any network has to beat."""
    seen, test = data.split("train", seed=seed).labels, data.split("test", seed=seed).labels
    return {name: data.accuracy(name, data.constant_outputs(name, seen[name], len(test[name])), test[name]) for name in seen}


def table(found: Iterator[Row]) -> str:
    """Markdown: accuracies in percent."""
    names = [name.partition("_")[0] for name in MODELS]
    lines = [
        "| variant | " + " | ".join(names) + " | non-zero parameters | packed bytes | packed bytes, stateless |",
        "|" + "---|" * (len(names) + 4),
    ]
    for row in found:
        sizes = ("not kept" if size is None else f"{size:,}" for size in (row.packed_bytes, row.live_bytes))
        accuracies = " | ".join(f"{100 * row.accuracies[name]:.2f}" for name in MODELS)
        lines.append(f"| {row.variant} | {accuracies} | {row.parameters:,} | " + " | ".join(sizes) + " |")
    return "\n".join(lines)


def _row(
    variant: str,
    networks: Networks,
    accuracies: Accuracies,
    pack: Callable[[Weights], bytes] = packing.pack_float32,
    *,
    models: Mapping[str, Model] = MODELS,
) -> Row:
    whole = sum(len(pack(weights)) for weights in networks.values())
    needed = sum(len(pack(packing.live(models[name], weights))) for name, weights in networks.items())
    return Row(variant, accuracies, _parameters(networks), whole, needed)


def _parameters(networks: Mapping[str, Weights]) -> int:
    return sum(int(np.count_nonzero(array)) for weights in networks.values() for array in weights.values())


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m implementations.small_models.compression", description="Compresses the five small models."
    )
    parser.add_argument("--seed", type=int, default=0, help="of data and batches, as the trained models had (default 0)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="make the checkpoints in this folder")
    parser.add_argument("--table", action="store_true", help="print accuracies and bytes of DIR's checkpoints, or of the shipped ones")
    given = parser.parse_args(arguments)
    if not (given.output or given.table):
        parser.error("expected -o DIR, --table or both, found neither")
    training.single_thread()
    if given.output:
        make(given.output, given.seed)
    if given.table:
        print(table(rows(given.output or SHIPPED, given.seed)))


if __name__ == "__main__":
    main()
