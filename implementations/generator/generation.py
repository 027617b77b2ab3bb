"""Generating a song frame by frame, on any model: guidance, sampling, the end, and what is refused.

A model keeps its own caches; a frame is its eight codes. Nothing here depends on a framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from implementations.generator.flavours import CODEBOOKS, FRAMES_PER_SECOND, Flavour
from implementations.generator.sampling import choose, guide


@dataclass(frozen=True)
class Prompt:
    """text: (n,) int64 ids. muq: (width,) float32, the style, which stands at position `muq_place` in place of a token."""

    text: np.ndarray
    muq: np.ndarray
    muq_place: int


@dataclass(frozen=True)
class Request:
    """A song to be made: at most `frames` frames.

    guidance: above 1 a second row without text is computed, and logits are u + guidance (c - u). top_k 1 is greedy. end: the least code
    that ends the song, in any frame but the first. forced: (frames, 8), codes to read in place of those that were chosen.
    """

    prompt: Prompt
    frames: int
    guidance: float
    temperature: float
    top_k: int
    seed: int
    end: int
    forced: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Rows to compute."""
        return 2 if self.guidance > 1 else 1


class Model(Protocol):
    """What generation needs. A hidden state is the framework's own array (rows, n, dim); logits are (rows, vocabulary) float32."""

    flavour: Flavour

    def from_host(self, hidden: np.ndarray) -> Any:
        """A hidden state of float32 values."""

    def to_host(self, hidden: Any) -> np.ndarray:
        """Its values in float32."""

    def start(self, prompt: Prompt, rows: int, frames: int) -> Any:
        """Read a prompt into caches with room for so many frames more; the hidden state that foretells frame 0, n = 1."""

    def advance(self, codes: np.ndarray, start: int) -> Any:
        """Read frames start, start + 1, ... of codes (n, 8) int64, forgetting any from `start` on; what foretells each next one."""

    def first(self, hidden: Any) -> np.ndarray:
        """Logits of code 0 of the last of these positions."""

    def depth(self, hidden: Any, codes: Sequence[int], start: int) -> np.ndarray:
        """Logits of the code after these (one to seven) of one frame. start: entries of the frame's cache that count, 0 at first."""


@dataclass(frozen=True)
class Frame:
    """codes: (8,) int32 as chosen. logits: (8, vocabulary) float32, guided."""

    codes: np.ndarray
    logits: np.ndarray


def generate(model: Model, request: Request) -> Iterator[Frame]:
    """The frames of a song, one after the other; the one that ends it is not given."""
    hidden = model.start(request.prompt, request.rows, request.frames)
    for number in range(request.frames):
        frame = write_frame(model, hidden, request, number)
        if number and int(frame.codes.max()) >= request.end:
            return
        yield frame
        if number + 1 < request.frames:
            read = frame.codes if request.forced is None else request.forced[number]
            hidden = model.advance(read.astype(np.int64)[None], number)


def write_frame(model: Model, hidden: Any, request: Request, number: int, known: Frame | None = None) -> Frame:
    """Choose the codes of one frame, one after the other. known: the first of them where they are chosen already, with their logits.

    Under `forced` the depth decoder reads the forced codes.
    """
    forced = None if request.forced is None else request.forced[number]
    logits = np.empty((CODEBOOKS, model.flavour.vocabulary), np.float32)
    codes = np.empty(CODEBOOKS, np.int32)
    chosen, cached = 0, 0
    if known is not None:
        chosen = len(known.codes)
        logits[:chosen], codes[:chosen] = known.logits, known.codes
    for book in range(chosen, CODEBOOKS):
        if book == 0:
            found = model.first(hidden)
        else:
            read = codes if forced is None else forced
            found = model.depth(hidden, [int(code) for code in read[:book]], cached)
            cached = book + 1
        logits[book] = guide(found, request.guidance)
        codes[book] = choose(logits[book], request, number, book)
    return Frame(codes, logits)


def frames_of(seconds: float, prompt_length: int, flavour: Flavour) -> int:
    """Frames for so many seconds of audio; ValueError where that is none, or more than the model has positions for."""
    if not seconds > 0:
        raise ValueError(f"seconds: expected more than 0, found {seconds}")
    room = flavour.backbone.positions - prompt_length
    most = room / FRAMES_PER_SECOND
    if not seconds <= most:
        why = f"{flavour.name} has {flavour.backbone.positions} positions, of which the text takes {prompt_length}"
        raise ValueError(f"seconds: expected at most {most:g} ({why}), found {seconds}")
    return max(1, round(seconds * FRAMES_PER_SECOND))


def check(request: Request, flavour: Flavour) -> Request:
    """The request, or a ValueError or TypeError that says what is wrong with it."""
    prompt = request.prompt
    _ids("text", prompt.text, 1, flavour.text_vocabulary)
    if not len(prompt.text):
        raise ValueError("text: expected at least one token, found none")
    if prompt.muq.shape != (flavour.muq,) or prompt.muq.dtype != np.float32:
        raise ValueError(f"muq: expected shape ({flavour.muq},) float32, found {prompt.muq.shape} {prompt.muq.dtype}")
    if not np.isfinite(prompt.muq).all():
        raise ValueError(f"muq: expected finite values, found {prompt.muq[~np.isfinite(prompt.muq)][0]}")
    if not 0 <= prompt.muq_place < len(prompt.text):
        raise ValueError(f"muq_place: expected a position of the text, 0 to {len(prompt.text) - 1}, found {prompt.muq_place}")
    room = flavour.backbone.positions - len(prompt.text)
    if not 0 < request.frames <= room:
        raise ValueError(f"frames: expected 1 to {room} after a text of {len(prompt.text)} tokens, found {request.frames}")
    for name, value, least in (("guidance", request.guidance, 0.0), ("temperature", request.temperature, 1e-6)):
        if not least <= value < 1e6:
            raise ValueError(f"{name}: expected {least:g} to 1e6, found {value}")
    if not 1 <= request.top_k <= flavour.vocabulary:
        raise ValueError(f"top_k: expected 1 to {flavour.vocabulary}, found {request.top_k}")
    if not 0 <= request.seed < 2**64:
        raise ValueError(f"seed: expected 0 to 2^64 - 1, found {request.seed}")
    if request.forced is not None:
        _ids("forced", request.forced, 2, flavour.vocabulary)
        if request.forced.shape != (request.frames, CODEBOOKS):
            raise ValueError(f"forced: expected shape ({request.frames}, {CODEBOOKS}), found {request.forced.shape}")
    return request


def _ids(name: str, values: np.ndarray, dimensions: int, below: int) -> None:
    if values.dtype != np.int64 or values.ndim != dimensions:
        raise TypeError(f"{name}: expected int64 with {dimensions} dimensions, found {values.dtype} of shape {values.shape}")
    wrong = np.argwhere((values < 0) | (values >= below))
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        raise ValueError(f"{name}: expected ids from 0 to {below - 1}, found {values[place]} at {place}")
