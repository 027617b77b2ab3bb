"""PyTorch and threads: how many, and its functions made safe to call from several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

FUNCTIONS = ("exp", "log", "log10", "sqrt", "tanh")
"""Those used here that PyTorch takes from oneMKL."""


@lru_cache(maxsize=1)
def settle() -> None:
    """Call each of `FUNCTIONS` once on one number of each dtype.

    oneMKL 2024.2, which PyTorch's wheels hold, picks the kernel of a function in the function's first call. Threads that share this call
    may be given one of low accuracy for their part of it (pytorch/pytorch#188792): a softmax was wrong by 2e-5 now and then.
    """
    import torch

    for name in FUNCTIONS:
        for dtype in (torch.float32, torch.float64):
            getattr(torch, name)(torch.ones(1, dtype=dtype))


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """PyTorch settled, with so many threads until this is left, or as many as it had."""
    import torch

    settle()
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
