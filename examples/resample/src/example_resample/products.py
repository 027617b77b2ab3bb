"""resample.products: the polyphase filter as banded matrices, a matrix product for each group of neighbouring outputs.

The pattern of taps repeats after `up` outputs and `down` inputs. Within such a period a group of outputs reads a run of inputs that is
hardly longer than the filter, so nearly all of its matrix is taps; over all periods at once the group is one product.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from example_resample.component import CROSSINGS, mono, ratio
from harness.component import Implementation, Inputs, Outputs, Requires, Run

if TYPE_CHECKING:
    from harness.settings import Settings

GROUP = 24
"""Outputs of a product: fewer waste the processor's rows, more waste products with zero."""

LEAST_PERIOD = 4 * GROUP
PERIODS = 256
"""Periods at a time: what they read and write stays in the cache."""


class Group(NamedTuple):
    """Outputs first ... last of a period, from the inputs that begin `offset` after the period's own. taps: (inputs, outputs)."""

    first: int
    last: int
    offset: int
    taps: np.ndarray


class Plan(NamedTuple):
    """outputs and inputs of a period; before, after: inputs that it reads beside its own."""

    outputs: int
    inputs: int
    before: int
    after: int
    groups: tuple[Group, ...]


@lru_cache(maxsize=16)
def plan(up: int, down: int) -> Plan:
    """The matrices of a ratio, made once."""
    from scipy.signal import firwin

    half = CROSSINGS * max(up, down)
    taps = up * firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)) if max(up, down) > 1 else np.ones(1)
    half = len(taps) // 2
    times = -(-LEAST_PERIOD // up)
    outputs, inputs = times * up, times * down
    groups = []
    for first in range(0, outputs, GROUP):
        last = min(first + GROUP, outputs)
        # Output m is the sum over k of taps[m * down + half - k * up] * input[k].
        low = -((half - first * down) // up)
        high = ((last - 1) * down + half) // up
        index = (np.arange(first, last) * down + half)[None] - np.arange(low, high + 1)[:, None] * up
        inside = (index >= 0) & (index < len(taps))
        groups.append(Group(first, last, low, np.where(inside, taps[np.clip(index, 0, len(taps) - 1)], 0.0)))
    before = max(0, -min(group.offset for group in groups))
    after = max(0, max(group.offset + len(group.taps) for group in groups) - inputs)
    return Plan(outputs, inputs, before, after, tuple(groups))


def resample(samples: np.ndarray, up: int, down: int) -> np.ndarray:
    """(ceil(n * up / down),) float32 of samples (n,) float32."""
    found = plan(up, down)
    count = -(-len(samples) * up // down)
    periods = -(-count // found.outputs)
    result = np.empty((periods, found.outputs), np.float32)
    padded = np.zeros(found.before + periods * found.inputs + found.after)
    padded[found.before : found.before + len(samples)] = samples
    step = padded.strides[0]
    for begin in range(0, periods, PERIODS):
        end = min(begin + PERIODS, periods)
        for group in found.groups:
            start = found.before + begin * found.inputs + group.offset
            shape, strides = (end - begin, len(group.taps)), (found.inputs * step, step)
            windows = np.lib.stride_tricks.as_strided(padded[start:], shape, strides, writeable=False)
            result[begin:end, group.first : group.last] = windows @ group.taps
    return result.reshape(-1)[:count]


@contextmanager
def load(settings: Settings) -> Iterator[Run]:
    """Gives run; the matrices of a ratio are made in its first call."""
    import scipy.signal  # noqa: F401  (the filter's design; imported here it is load time)

    def run(inputs: Inputs) -> Outputs:
        samples, (up, down) = mono(inputs), ratio(inputs["rate_in"], inputs["rate_out"])
        return {"resampled": resample(samples, up, down)}

    try:
        yield run
    finally:
        plan.cache_clear()


IMPLEMENTATION = Implementation("resample", "products", "optimized", load, requires=Requires(packages=("scipy",)), clock="cpu")
