"""MLX, on Apple's GPU or any processor: blocks of frames, float32 transform, medians by minima and maxima of whole arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Implementation, Inputs, Outputs, Requires, Run
from implementations._modes import is_lightweight
from implementations.features.blocks import Library, features
from implementations.features.component import FLOAT32, LIGHTWEIGHT
from implementations.features.contract import check

if TYPE_CHECKING:
    from harness.settings import Settings


@lru_cache(maxsize=1)
def library() -> Library:
    """MLX's functions under the names that blocks.py uses."""
    import mlx.core as mx

    def spectrum(frames: Any, window: np.ndarray) -> Any:
        return mx.fft.rfft(frames * mx.array(window.astype(np.float32)))

    return Library(
        xp=mx,
        asarray=lambda array: mx.array(np.ascontiguousarray(array)),
        asnumpy=np.array,
        spectrum=spectrum,
        evaluate=mx.eval,
    )


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives `run`, on MLX's default device."""
    import mlx.core as mx

    lightweight = is_lightweight("features.mlx_blocks", settings)
    if settings.precision not in (None, "float32"):
        raise ValueError(f"features.mlx_blocks: precision: expected float32, found {settings.precision!r}; MLX transforms in float32 only")

    def run(inputs: Inputs) -> Outputs:
        samples, rate = check(inputs, settings.longest_audio)
        return features(samples, rate, library(), lightweight=lightweight)

    try:
        yield run
    finally:
        mx.clear_cache()


IMPLEMENTATION = Implementation(
    component="features",
    name="mlx_blocks",
    role="optimized",
    load=load,
    requires=Requires(packages=("mlx",)),
    clock="mlx",
    settings=("precision", "mode", "longest_audio"),
    variants=(FLOAT32, LIGHTWEIGHT),
    plain=False,
    description="MLX, one float32 transform for everything, medians by whole arrays",
)
