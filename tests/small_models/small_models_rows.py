"""RTNeural's golden outputs, and every row of the six components that runs here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.component import Approximate, Implementation
from harness.registry import discover, unavailable
from harness.settings import Settings, label
from implementations.small_models import checkpoints
from implementations.small_models.component import COMPONENTS

GOLDEN = Path(__file__).parent.parent / "golden"
GOLDEN_MODELS = ("emotion_recognizer", "harmony_predictor", "dynamics_engine")


def golden_file(model: str) -> Path:
    return GOLDEN / f"rtneural_{model.replace('_', '')}.json.gz"


def goldens(model: str) -> Iterator[tuple[bool, np.ndarray, np.ndarray]]:
    """(stateful, features (32, inputs), RTNeural's outputs (32, outputs)) for the weights of golden_file()."""
    stem = model.replace("_", "")
    with np.load(GOLDEN / "rtneural.npz", allow_pickle=False) as arrays:
        for mode in ("stateless", "stateful"):
            yield mode == "stateful", arrays[f"{stem}/input"], arrays[f"{stem}/output_{mode}"]


@dataclass(frozen=True)
class Row:
    implementation: Implementation
    settings: Settings
    replaced: dict[str, Approximate]

    @property
    def name(self) -> str:
        return f"{self.implementation.component}.{label(self.implementation.name, self.settings.given())}"

    @property
    def missing(self) -> str | None:
        return unavailable(self.implementation)


def rows() -> list[Row]:
    """One for the plain settings of each registered implementation, one for each variant."""
    found = []
    for component in COMPONENTS:
        for implementation in discover().implementations(component).values():
            if implementation.plain:
                found.append(Row(implementation, Settings(), {}))
            found += [Row(implementation, Settings(**v.settings), dict(v.parity)) for v in implementation.variants]
    return found


def use_golden_weights(monkeypatch, model: str) -> None:
    """Every implementation that loads from now on gets RTNeural's golden weights for this model."""
    monkeypatch.setenv(checkpoints.INSTEAD, str(golden_file(model)))
    checkpoints.shipped.cache_clear()
    monkeypatch.setattr(checkpoints, "shipped", checkpoints.shipped.__wrapped__)
