"""PyTorch on the CPU: blocks of frames, float64 transform, medians by minima and maxima of whole tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._modes import is_lightweight
from implementations._torch import threads
from implementations.features.blocks import Library, features
from implementations.features.component import LIGHTWEIGHT
from implementations.features.contract import check

if TYPE_CHECKING:
    from harness.settings import Settings


@lru_cache(maxsize=1)
def library() -> Library:
    """PyTorch's functions under the names that blocks.py uses."""
    import torch

    def spectrum(frames: Any, window: np.ndarray) -> Any:
        return torch.fft.rfft(frames * torch.tensor(window)).to(torch.complex64)

    return Library(
        xp=torch,
        asarray=lambda array: torch.from_numpy(np.array(array)),
        asnumpy=lambda tensor: np.asarray(tensor.numpy()),
        spectrum=spectrum,
        evaluate=lambda *pending: None,
    )


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`; threads are PyTorch's own."""
    lightweight = is_lightweight("features.torch_blocks", settings)

    def run(inputs: Inputs) -> Outputs:
        samples, rate = check(inputs, settings.longest_audio)
        return features(samples, rate, library(), lightweight=lightweight)

    with threads(settings.threads):
        yield run


IMPLEMENTATION = Implementation(
    component="features",
    name="torch_blocks",
    role="optimized",
    load=load,
    requires=Requires(packages=("torch",)),
    settings=("threads", "mode", "longest_audio"),
    variants=(LIGHTWEIGHT,),
    description="PyTorch on the CPU, one transform for everything, medians by whole tensors",
)
