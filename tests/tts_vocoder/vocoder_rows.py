"""The golden outputs of upstream's generator, and the shapes of the two small generators they come from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from implementations.tts.vocoder.hifigan import load
from implementations.tts.vocoder.shapes import Shape

GOLDEN = Path(__file__).parent.parent / "golden"
SHAPES = {
    "v1": Shape(resblock=1, rates=(8, 8, 2, 2), kernels=(16, 16, 4, 4), channels=32),
    "v3": Shape(
        resblock=2,
        rates=(8, 8, 4),
        kernels=(16, 16, 8),
        channels=32,
        block_kernels=(3, 5, 7),
        block_dilations=((1, 2), (2, 6), (3, 12)),
    ),
}


def weights(name: str) -> dict[str, np.ndarray]:
    return load(GOLDEN / f"hifigan_{name}.safetensors", SHAPES[name])


def goldens(name: str) -> Iterator[tuple[np.ndarray, np.ndarray, list[np.ndarray]]]:
    """(mel (frames, mels), wave (samples,), output of each transposed convolution where upstream's is known)."""
    with np.load(GOLDEN / "hifigan.npz", allow_pickle=False) as arrays:
        for case in ("t1", "t20"):
            stages = [arrays[key] for i in range(4) if (key := f"{name}/{case}/ups{i}_out") in arrays]
            yield np.ascontiguousarray(arrays[f"{name}/{case}/mel"][0].T), arrays[f"{name}/{case}/wave"][0, 0], stages
