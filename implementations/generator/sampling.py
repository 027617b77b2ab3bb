"""Guidance and sampling: a race of probabilities against exponential noise that is a function of (seed, frame, codebook, code).

The noise is drawn by a counter, not from a stream: a song is the same whatever is generated beside it, in whatever order, and a
drafted code can be checked by running its own race again. Source: upstream's `sample_topk`; Philox 4x32-10 (Salmon et al., SC 2011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from implementations.generator.generation import Request

MASK = 0xFFFFFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Four arrays of 32 random bits each in int64, of four such arrays: NumPy's, torch's, anything with wrapping int64 arithmetic."""
    a, b, c, d = counter
    low, high = key
    for _ in range(ROUNDS):
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        # A product of 32 by 32 bits has 64: as int64 it wraps, and keeps its bits.
        a, b, c, d = ((right >> 32) & MASK) ^ b ^ low, right & MASK, ((left >> 32) & MASK) ^ d ^ high, left & MASK
        low, high = (low + WEYL[0]) & MASK, (high + WEYL[1]) & MASK
    return a, b, c, d


def exponential(seed: int, frame: int, codebook: int, codes: np.ndarray) -> np.ndarray:
    """Exponential noise, float64 above 0, for each of these codes (n,) int64 of a codebook of a frame."""
    # One counter per code: the race runs among the top k only, of which there are few.
    nothing = np.zeros_like(codes)
    bits = philox((codes, nothing + codebook, nothing + frame, nothing), (seed & MASK, seed >> 32))[0]
    found: np.ndarray = -np.log((2 * bits + 1) * 2.0**-33)
    return found


def guide(logits: np.ndarray, guidance: float) -> np.ndarray:
    """(vocabulary,) of rows (conditional,) or (conditional, unconditional)."""
    if len(logits) == 1:
        single: np.ndarray = logits[0]
        return single
    conditional, unconditional = logits
    guided: np.ndarray = unconditional + (conditional - unconditional) * np.float32(guidance)
    return guided


def kept(logits: np.ndarray, top_k: int) -> np.ndarray:
    """The codes that stay in the race: as large as the k-th largest, so ties keep more than k."""
    least = np.partition(logits, -top_k)[-top_k]
    return np.flatnonzero(logits >= least)


def choose(logits: np.ndarray, request: Request, frame: int, codebook: int) -> int:
    """The code of guided logits (vocabulary,): the largest, or above top-k 1 the winner of the race softmax(logits / T) / noise.

    The same logits and place give the same code, so that checking a draft means choosing again.
    """
    if request.top_k == 1:
        return int(logits.argmax())
    codes = kept(logits, request.top_k)
    return race(logits[codes], request.temperature, exponential(request.seed, frame, codebook, codes), codes)


def race(logits: np.ndarray, temperature: float, noise: np.ndarray, codes: np.ndarray) -> int:
    """The code with the largest p / noise: in logarithms, where nothing underflows."""
    return int(codes[np.argmax(logits.astype(np.float64) / temperature - np.log(noise))])
