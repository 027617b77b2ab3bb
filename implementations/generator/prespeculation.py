"""Saguaro's schedule, simulated: drafts for the likely outcomes of a verification are made while it runs, on a second device.

Nothing here is measured: time is counted in passes of the model, outcomes are drawn. A round ends with some of the drafted frames
accepted and one that the model writes itself. Where that outcome was prepared for, the next round starts at once; else it is drafted for
first, as in ordinary speculation. So all that can be hidden is the time of drafting. Source: arXiv:2603.03251 (speculative speculative
decoding).

`python -m implementations.generator.prespeculation` prints the table of docs/generator.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from harness.figures import tell


@dataclass(frozen=True)
class Scheme:
    """acceptance: probability that a drafted frame is right, each on its own. ahead: frames drafted for a round. draft: time of a
    drafted frame, where verifying a round takes 1, as plain decoding does for a frame. outcomes: how many can be prepared for. decay: of n
    candidates for the frame that the model writes none is right with probability (1 + n) ** -decay, the paper's power law.
    """

    acceptance: float
    ahead: int
    draft: float
    outcomes: int
    decay: float

    def __post_init__(self) -> None:
        if not (0 <= self.acceptance <= 1 and self.ahead >= 1 and self.draft >= 0 and self.outcomes >= 0 and self.decay > 0):
            raise ValueError(f"expected acceptance 0 to 1, ahead >= 1, draft and outcomes >= 0, decay > 0, found {self}")


def chances(scheme: Scheme) -> np.ndarray:
    """(ahead + 1,) probabilities that 0, 1, ... of the drafted frames are right."""
    a, count = scheme.acceptance, np.arange(scheme.ahead + 1)
    return np.where(count < scheme.ahead, a**count * (1 - a), a**count)


def misses(scheme: Scheme, candidates: np.ndarray) -> np.ndarray:
    """Probabilities that none of so many candidates is right."""
    found: np.ndarray = (1.0 + candidates) ** -scheme.decay
    return found


def prepared(scheme: Scheme) -> np.ndarray:
    """(ahead + 1,) candidates prepared for each count of right frames, so that a miss is as unlikely as can be: one candidate after the
    other where it helps most, which is best since each helps less than the one before."""
    candidates = np.zeros(scheme.ahead + 1, np.int64)
    for _ in range(scheme.outcomes):
        candidates[np.argmax(chances(scheme) * (misses(scheme, candidates) - misses(scheme, candidates + 1)))] += 1
    return candidates


def simulate(scheme: Scheme, rounds: int, *, prespeculate: bool, seed: int = 0) -> float:
    """Frames per unit of time over so many rounds; plain decoding gives 1."""
    rng = np.random.default_rng(seed)
    drafting, frames, clock = scheme.ahead * scheme.draft, 0, 0.0
    ready_with = 1 - misses(scheme, prepared(scheme)) if prespeculate else np.zeros(scheme.ahead + 1)
    ready = False
    for _ in range(rounds):
        clock += 0.0 if ready else drafting
        # All outcomes are drafted together: what limits a draft is reading its weights. It may take longer than the verification.
        wrong = np.flatnonzero(rng.random(scheme.ahead) >= scheme.acceptance)
        right = int(wrong[0]) if len(wrong) else scheme.ahead
        ready = bool(rng.random() < ready_with[right])
        clock += max(1.0, drafting) if ready else 1.0
        frames += right + 1
    return frames / clock


def expected(scheme: Scheme, *, prespeculate: bool) -> float:
    """What `simulate` tends to."""
    probability, drafting = chances(scheme), scheme.ahead * scheme.draft
    hit = float(probability @ (1 - misses(scheme, prepared(scheme)))) if prespeculate else 0.0
    frames = float(probability @ np.arange(1, scheme.ahead + 2))
    return frames / (hit * max(1.0, drafting) + (1 - hit) * (1.0 + drafting))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.prespeculation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--ahead", type=int, default=3)
    parser.add_argument("--outcomes", type=int, default=16)
    parser.add_argument("--decay", type=float, default=0.8)
    options = parser.parse_args()
    print("simulated, frames per pass of the model: drafted in turn, beside the verification, ratio")
    ratios = {}
    for acceptance in (0.5, 0.8, 0.95):
        for draft in (0.0, 0.05, 0.1, 0.3):
            scheme = Scheme(acceptance, options.ahead, draft, options.outcomes, options.decay)
            plain, beside = (simulate(scheme, options.rounds, prespeculate=flag) for flag in (False, True))
            ratios[scheme] = beside / plain
            print(f"frames right {acceptance:.0%}, a drafted frame {draft:4.2f}: {plain:.2f}, {beside:.2f}, {ratios[scheme]:.2f}x")
    best = max(ratios, key=ratios.__getitem__)
    of = f"the best of these: frames right {best.acceptance:.0%}, a drafted frame costs {best.draft:g} of a pass"
    tell("speedup_prespeculation", ratios[best], "simulated", of)


if __name__ == "__main__":
    main()
