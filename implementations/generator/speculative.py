"""Lossless speculative decoding: a draft proposes frames, one backbone pass and one depth pass over all of them check every code.

A drafted code is right where it is the one that would be chosen: the largest, or at a temperature the winner of its own race against
noise that depends on nothing but its place (`sampling`). So the song is that of plain decoding, code by code, whatever the draft; only
the time differs. The first wrong code is replaced by the right one, the rest of its frame is written as usual, and caches roll back by
writing the next frames over what does not count.

What does not work: the depth decoder as the draft of the backbone. It needs the backbone's state of the very frame it would draft.
Source: Leviathan et al. 2023; the document's arXiv:2410.13839 drafts with heads and accepts with tolerance, which is not lossless.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from implementations.generator.flavours import CODEBOOKS
from implementations.generator.generation import Frame, Model, Request, write_frame
from implementations.generator.sampling import choose, guide


class Verifier(Model, Protocol):
    """A model that can also check many codes at once; its hidden states have a shape and can be sliced."""

    def verify(self, hidden: Any, codes: np.ndarray) -> np.ndarray:
        """Logits (frames, 8, rows, vocabulary) of every code of frames (frames, 8), given all codes before it."""


class Draft(Protocol):
    """Who proposes. Nothing it says can change the song."""

    def propose(self, history: np.ndarray, count: int, request: Request) -> np.ndarray:
        """At most `count` frames (n, 8) int64 that may follow these (frames, 8), at least one; none where it has no idea."""


@dataclass
class Tally:
    """What was drafted and what of it was right. passes: of the backbone, the text's left out."""

    frames: int = 0
    passes: int = 0
    drafted: int = 0
    accepted: int = 0
    codes_checked: int = 0
    codes_accepted: int = 0

    @property
    def acceptance(self) -> float:
        """Share of the codes looked at that were right; those behind a wrong one are not looked at."""
        return self.codes_accepted / self.codes_checked if self.codes_checked else 0.0


def generate(model: Verifier, request: Request, draft: Draft, *, ahead: int = 4, tally: Tally | None = None) -> Iterator[Frame]:
    """The frames of `generation.generate`, in the same order.

    ahead: frames that the backbone reads before they are known to be right. With 0 each frame takes a pass of the backbone, and a draft
    saves passes of the depth decoder alone.
    """
    if request.forced is not None:
        raise ValueError("forced: a draft cannot be checked where the codes to read are given")
    tally = Tally() if tally is None else tally
    hidden = model.start(request.prompt, request.rows, request.frames)
    history = proposal = np.empty((0, CODEBOOKS), np.int64)
    while True:
        for frame in _checked(model, request, hidden, proposal, first=len(history), tally=tally):
            if len(history) and int(frame.codes.max()) >= request.end:
                return
            yield frame
            history = np.concatenate([history, frame.codes[None].astype(np.int64)])
        left = request.frames - len(history)
        if not left:
            return
        proposal = draft.propose(history, min(ahead + 1, left), request)
        # The last frame is read along with what is proposed after it. Whatever had been read beyond it is written over.
        hidden = model.advance(np.concatenate([history[-1:], proposal[: min(ahead, left - 1)]]), len(history) - 1)
        tally.passes += 1


def _checked(model: Verifier, request: Request, hidden: Any, proposal: np.ndarray, *, first: int, tally: Tally) -> Iterator[Frame]:
    """The frames that hidden states (rows, n, dim) give where n or n - 1 frames are proposed: those that are right, and one more."""
    count = len(proposal)
    logits = model.verify(hidden[:, :count], proposal) if count else np.empty(0)
    tally.drafted += count
    for number in range(count):
        frame = _right(logits[number], proposal[number], request, first + number, tally)
        tally.frames += 1
        if len(frame.codes) < CODEBOOKS or frame.codes[-1] != proposal[number, -1]:
            yield write_frame(model, hidden[:, number : number + 1], request, first + number, frame)
            return
        tally.accepted += 1
        yield frame
    if hidden.shape[1] > count:
        tally.frames += 1
        yield write_frame(model, hidden[:, count : count + 1], request, first + count)


def _right(logits: np.ndarray, codes: np.ndarray, request: Request, number: int, tally: Tally) -> Frame:
    """The codes of a frame up to the first that was not as drafted, that one corrected."""
    guided = np.stack([guide(rows, request.guidance) for rows in logits])
    chosen = np.empty(CODEBOOKS, np.int32)
    for book in range(CODEBOOKS):
        chosen[book] = choose(guided[book], request, number, book)
        tally.codes_checked += 1
        if chosen[book] != codes[book]:
            return Frame(chosen[: book + 1], guided[: book + 1])
        tally.codes_accepted += 1
    return Frame(chosen, guided)


@dataclass
class ModelDraft:
    """A smaller generator. It runs the same races, so it is right wherever it ranks the winner as the model does."""

    model: Model
    _read: np.ndarray = field(default_factory=lambda: np.empty((0, CODEBOOKS), np.int64))
    _song: Request | None = None

    def propose(self, history: np.ndarray, count: int, request: Request) -> np.ndarray:
        if request is not self._song:
            self.model.start(request.prompt, request.rows, request.frames)
            self._song, self._read = request, history[:0]
        # What it has read and what came true agree up to somewhere; it goes on from there.
        common = min(len(self._read), len(history) - 1)
        wrong = np.flatnonzero((self._read[:common] != history[:common]).any(axis=1))
        agreed = int(wrong[0]) if len(wrong) else common
        hidden, known = self.model.advance(history[agreed:], agreed), history
        for number in range(len(history), len(history) + count):
            codes = write_frame(self.model, hidden[:, -1:], request, number).codes[None].astype(np.int64)
            known = np.concatenate([known, codes])
            if number + 1 < len(history) + count:
                hidden = self.model.advance(codes, number)
        self._read = known[:-1]
        return known[len(history) :]


@dataclass(frozen=True)
class SectionCopy:
    """What followed the last time the song was where it is now: its last `least` frames, or more, occur before. For repeats."""

    least: int = 1

    def propose(self, history: np.ndarray, count: int, request: Request) -> np.ndarray:
        end = len(history)
        if end <= self.least or not count:
            return history[:0]
        same = (history[:-1] == history[-1]).all(axis=1)
        best, longest = -1, self.least - 1
        for place in np.flatnonzero(same)[::-1]:
            length = 1
            while length <= place and (history[place - length] == history[end - 1 - length]).all():
                length += 1
            if length > longest:
                best, longest = int(place), length
        return history[:0] if best < 0 else history[best + 1 : best + 1 + count]


@dataclass(frozen=True)
class Dial:
    """The song itself with each code replaced, independently with probability `error`, by another: an acceptance of choice."""

    song: np.ndarray
    error: float
    vocabulary: int
    seed: int = 0

    def propose(self, history: np.ndarray, count: int, request: Request) -> np.ndarray:
        first = len(history)
        found = self.song[first : first + count].astype(np.int64)
        random = np.random.default_rng([self.seed, first])
        wrong = random.random(found.shape) < self.error
        return np.where(wrong, (found + random.integers(1, self.vocabulary, found.shape)) % self.vocabulary, found)


def accept(target: np.ndarray, draft: np.ndarray, proposed: int, uniform: float, residual_uniform: float) -> int:
    """Rejection sampling, where no races are shared: a code distributed as `target`, if `proposed` is distributed as `draft`.

    The proposal with probability min(1, p / q), else one of what p has beyond q. Both: (codes,) probabilities; uniforms in [0, 1).
    """
    if uniform * draft[proposed] < target[proposed]:
        return proposed
    rest = np.cumsum(np.maximum(target - draft, 0.0))
    return int(np.searchsorted(rest, residual_uniform * rest[-1], side="right"))
