"""What a few layers of generator and codec cost on this machine, all in turns in one process: what `account` models a whole song from.

A frame of the generator at real width (2 of 28 backbone layers) in the middle of a song of three minutes, the reading of a text, an
evaluation of the codec's estimator with one block of each published width, these blocks alone, a second of its decoder; in upstream's
arithmetic and with the own kernels, on one core and on all, with and without the second row of guidance. Layers and blocks are taken to
cost the same wherever they stand (`limits.Split`, `codec.benchmark.Layers`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor

from implementations._comparing import in_turns
from implementations._cpus import usable_cpus
from implementations.codec.benchmark import GUIDANCE, Layers, evaluators
from implementations.codec.block_peers import Alone, packed
from implementations.codec.configuration import FLAVOURS as CODECS
from implementations.codec.configuration import LATENTS_PER_FRAME, LATENTS_PER_SECOND
from implementations.codec.decoder import fold
from implementations.codec.estimator import Estimator, rotations
from implementations.codec.model import seeded
from implementations.codec.native import Decoder
from implementations.generator import checkpoints, native
from implementations.generator.benchmark import Running
from implementations.generator.component import request_of, song
from implementations.generator.engine import Engine, Product
from implementations.generator.flavours import FLAVOURS, FRAMES_PER_SECOND
from implementations.generator.generation import Model
from implementations.generator.limits import CODEC, TEXT, WHOLE, Split
from implementations.generator.pipeline import SHORT_SEGMENT

BLOCKS = ("block", "wide block")
DEPTH = (CODECS[CODEC].num_layers, CODECS[CODEC].num_layers_2)
MIDDLE = round(90 * FRAMES_PER_SECOND)
"""Frames that lie behind a frame in the middle of three minutes."""


@dataclass(frozen=True)
class Costs:
    """Seconds of one way to compute. frame: of the generator. evaluation: of all the estimator's blocks on `SHORT_SEGMENT` frames. Both
    without and with the second row of guidance. decoder: of a second of sound."""

    frame: tuple[Split, Split]
    evaluation: tuple[float, float]
    decoder: float


@dataclass(frozen=True)
class Round:
    """What one round measured: on one core and on all. text: seconds in which the native engine reads a text, both rows, all layers."""

    upstream: tuple[Costs, Costs]
    native: tuple[Costs, Costs]
    text: float


def median_of(rounds: Sequence[Round]) -> Round:
    """The median of each cost."""

    def middle(each: Sequence[Costs]) -> Costs:
        frame, evaluation = zip(*(one.frame for one in each), strict=True), zip(*(one.evaluation for one in each), strict=True)
        without, both = (
            Split(splits[0].layers, median(one.backbone for one in splits), median(one.rest for one in splits)) for splits in frame
        )
        alone, together = map(median, evaluation)
        return Costs((without, both), (alone, together), median(one.decoder for one in each))

    upstream, native = (
        (middle([pair[0] for pair in pairs]), middle([pair[1] for pair in pairs]))
        for pairs in ([one.upstream for one in rounds], [one.native for one in rounds])
    )
    return Round(upstream, native, median(one.text for one in rounds))


class _Call(NamedTuple):
    part: str
    way: str
    threads: int
    guided: bool = True


class _Chosen:
    """Native products whose threads are chosen from call to call, by weights that are laid out once."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts, self.threads = counts, counts[-1]

    def hold(self, weight: Tensor) -> Product:
        laid = native.lay_out(weight.contiguous())
        by = {count: native.product_by(laid, weight.dtype, threads=count) for count in self.counts}

        def product(x: Tensor) -> Tensor:
            return by[self.threads](x)

        return product


class Others:
    """The share of the cores' time that everything but this process took since this was made: what spoils times on all cores first."""

    def __init__(self) -> None:
        self._began = self._now()

    @property
    def share(self) -> float:
        wall, busy, own = (now - before for now, before in zip(self._now(), self._began, strict=True))
        return max(0.0, busy - own) / (wall * (psutil.cpu_count() or 1))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)  # a guest's time is in the user's as well
        return time.perf_counter(), sum(times) - idle, time.process_time()


def measure(rounds: int) -> list[Round]:
    """Every call in each round, their order turned from one to the next."""
    counts = (1, usable_cpus())
    splits: dict[_Call, list[Split]] = {}
    calls = {**_generator_calls(counts, rounds, splits), **_codec_calls(counts)}
    seconds = in_turns(calls, rounds)

    def costs(number: int, way: str, threads: int) -> Costs:
        frame, whole = [], []
        for guided in (False, True):
            frame.append(splits[_Call("frame", way, threads, guided)][1:][number])  # the first one warmed up
            one, first, second = (seconds[_Call(part, way, threads, guided)][number] for part in ("evaluation", *BLOCKS))
            whole.append(Layers(one - first - second, first, second).seconds(DEPTH))
        return Costs((frame[0], frame[1]), (whole[0], whole[1]), seconds[_Call("decoder", way, threads)][number])

    layers = FLAVOURS["real-width"].backbone.layers
    found = []
    for number in range(rounds):
        upstream, own = ((costs(number, way, counts[0]), costs(number, way, counts[1])) for way in ("upstream", "native"))
        found.append(Round(upstream, own, seconds[_Call("text", "native", counts[1])][number] * WHOLE.backbone.layers / layers))
    return found


def _generator_calls(counts: Sequence[int], rounds: int, splits: dict[_Call, list[Split]]) -> dict[_Call, Callable[[], object]]:
    """A frame of each way, and the reading of a text; splits: gets the two parts of each frame's time."""
    flavour = FLAVOURS["real-width"]
    weights = checkpoints.weights_of(flavour, torch.bfloat16)
    chosen = _Chosen(counts)
    engine = Engine(flavour, dict(weights), chosen.hold, threads=1)
    frames = len(counts) * (rounds + 1) + 1
    request = request_of(song("", flavour.name, text=TEXT + MIDDLE, frames=frames, forced=True).make(0))[1]
    calls: dict[_Call, Callable[[], object]] = {}

    def step(running: Running, key: _Call) -> None:
        chosen.threads = key.threads
        running.step()
        splits.setdefault(key, []).append(Split(flavour.backbone.layers, running.backbone[-1], running.rest[-1]))

    for guided in (False, True):
        asked = replace(request, guidance=request.guidance if guided else 1.0)
        models: dict[str, Model] = {"upstream": checkpoints.model_of(flavour, weights), "native": copy(engine)}
        for way, running in {way: Running(model, asked) for way, model in models.items()}.items():
            for threads in counts:
                key = _Call("frame", way, threads, guided)
                calls[key] = partial(_on, threads, partial(step, running, key))
    prompt, reader = request_of(song("", flavour.name, text=TEXT, frames=1).make(0))[1].prompt, copy(engine)

    def read() -> None:
        chosen.threads = counts[-1]
        reader.start(prompt, 2, 1)

    calls[_Call("text", "native", counts[-1])] = partial(_on, counts[-1], read)
    return calls


def _codec_calls(counts: Sequence[int]) -> dict[_Call, Callable[[], object]]:
    """An evaluation with one block of each width, each of these blocks alone, and a second of the decoder."""
    codec = seeded(CODECS["width"])
    matching, latents = codec.flow_matching, LATENTS_PER_FRAME * SHORT_SEGMENT
    ways: dict[tuple[str, str], dict[bool, Callable[[], object]]] = {}
    rows = evaluators(matching, SHORT_SEGMENT, "float32")
    for way, row in (("upstream", rows["reference"]), ("native", rows["torch_packed"])):
        ways["evaluation", way] = {guided: row(GUIDANCE if guided else 1.0) for guided in (False, True)}
    for part, alone in zip(BLOCKS, _blocks(matching.estimator, latents), strict=True):
        width = alone.modulation.shape[-1]
        inputs = {guided: torch.randn(1 + guided, latents, width, generator=torch.Generator().manual_seed(0)) for guided in (False, True)}
        for way, block in (("upstream", alone), ("native", packed(alone))):
            ways[part, way] = {guided: partial(_inferring, block, x) for guided, x in inputs.items()}
    calls: dict[_Call, Callable[[], object]] = {}
    for (part, way), by_guidance in ways.items():
        for guided, call in by_guidance.items():
            calls |= {_Call(part, way, threads, guided): partial(_on, threads, call) for threads in counts}

    folded = seeded(CODECS["width"]).scalar_model
    fold(folded)
    decoder = Decoder(folded)
    second = torch.randn(LATENTS_PER_SECOND, CODECS["width"].out_channels, generator=torch.Generator().manual_seed(0))
    channels = second.view(LATENTS_PER_SECOND, 2, -1).permute(1, 2, 0).contiguous()

    def own(threads: int) -> None:
        decoder.threads = threads
        decoder(second.numpy())

    for threads in counts:
        calls[_Call("decoder", "upstream", threads)] = partial(_on, threads, partial(_inferring, codec.scalar_model, channels))
        calls[_Call("decoder", "native", threads)] = partial(own, threads)
    return calls


def _blocks(estimator: Estimator, latents: int) -> list[Alone]:
    """The first block of each width, at one step and at the positions of a segment."""
    found, t = [], torch.tensor(0.3)
    for number, (blocks, adaln) in enumerate(
        ((estimator.transformer_blocks, estimator.adaln_single), (estimator.transformer_blocks_2, estimator.adaln_single_2)), 1
    ):
        block: Any = blocks[0]
        with torch.inference_mode():
            found.append(Alone(block, adaln(t)[0], rotations(latents, number * estimator.head_dim)))
    return found


def _inferring(call: Callable[[Tensor], object], x: Tensor) -> None:
    with torch.inference_mode():
        call(x)


def _on(threads: int, call: Callable[[], object]) -> None:
    torch.set_num_threads(threads)
    call()
