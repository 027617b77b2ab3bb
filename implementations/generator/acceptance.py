"""How often drafts are right, and what that is worth: `python -m implementations.generator.acceptance`.

The small model on songs that nobody was trained on, at upstream's sampling (temperature 1, top-k 50, guidance 1.5): by its trained draft,
by copies, and by a dial that sets the acceptance. Times are of the small model here; for the published size they are computed from bytes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from harness.figures import tell
from implementations.generator import native, speculative
from implementations.generator.checkpoints import weights_of
from implementations.generator.engine import Engine
from implementations.generator.flavours import FLAVOURS
from implementations.generator.generation import Frame, Request, check, generate
from implementations.generator.limits import speculative_speedup
from implementations.generator.songs import song
from implementations.generator.speculative import Dial, Draft, ModelDraft, SectionCopy, Tally
from implementations.generator.text import prompt_of

ERRORS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
AHEAD = 3
TRAINED = "trained draft"


def engine(name: str) -> Engine:
    """A flavour on the native products."""
    return Engine(FLAVOURS[name], weights_of(FLAVOURS[name], torch.bfloat16), native.hold, threads=1)


def held_out(number: int, frames: int) -> Request:
    """A request with the text of a song that nobody was trained on."""
    tags, lyrics, _ = song(2 * number + 1, 1)
    flavour = FLAVOURS["small"]
    prompt = prompt_of(tags, lyrics, flavour)
    return check(Request(prompt, frames, guidance=1.5, temperature=1.0, top_k=50, seed=number, end=flavour.vocabulary), flavour)


def drafts(song: np.ndarray, trained: ModelDraft) -> Mapping[str, Draft]:
    """All that are measured, for one song."""
    vocabulary = FLAVOURS["small"].vocabulary
    dials = {f"dial, {error:.0%} wrong": Dial(song, error, vocabulary) for error in ERRORS}
    return {TRAINED: trained, "section copy": SectionCopy(), **dials}


@dataclass
class Measured:
    """Of one draft: what was right, and seconds of each song without and with it."""

    tally: Tally = field(default_factory=Tally)
    plain: list[float] = field(default_factory=list)
    drafted: list[float] = field(default_factory=list)

    @property
    def speedup(self) -> float:
        """Plain over speculative time of all songs."""
        return sum(self.plain) / sum(self.drafted)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest of a song."""
        ratios = [plain / drafted for plain, drafted in zip(self.plain, self.drafted, strict=True)]
        return min(ratios), max(ratios)


def measure(songs: int, frames: int) -> dict[str, Measured]:
    """By draft. Every song is compared with plain decoding; ValueError if one differs."""
    model, trained = engine("small"), ModelDraft(engine("draft"))
    measured = dict[str, Measured]()
    for number in range(songs):
        request = held_out(number, frames)
        expected, plain = _timed(generate(model, request))
        for name, draft in drafts(np.stack(expected), trained).items():
            one = measured.setdefault(name, Measured())
            found, drafted = _timed(speculative.generate(model, request, draft, ahead=AHEAD, tally=one.tally))
            one.plain.append(plain)
            one.drafted.append(drafted)
            if not np.array_equal(found, expected):
                raise ValueError(f"{name}: song {number} differs from plain decoding")
    return measured


def _timed(frames: Iterator[Frame]) -> tuple[list[np.ndarray], float]:
    started = time.perf_counter()
    return [frame.codes for frame in frames], time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.acceptance", description=__doc__)
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--frames", type=int, default=80)
    options = parser.parse_args()
    whole = FLAVOURS["3B+300M"]
    measured = measure(options.songs, options.frames)
    for name, one in measured.items():
        tally, right = one.tally, one.tally.acceptance
        computed = speculative_speedup(right, ahead=AHEAD, draft=0.0, flavour=whole)
        per_pass = tally.frames / (tally.passes + options.songs)
        here = f"codes right {right:6.1%}, frames a pass {per_pass:4.2f}, here {one.speedup:4.2f}x"
        print(f"{name:18} {here}, 3B by bytes, free draft {computed:4.2f}x")
    of = f"the small model with its trained draft, {AHEAD} frames ahead"
    tell("speedup_speculative", measured[TRAINED].speedup, "measured", of, interval=measured[TRAINED].spread)


if __name__ == "__main__":
    main()
