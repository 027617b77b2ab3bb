"""Golden outputs of madmom, and every row of the spectrogram component that runs here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.component import Approximate, Implementation, Parity
from harness.registry import discover, unavailable
from harness.settings import Settings, label
from implementations.spectrogram.component import COMPONENT

GOLDEN = Path(__file__).parent.parent / "golden"
GOLDEN_RATES = (44100, 48000, 22050)


def goldens(rate: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, one stem (1, samples[, channels]), expected (frames, bands))."""
    with np.load(GOLDEN / f"madmom_spec_{rate}.npz", allow_pickle=False) as data:
        for key in data.files:
            if key.endswith("_in"):
                yield key[:-3], data[key][None], data[key[:-3] + "_out"]


@dataclass(frozen=True)
class Row:
    implementation: Implementation
    settings: Settings
    parity: Parity

    @property
    def name(self) -> str:
        return label(self.implementation.name, self.settings.given())

    @property
    def bound(self) -> float:
        return self.parity.metric.at_most if isinstance(self.parity, Approximate) else self.parity.max_abs

    @property
    def missing(self) -> str | None:
        return unavailable(self.implementation)


def rows() -> list[Row]:
    """One for the plain settings of each registered implementation, one for each variant."""
    policy = COMPONENT.policy["spectrogram"]
    found = []
    for implementation in discover().implementations("spectrogram").values():
        if implementation.plain:
            found.append(Row(implementation, Settings(), policy))
        for variant in implementation.variants:
            found.append(Row(implementation, Settings(**variant.settings), variant.parity.get("spectrogram", policy)))
    return found
