"""How near the native engine comes to what its caches allow: `python -m implementations.small_models.bandwidth`.

A pass over the weights for one frame reads every byte of them once, so the least it can take is the time to read them. Both are
measured here, from C++ without Python between two passes, on the same bytes in the same place, in turns.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from implementations.small_models.checkpoints import shipped
from implementations.small_models.component import PIPELINE, examples
from implementations.small_models.native import Engine
from implementations.small_models.packed import PRECISIONS

ROUNDS, SECONDS = 60, 0.002
"""Turns, and about how long one is: within it a cache settles, and between two of them the machine stays what it is."""


@dataclass(frozen=True)
class Row:
    """Seconds of one pass, and of reading the same bytes; share: of the limit, the median over neighbouring turns."""

    precision: str
    stateful: bool
    level: str
    weight_bytes: int
    seconds: float
    least_seconds: float
    share: float


def measure(precision: str, stateful: bool, rounds: int = ROUNDS) -> Row:
    """The chain with the shipped weights, a frame at a time."""
    served = shipped()
    models, weights = {name: model for name, (model, _) in served.items()}, {name: own for name, (_, own) in served.items()}
    engine = Engine(models, weights, precision=precision, stateful=stateful)
    features = examples(PIPELINE, 1024, 0)["features"]
    passes = max(1, min(len(features), round(SECONDS / _seconds(lambda: engine.run(features[:16]), 16))))
    features, out = features[:passes], np.empty((passes, engine.outputs), np.float32)
    turns = [(_seconds(lambda: engine.run(features, out), passes), _seconds(lambda: engine.read(passes), passes)) for _ in range(rounds)]
    ran, read = (statistics.median(times) for times in zip(*turns, strict=True))
    share = math.exp(statistics.median(math.log(least / own) for own, least in turns))
    return Row(precision, stateful, engine.level, engine.weight_bytes, ran, read, share)


def table(rows: Iterator[Row]) -> Iterator[str]:
    """Lines of text, each as soon as it is measured."""
    line = "{:<10} {:<10} {:<12} {:>10} {:>10} {:>12} {:>8} {:>8}"
    yield line.format("precision", "mode", "level", "weights kB", "a pass us", "to read us", "GB/s", "share")
    for row in rows:
        rate = row.weight_bytes / row.least_seconds / 1e9
        times = (f"{1e6 * row.seconds:.1f}", f"{1e6 * row.least_seconds:.1f}", f"{rate:.0f}", f"{100 * row.share:.0f} %")
        yield line.format(row.precision, "stateful" if row.stateful else "stateless", row.level, f"{row.weight_bytes / 1e3:.0f}", *times)


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) / times


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.small_models.bandwidth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each (default {ROUNDS})")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error(f"--rounds: expected at least 1, found {rounds}")
    for text in table(measure(precision, stateful, rounds) for stateful in (False, True) for precision in PRECISIONS):
        print(text, flush=True)


if __name__ == "__main__":
    main()
