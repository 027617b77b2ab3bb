"""Real width on this machine, interleaved in one process: `python -m implementations.generator.benchmark`.

Two of 28 backbone layers, the whole depth decoder, all logits, guidance: time per frame of each row, its share of the memory's bandwidth,
and what that means for all layers under the model that layers cost the same (`limits`). --check measures four layers beside two.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch

from implementations.generator import native
from implementations.generator.checkpoints import model_of, weights_of
from implementations.generator.component import GENERATOR, request_of
from implementations.generator.engine import Engine, Product, RowByRow, prepacked
from implementations.generator.flavours import FLAVOURS, Flavour
from implementations.generator.generation import Model, Request, write_frame
from implementations.generator.limits import Split, floor_rtf

WHOLE = FLAVOURS["3B+300M"]


def _native(flavour: Flavour, hold: Callable[..., Product]) -> Engine:
    return Engine(flavour, weights_of(flavour, torch.bfloat16), partial(hold, threads=torch.get_num_threads()), threads=1)


ROWS: Mapping[str, Callable[[Flavour], Model]] = {
    "upstream, bfloat16": lambda flavour: model_of(flavour, weights_of(flavour, torch.bfloat16)),
    "torch_prepacked, bfloat16": lambda flavour: Engine(flavour, weights_of(flavour, torch.bfloat16), prepacked, torch.bfloat16),
    "native, exact": lambda flavour: _native(flavour, native.hold),
    "native, rows in turn": lambda flavour: RowByRow(_native(flavour, native.hold)),
    "native, int8": lambda flavour: _native(flavour, native.hold_int8),
    "reference, float32": lambda flavour: model_of(flavour, weights_of(flavour, torch.float32)),
    "torch_prepacked, float32": lambda flavour: Engine(flavour, weights_of(flavour, torch.float32), prepacked),
}


class Running:
    """A model in the middle of a song: one frame at a time, timed in two parts."""

    def __init__(self, model: Model, request: Request) -> None:
        self.model, self.request, self.frame = model, request, 0
        self.hidden = model.start(request.prompt, request.rows, request.frames)
        self.backbone: list[float] = []
        self.rest: list[float] = []

    def step(self) -> None:
        assert self.request.forced is not None
        started = time.perf_counter()
        hidden = self.model.advance(self.request.forced[self.frame : self.frame + 1], self.frame)
        between = time.perf_counter()
        write_frame(self.model, hidden, self.request, self.frame)
        self.frame += 1
        self.backbone.append(between - started)
        self.rest.append(time.perf_counter() - between)

    def split(self) -> Split:
        """Medians, the first frame left out."""
        layers = self.model.flavour.backbone.layers
        return Split(layers, statistics.median(self.backbone[1:]), statistics.median(self.rest[1:]))


def measure(models: Mapping[str, Model], frames: int) -> dict[str, Split]:
    """Each model's frames in turn, so that noise meets all of them."""
    running = {}
    for name, model in models.items():
        inputs = GENERATOR.case(model.flavour.name).make(0)
        codes = np.resize(inputs["forced"], (frames, 8))
        running[name] = Running(model, request_of({**inputs, "frames": frames, "forced": codes})[1])
    for _ in range(frames):
        for one in running.values():
            one.step()
    return {name: one.split() for name, one in running.items()}


def bandwidth(threads: int) -> float:
    """GB/s at which the native product reads a matrix that no cache holds: the best of five."""
    weight = torch.ones(1 << 14, 1 << 15, dtype=torch.bfloat16)
    product, x = native.hold(weight, threads=threads), torch.ones(1, weight.shape[1])
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        product(x)
        seconds.append(time.perf_counter() - started)
    return weight.nbytes / min(seconds) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.benchmark", description=__doc__)
    parser.add_argument("--rows", nargs="+", default=list(ROWS)[:3], choices=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--memory", type=float, help="GB/s of the memory, for the share (`harness machine --limits` measures it)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--check", action="store_true", help="also measure four layers, beside what two foretell")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    flavour, memory = FLAVOURS["real-width"], options.memory or bandwidth(options.threads)
    found = measure({name: ROWS[name](flavour) for name in options.rows}, options.frames)
    base = next(iter(found.values())).at(flavour.backbone.layers)
    print(f"memory: {memory:.1f} GB/s; floor of {WHOLE.name} in bfloat16: {floor_rtf(WHOLE, memory):.2f} s of work per second of sound")
    for name, split in found.items():
        frame = split.at(split.layers)
        width = 4 if "float32" in name else 1 if "int8" in name else 2
        share = width * flavour.frame_parameters / frame / 1e9 / memory
        parts = f"{split.backbone * 1e3:6.1f} + {split.rest * 1e3:6.1f} ms"
        print(
            f"{name:26} {parts}  {base / frame:5.2f}x  {share:4.0%} of the memory  modelled whole: {split.rtf(WHOLE.backbone.layers):.2f}"
        )
    if options.check:
        four = measure({name: ROWS[name](FLAVOURS["real-width-4"]) for name in options.rows}, options.frames)
        for name, split in four.items():
            measured, foretold = split.at(4), found[name].at(4)
            print(
                f"{name:26} four layers: {measured * 1e3:.1f} ms measured, {foretold * 1e3:.1f} ms foretold, {foretold / measured - 1:+.1%}"
            )


if __name__ == "__main__":
    main()
