"""The made-up songs that the small weights are trained and judged on: an endless procedural stream of codes.

What the codes mean is made up, and hard to foretell as music is: a key and a progression that a tag chooses, a motif that comes back,
and detail that follows from both but for chance.
"""

from __future__ import annotations

import numpy as np

from implementations.generator.flavours import CODEBOOKS

TAGS = ("calm piano", "bright pop", "dark techno", "slow strings")
PROGRESSIONS = ((0, 9, 5, 7), (0, 7, 9, 5), (9, 8, 7, 8), (0, 5, 0, 7))
CHANCE = (0.08, 0.15, 0.3, 0.2)
"""By tag: how often a code of detail is drawn anew."""

CODES = 64
FRAMES = 40
"""Of a song in training."""


def song(seed: int, frames: int) -> tuple[str, str, np.ndarray]:
    """tags, lyrics and codes (frames, 8) int64 of the song of a seed; held-out ones have odd seeds, trained ones even."""
    rng = np.random.Generator(np.random.PCG64(seed))
    mood, key = int(rng.integers(len(TAGS))), int(rng.integers(12))
    motif = rng.choice([0, 2, 4, 5, 7, 9, 11], 8)
    codes = np.empty((frames, CODEBOOKS), np.int64)
    for frame in range(frames):
        chord = PROGRESSIONS[mood][frame // 4 % 4]
        if frame and frame % 16 == 0:  # the motif comes back, with one note changed
            motif[rng.integers(8)] = rng.choice([0, 2, 4, 5, 7, 9, 11])
        codes[frame, 0] = (key + chord) % 12 + 12 * mood
        codes[frame, 1] = (motif[frame % 8] + key + chord) % 12 + 12 * (frame % 4)
        for book in range(2, CODEBOOKS):
            expected = ((2 * book + 1) * codes[frame, book - 1] + book) % CODES  # a permutation of what is above it
            codes[frame, book] = expected if rng.random() >= CHANCE[mood] else rng.integers(CODES)
    word = bytes(rng.integers(97, 123, 12).tolist()).decode()
    return TAGS[mood], word, codes
