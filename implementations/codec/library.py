"""The codec as a library: a checkpoint or a flavour in, songs out, whole or as soon as a segment is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from implementations.codec.configuration import Configuration
from implementations.codec.contract import check_codes, check_segment, check_solver
from implementations.codec.serving import Kernels, whole
from implementations.codec.song import SEGMENT, noise_of, song

BACKENDS = ("auto", "native", "torch_packed", "reference")

SHIPPED = Path(__file__).parent / "checkpoints"
"""Folders of trained weights that come with this package: `small`, which sounds what the small generator writes (`score.py`)."""


@dataclass(frozen=True)
class Codec:
    """A codec ready to decode: `open_codec` gives it."""

    configuration: Configuration
    kernels: Kernels

    def stream(
        self, codes: Iterable[np.ndarray], *, seed: int = 0, steps: int = 10, guidance: float = 1.25, segment: int = SEGMENT
    ) -> Iterator[np.ndarray]:
        """Samples (n, 2) float32 of each segment as soon as its codes have come; `configuration.sample_rate` Hz.

        codes: (frames, num_quantizers) whole numbers, each the number of an entry of its codebook, in any number of parts. segment:
        frames that are computed together; the first sound needs so many (or all). The same seed and codes give the same samples, however
        the codes are parted. ValueError, TypeError: codes or settings that cannot be.
        """
        steps, guidance = check_solver(steps, guidance)
        parts = (check_codes(part, self.configuration, axes=2) for part in codes if len(part))
        noise = partial(noise_of, seed, configuration=self.configuration, length=check_segment(segment))

        def flow(codes: np.ndarray, begin: np.ndarray, context: np.ndarray) -> np.ndarray:
            with _enough_memory(segment):
                return self.kernels.flow(codes, begin, context, steps, guidance)

        def decode(latents: np.ndarray) -> np.ndarray:
            with _enough_memory(segment):
                return whole(self.kernels, latents)

        for _, samples in song(parts, noise, flow, decode, self.configuration, length=segment):
            yield samples

    def decode(self, codes: np.ndarray, *, seed: int = 0, steps: int = 10, guidance: float = 1.25, segment: int = SEGMENT) -> np.ndarray:
        """The samples of a whole song (frames x samples_per_frame, 2); as `stream`."""
        codes = check_codes(codes, self.configuration, axes=2)
        return np.concatenate(list(self.stream([codes], seed=seed, steps=steps, guidance=guidance, segment=segment)))


@contextmanager
def _enough_memory(segment: int) -> Iterator[None]:
    """PyTorch's allocator raises a RuntimeError that says neither what needed the memory nor what to do."""
    try:
        yield
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise MemoryError(
            f"codec: expected memory for a segment of {segment} frames, found too little; give a shorter one ({error})"
        ) from error


@contextmanager
def open_codec(
    source: Path | str = "small", *, backend: str = "torch_packed", precision: str = "float32", threads: int | None = None, seed: int = 0
) -> Iterator[Codec]:
    """A codec from a checkpoint's folder or file, or of a flavour by name ("published", "small", "tiny") with random weights of a seed.

    backend: "torch_packed"; "native", which is its estimator and a decoder in C++; "reference", which keeps to upstream's order of
    computing; or "auto", the fastest that is built here (without oneDNN, on macOS, the reference). precision: "float32", or "bfloat16"
    (approximate) where torch_packed computes. BadCheckpoint: what is wrong with the files. MemoryError: they do not fit into this machine.
    """
    from implementations import _torch
    from implementations.codec import model, native, reference, torch_packed

    if backend not in BACKENDS:
        raise ValueError(f"codec: backend: expected {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}, found {backend!r}")
    if backend == "auto":
        fastest = "native" if precision == "float32" and find_spec(native.MODULE) else "torch_packed"
        backend = "reference" if torch_packed.why_not() else fastest
    if precision not in ("float32", "bfloat16") or (precision == "bfloat16" and backend != "torch_packed"):
        either = " or bfloat16" * (backend == "torch_packed")
        raise ValueError(f"codec: precision of {backend}: expected float32{either}, found {precision!r}")
    with _torch.threads(threads):
        loaded = model.load(source, seed=seed)
        if backend == "native":
            kernels = native.kernels(loaded, threads=threads)
        elif backend == "reference":
            kernels = reference.kernels(loaded)
        else:
            kernels = torch_packed.kernels(loaded, precision)
        yield Codec(loaded.configuration, kernels)
