"""The few operations of the stages around the decoder, on NumPy, torch and MLX arrays alike, where the array lies.

Only elementwise operations that IEEE 754 rounds once, in an order written here, so that the three give the same bits.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import ClockName, Implementation, Inputs, Outputs, Requires, Run
from implementations._torch import settle

if TYPE_CHECKING:
    from harness.settings import Settings

Array = Any
"""A floating-point array of NumPy, torch or MLX."""

_MODULES = {"numpy": "numpy", "torch": "torch", "mlx": "mlx.core"}


def namespace(array: Array) -> Any:
    """The module whose functions take this array; TypeError for an array of another library."""
    library = type(array).__module__.partition(".")[0]
    if library not in _MODULES:
        raise TypeError(f"expected an array of NumPy, torch or MLX, found {type(array).__module__}.{type(array).__name__}")
    if library == "torch":
        settle()
    return importlib.import_module(_MODULES[library])


def check_finite(name: str, array: Array, dimensions: int) -> None:
    """ValueError unless the array is floating-point, finite and has so many dimensions."""
    xp = namespace(array)
    if array.ndim != dimensions:
        raise ValueError(f"{name}: expected {dimensions} dimension{'s' * (dimensions > 1)}, found shape {tuple(array.shape)}")
    if "float" not in str(array.dtype):
        raise ValueError(f"{name}: expected floating-point values, found {array.dtype}")
    if not bool(xp.isfinite(array).all()):
        raise ValueError(f"{name}: expected finite values, found NaN or infinity")


def padded(array: Array, before: int, after: int, value: float) -> Array:
    """The array (frames,), at least one, with `value` in front and behind."""
    xp = namespace(array)
    one = xp.zeros_like(array[:1]) + value
    return xp.concatenate([xp.broadcast_to(one, (before,)), array, xp.broadcast_to(one, (after,))])


def sliding(combine: Any, array: Array, width: int) -> Array:
    """`combine` (associative) over each window of `width`: (frames - width + 1,), window i starting at i.

    Windows of 1, 2, 4, ... are combined from two of half the width: log2(width) passes, whatever the width.
    """
    windows, power, result, covered = array, 1, None, 0
    count = array.shape[0] - width + 1
    while True:
        if width & power:
            part = windows[covered : covered + count]
            result = part if result is None else combine(result, part)
            covered += power
        if covered == width:
            return result
        windows = combine(windows[:-power], windows[power:])
        power *= 2


CLOCKS: Mapping[str, ClockName] = {"numpy": "cpu", "torch": "wall", "mlx": "mlx"}
FROM_NUMPY = {"numpy": "asarray", "torch": "from_numpy", "mlx": "array"}


def stage(component: str, name: str, library: str, compute: Callable[[Inputs], Mapping[str, Array]]) -> Implementation:
    """A stage computed by a library of `CLOCKS`: NumPy inputs become its arrays, and the outputs come back as NumPy's."""

    @contextmanager
    def load(settings: Settings) -> Iterator[Run]:
        convert = getattr(importlib.import_module(_MODULES[library]), FROM_NUMPY[library])

        def run(inputs: Inputs) -> Outputs:
            there = {key: convert(value) if isinstance(value, np.ndarray) else value for key, value in inputs.items()}
            return {key: np.asarray(value) for key, value in compute(there).items()}

        yield run

    return Implementation(
        component=component,
        name=name,
        role="optimized",
        load=load,
        requires=Requires(packages=(library,)),
        clock=CLOCKS[library],
        description=f"on {library} arrays, on its default device",
    )
