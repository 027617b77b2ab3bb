"""How often drafts are right, and what that is worth: `python -m implementations.generator.acceptance`.

The small model on songs that nobody was trained on, at upstream's sampling (temperature 1, top-k 50, guidance 1.5): by its trained draft,
by copies, and by a dial that sets the acceptance. Times are of the small model here; for the published size they are computed from bytes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping

import numpy as np
import torch

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
    return {"trained draft": trained, "section copy": SectionCopy(), **dials}


def measure(songs: int, frames: int) -> dict[str, tuple[Tally, float]]:
    """By draft: what was right, and plain over speculative time. Every song is compared with plain decoding; ValueError if one differs."""
    model, trained = engine("small"), ModelDraft(engine("draft"))
    tallies, seconds, plain = dict[str, Tally](), dict[str, float](), 0.0
    for number in range(songs):
        request = held_out(number, frames)
        expected, taken = _timed(generate(model, request))
        plain += taken
        for name, draft in drafts(np.stack(expected), trained).items():
            tally = tallies.setdefault(name, Tally())
            found, taken = _timed(speculative.generate(model, request, draft, ahead=AHEAD, tally=tally))
            seconds[name] = seconds.get(name, 0.0) + taken
            if not np.array_equal(found, expected):
                raise ValueError(f"{name}: song {number} differs from plain decoding")
    return {name: (tally, plain / seconds[name]) for name, tally in tallies.items()}


def _timed(frames: Iterator[Frame]) -> tuple[list[np.ndarray], float]:
    started = time.perf_counter()
    return [frame.codes for frame in frames], time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.acceptance", description=__doc__)
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--frames", type=int, default=80)
    options = parser.parse_args()
    whole = FLAVOURS["3B+300M"]
    for name, (tally, faster) in measure(options.songs, options.frames).items():
        right = tally.acceptance
        computed = speculative_speedup(right, ahead=AHEAD, draft=0.0, flavour=whole)
        per_pass = tally.frames / (tally.passes + options.songs)
        here = f"codes right {right:6.1%}, frames a pass {per_pass:4.2f}, here {faster:4.2f}x"
        print(f"{name:18} {here}, 3B by bytes, free draft {computed:4.2f}x")


if __name__ == "__main__":
    main()
