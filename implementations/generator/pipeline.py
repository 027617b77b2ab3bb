"""From tags and lyrics to sound: the generator writes frames, the codec decodes each segment as soon as its frames are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from harness.settings import Settings
from implementations.generator.flavours import CODEBOOKS, FLAVOURS, Flavour
from implementations.generator.generation import Model, Request, check, frames_of, generate
from implementations.generator.text import Encode, prompt_of, tokenizer_of

SHORT_SEGMENT = 93
"""Frames of a segment of the small codec: a quarter of upstream's, so that the first sound comes after 7.4 s of codes."""

Progress = Callable[[int, int], None]
"""(frames written, frames asked for)."""


@dataclass(frozen=True)
class Song:
    """What to make. guidance, temperature, top_k: upstream's defaults."""

    tags: str
    lyrics: str
    seconds: float
    seed: int = 0
    guidance: float = 1.5
    temperature: float = 1.0
    top_k: int = 50


@dataclass(frozen=True)
class Generator:
    """A model with its tokenizer, ready to write songs."""

    model: Model
    encode: Encode | None

    def request(self, song: Song) -> Request:
        """The checked request of a song; ValueError says what cannot be."""
        flavour = self.model.flavour
        prompt = prompt_of(song.tags, song.lyrics, flavour, self.encode)
        frames = frames_of(song.seconds, len(prompt.text), flavour)
        return check(Request(prompt, frames, song.guidance, song.temperature, song.top_k, song.seed, flavour.end), flavour)

    def codes(self, song: Song, progress: Progress | None = None) -> Iterator[np.ndarray]:
        """(1, 8) int64 codes of each frame, every one an entry of its codebook.

        A special id which is no code (the first frame may hold an end, any frame the id that is neither) sounds as the frame before did
        in its codebook.
        """
        request = self.request(song)
        before = np.zeros((1, CODEBOOKS), np.int64)
        for number, frame in enumerate(generate(self.model, request), 1):
            before = np.where(frame.codes[None] < self.model.flavour.codes, frame.codes[None].astype(np.int64), before)
            if progress:
                progress(number, request.frames)
            yield before


@contextmanager
def open_generator(
    folder: Path | str | None = None, *, backend: str = "native", flavour: str = "small", settings: Settings | None = None
) -> Iterator[Generator]:
    """The generator of a checkpoint's folder (upstream's HeartMuLa-oss-*, or the one that holds it), or the small one that comes along.

    backend: "native" or "torch_prepacked". CheckpointError, ValueError: what is wrong with the files.
    """
    from implementations._torch import threads
    from implementations.generator import native
    from implementations.generator.checkpoints import load, weights_of
    from implementations.generator.engine import Engine, prepacked

    settings = settings or Settings()
    if backend not in ("native", "torch_prepacked"):
        raise ValueError(f"generator: backend: expected native or torch_prepacked, found {backend!r}")
    hold = prepacked if backend == "torch_prepacked" else partial(native.hold, threads=settings.threads)
    with threads(settings.threads):
        import torch

        dtype = torch.bfloat16 if backend == "native" else torch.float32
        sizes: Flavour = FLAVOURS[flavour]
        encode = None
        if folder is None:
            weights = weights_of(sizes, dtype)
        else:
            own = own_folder(Path(folder))
            sizes, weights = load(own, dtype)
            encode = None if sizes.text_vocabulary < 1000 else tokenizer_of(own)
        yield Generator(Engine(sizes, weights, hold, threads=1 if backend == "native" else None), encode)


def own_folder(folder: Path) -> Path:
    """The generator's folder within a checkpoint, or this one itself."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a checkpoint's folder, found none")
    inside = sorted(path for path in folder.glob("HeartMuLa*") if path.is_dir())
    if len(inside) > 1 and not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: expected one generator, found {', '.join(path.name for path in inside)}: name one of these folders")
    return folder if (folder / "config.json").is_file() or not inside else inside[0]


def codec_folder(folder: Path) -> Path:
    """The codec's folder within a checkpoint; ValueError where there is none."""
    inside = sorted(path for path in (*folder.glob("HeartCodec*"), *folder.parent.glob("HeartCodec*")) if path.is_dir())
    if not inside:
        raise ValueError(f"{folder}: expected HeartCodec* there or beside it, found none: name it with --codec")
    return inside[0]
