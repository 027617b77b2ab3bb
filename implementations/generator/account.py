"""Where the time of a whole song goes, as the source document accounts for it: `python -m implementations.generator.account`.

What a few layers take is measured (`costs`): of the generator's frames with as many the gains are printed as they are. All else is
**modelled** from it for all layers: a song is cut as the codec cuts it, and generator, flow and decoder take turns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from harness.figures import How, tell
from implementations._cpus import usable_cpus
from implementations.codec.configuration import FLAVOURS as CODECS
from implementations.codec.configuration import LATENTS_PER_FRAME
from implementations.codec.products import operations
from implementations.codec.song import SEGMENT, cut, seconds_of
from implementations.codec.work import weight_bytes
from implementations.generator.benchmark import bandwidth
from implementations.generator.costs import Costs, Others, Round, measure, median_of
from implementations.generator.limits import CODEC, WHOLE, amdahl, speculative_speedup
from implementations.generator.pipeline import SHORT_SEGMENT

BACKBONE = WHOLE.backbone.layers
STEPS, BASELINE_STEPS = 10, 20

STATED_SHARES = {"LM": 0.60, "flow matching": 0.25, "CFG overhead": 0.15}
STATED_SPECULATION = 4.0
DRAWN = 200
"""Draws of the bootstrap."""

MOST_BUSY = 0.1
"""Share of the cores' time that others may take."""

ACCEPTANCE, AHEAD = 0.71, 3
"""Codes that the trained draft has right (`acceptance`, docs/generator.md), and frames drafted."""

Pair = Literal["none", "in turn", "batched"]
"""The second row of guidance: left out, computed after the first one, computed along with it."""


@dataclass(frozen=True)
class Second:
    """Seconds of work in a second of a song."""

    lm: float
    flow: float
    decoder: float

    @property
    def rtf(self) -> float:
        return self.lm + self.flow + self.decoder


def second_of(costs: Costs, steps: int, pair: Pair) -> Second:
    """What a second of a long song takes at so many steps of the flow; what segments share is computed twice."""
    row, times = (1, 1) if pair == "batched" else (0, 2 if pair == "in turn" else 1)
    segments = cut(SHORT_SEGMENT, SHORT_SEGMENT)
    flow = steps * times * costs.evaluation[row] / seconds_of(segments.hop)
    return Second(times * costs.frame[row].rtf(BACKBONE), flow, costs.decoder * segments.length / segments.hop)


def shares_of(costs: Costs) -> dict[str, float]:
    """Of the time at the document's 20 steps: the parts without guidance, and what its second row adds to both of them."""
    without, whole = (second_of(costs, BASELINE_STEPS, pair) for pair in ("none", "batched"))
    overhead = whole.lm + whole.flow - without.lm - without.flow
    seconds = {"LM": without.lm, "flow matching": without.flow, "CFG overhead": overhead, "decoder": whole.decoder}
    return {name: value / whole.rtf for name, value in seconds.items()}


def share_error(shares: Mapping[str, float]) -> float:
    """The largest difference from a share that the document states."""
    return max(abs(shares[name] - stated) for name, stated in STATED_SHARES.items())


@dataclass(frozen=True)
class Row:
    """A line of the document's table. rtf: with drafts as they were measured. assumed: with its 4 times. stated: its gain and RTF."""

    name: str
    rtf: float
    assumed: float
    stated: str


def table_of(upstream: Costs, native_one: Costs, native_all: Costs) -> list[Row]:
    """The document's cumulative table. upstream, native_one: on one core. Drafts cost nothing here, which is the best they can do."""
    gain = speculative_speedup(ACCEPTANCE, ahead=AHEAD, draft=0.0, flavour=WHOLE)

    def row(name: str, second: Second, stated: str, *, speculative: bool = True) -> Row:
        saved = [amdahl(second.lm / second.rtf, factor) if speculative else 1.0 for factor in (gain, STATED_SPECULATION)]
        return Row(name, second.rtf / saved[0], second.rtf / saved[1], stated)

    return [
        row("baseline", second_of(upstream, BASELINE_STEPS, "in turn"), "5.0-10.0", speculative=False),
        row("+ 10 steps", second_of(upstream, STEPS, "in turn"), "1.5-2.0x, 3.0-5.0", speculative=False),
        row("+ CFG pair batched", second_of(upstream, STEPS, "batched"), "1.2x, 2.5-4.0", speculative=False),
        row("+ speculation", second_of(upstream, STEPS, "batched"), "3.0-4.0x, 0.8-1.5"),
        row("+ vector kernels", second_of(native_one, STEPS, "batched"), "1.5-2.0x, 0.5-1.0"),
        row("+ several cores", second_of(native_all, STEPS, "batched"), "1.3-1.5x, 0.4-0.7"),
    ]


def evaluation_seconds(costs: Costs, segment: int, weights: float) -> float:
    """A guided evaluation of a segment of so many frames, by its operations; at least `weights`, seconds in which its weights are read."""
    each = [operations(CODECS[CODEC], LATENTS_PER_FRAME * frames) for frames in (segment, SHORT_SEGMENT)]
    return max(weights, costs.evaluation[1] * each[0] / each[1])


def first_audio(costs: Costs, segment: int, text: float, weights: float) -> float:
    """Seconds to the first sound: the text is read, the frames of a segment and one more are written (which shows that another segment
    follows), then the segment is solved and decoded. text: seconds of the first."""
    frame = costs.frame[1]
    frames = (segment + 1) * frame.at(BACKBONE) - (frame.at(BACKBONE) - frame.rest)  # what foretells the first one comes from the text
    return text + frames + STEPS * evaluation_seconds(costs, segment, weights) + costs.decoder * seconds_of(segment)


def shortest_segment(costs: Costs, weights: float) -> int:
    """Frames below which a shorter segment saves nothing: its evaluations take the time in which their weights are read."""
    return next(frames for frames in range(1, SEGMENT + 1) if evaluation_seconds(costs, frames, 0.0) >= weights or frames == SEGMENT)


class Spread(NamedTuple):
    """What follows from the medians of all costs, and the interval of it: the middle eight tenths of rounds drawn again."""

    value: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.interval[0]:.2f}, {self.interval[1]:.2f}]"


def spread(rounds: Sequence[Round], of: Callable[[Round], float]) -> Spread:
    """A modelled value with its interval, by the bootstrap: one round that noise spoiled moves no median."""
    value, random = of(median_of(rounds)), np.random.default_rng(0)
    again = [of(median_of([rounds[number] for number in random.integers(len(rounds), size=len(rounds))])) for _ in range(DRAWN)]
    low, high = np.quantile(again, (0.1, 0.9)).tolist()
    return Spread(value, (min(low, value), max(high, value)))


class Told(NamedTuple):
    """A figure for the ledger, and what it is of."""

    found: Spread
    of: str
    how: How = "modelled"


Figures = dict[str, Told]
"""By metric."""


def report(rounds: Sequence[Round], weights: float) -> Figures:
    """Print what the rounds mean for a whole song. weights: seconds in which the estimator's are read."""
    return {**_report_frames(rounds), **_report_shares(rounds), **_report_table(rounds), **_report_first_audio(rounds, weights)}


def frame_seconds(costs: Costs, *, guided: bool = True) -> float:
    """A frame as it was measured, with the few layers that it had."""
    frame = costs.frame[guided]
    return frame.at(frame.layers)


GAINS: Mapping[str, tuple[str, Callable[[Round], float]]] = {
    "speedup_pair_batched": (
        "both rows of guidance in one frame, over two frames of one row",
        lambda one: 2 * frame_seconds(one.native[1], guided=False) / frame_seconds(one.native[1]),
    ),
    "speedup_kernels": (
        "own kernels over upstream's arithmetic",
        lambda one: frame_seconds(one.upstream[1]) / frame_seconds(one.native[1]),
    ),
    "speedup_cores": ("all cores over one", lambda one: frame_seconds(one.native[0]) / frame_seconds(one.native[1])),
    "speedup_core_apart": (
        "one core over all, the others left to caches",
        lambda one: frame_seconds(one.native[1]) / frame_seconds(one.native[0]),
    ),
}
"""What a frame of the generator gains, own kernels: by metric, in words and as a function of what one round measured."""


def _report_frames(rounds: Sequence[Round]) -> Figures:
    layers = rounds[0].native[1].frame[1].layers
    print(f"measured, a frame of the generator with {layers} layers of its backbone:")
    told = {}
    for metric, (words, of) in GAINS.items():
        told[metric] = Told(spread(rounds, of), f"a frame with {layers} layers: {words}", "measured")
        print(f"  {words}: {told[metric].found}")
    return told


def _report_shares(rounds: Sequence[Round]) -> Figures:
    print(f"modelled, shares of the time at {BASELINE_STEPS} steps, all cores: upstream's arithmetic, own kernels, the document")
    middle = median_of(rounds)
    upstream, own = shares_of(middle.upstream[1]), shares_of(middle.native[1])
    for name in upstream:
        print(f"  {name}: {upstream[name]:.0%}, {own[name]:.0%}, {STATED_SHARES.get(name, 0):.0%}")
    error = spread(rounds, lambda one: share_error(shares_of(one.upstream[1])))
    print(f"  largest difference of a share of upstream's arithmetic: {error}")

    def rtf(steps: int, one: Round) -> float:
        return second_of(one.upstream[1], steps, "batched").rtf

    for steps in (BASELINE_STEPS, STEPS):
        print(f"modelled, RTF as upstream runs it, pair batched, all cores, {steps} steps: {spread(rounds, partial(rtf, steps))}")
    return {"time_share_error": Told(error, "the share of a whole song's time that differs most")}


def _report_table(rounds: Sequence[Round]) -> Figures:
    print(f"modelled, RTF with drafts right {ACCEPTANCE:.0%} and free (in brackets: {STATED_SPECULATION:g} times), gain; the document's:")
    before = None

    def table(one: Round) -> list[Row]:
        return table_of(one.upstream[0], one.native[0], one.native[1])

    for row in table(median_of(rounds)):
        gain = "" if before is None else f", {before / row.rtf:.2f}x{'' if row.rtf < before else ', no gain here'}"
        print(f"  {row.name}: {row.rtf:.2f} ({row.assumed:.2f}){gain}; {row.stated}")
        before = row.rtf
    last = spread(rounds, lambda one: table(one)[-1].rtf)
    print(f"  all of it: {last}")
    return {"modelled_rtf": Told(last, "the last row of the cumulative table, on this machine")}


def _report_first_audio(rounds: Sequence[Round], weights: float) -> Figures:
    middle = median_of(rounds)
    shortest = shortest_segment(middle.native[1], weights)
    print(f"modelled, seconds to the first sound, own kernels, all cores; the text takes {middle.text:.1f}:")
    whens = {}

    def when(segment: int, one: Round) -> float:
        return first_audio(one.native[1], segment, one.text, weights)

    for name, segment in {"upstream's, and the pipeline's of a checkpoint": SEGMENT, "short": SHORT_SEGMENT, "shortest": shortest}.items():
        whens[segment] = spread(rounds, partial(when, segment))
        print(f"  segments of {segment} frames ({name}): {whens[segment]}")
    return {"modelled_first_audio_seconds": Told(whens[SEGMENT], f"the pipeline with published weights, segments of {SEGMENT} frames")}


def main() -> int:
    """Exit code 0, or 1 where other work took too much of the cores: what was found is then printed, and told to nobody."""
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.account", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    others = Others()
    memory = bandwidth(usable_cpus())
    rounds = measure(options.rounds)
    busy = others.share
    figures = report(rounds, weight_bytes(CODEC)[0] / memory / 1e9)
    if busy > MOST_BUSY:
        print(f"other work took {busy:.0%} of the cores, which spoils these times: nothing is told; again on a quiet machine")
        return 1
    for metric, (found, of, how) in figures.items():
        tell(metric, found.value, how, of, interval=found.interval)
    return 0


if __name__ == "__main__":
    sys.exit(main())
