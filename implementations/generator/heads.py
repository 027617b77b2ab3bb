"""Multi-token heads: from one hidden state the frames ahead as well, picked by Viterbi: `python -m implementations.generator.heads`.

A head gives the distribution of one code of one frame ahead, and knows nothing of the codes beside it. Which code follows which within a
frame is counted in the same songs; Viterbi finds the likeliest codes under both. Nobody checks them: what comes out is another song, so
this is no row of the generator. What it prints: how often the codes are right on songs that nobody was trained on, and how likely the
model finds songs that are written so. Source: after arXiv:2410.13839.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, log_softmax

from harness.figures import tell
from implementations.generator.acceptance import engine, held_out
from implementations.generator.engine import Engine
from implementations.generator.flavours import CODEBOOKS
from implementations.generator.generation import Prompt, Request, generate, write_frame
from implementations.generator.songs import FRAMES, song
from implementations.generator.text import prompt_of

AHEAD = 3
"""Frames that are foretold beyond the one that the model writes."""


def viterbi(emissions: np.ndarray, transitions: np.ndarray) -> np.ndarray:
    """(n,) int64: the path with the largest sum of emissions (n, codes) and transitions (n - 1, codes, codes), in logarithms.

    transitions[i, a, b]: of code b at place i + 1 after code a at place i. The least code where several are as good.
    """
    best, came = emissions[0], []
    for emission, transition in zip(emissions[1:], transitions, strict=True):
        scores = best[:, None] + transition
        came.append(scores.argmax(axis=0))
        best = scores.max(axis=0) + emission
    path = [int(best.argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return np.array(path[::-1], np.int64)


@dataclass(frozen=True)
class Heads:
    """weight: (frames ahead x 8 x codes, dim). follows: (7, codes, codes), how much likelier a code is after the one above it, in nats."""

    weight: Tensor
    follows: np.ndarray

    def distributions(self, states: Tensor) -> np.ndarray:
        """Logarithms (..., frames ahead, 8, codes) of hidden states (..., dim)."""
        codes = self.follows.shape[-1]
        logits = linear(states, self.weight).reshape(*states.shape[:-1], -1, CODEBOOKS, codes)
        found: np.ndarray = log_softmax(logits, dim=-1).numpy()
        return found

    def frames(self, state: Tensor) -> np.ndarray:
        """(frames ahead, 8) int64 that follow the frame which `state` (dim,) foretells."""
        return np.stack([viterbi(emissions, self.follows) for emissions in self.distributions(state)])


def follows_of(codes: np.ndarray, vocabulary: int) -> np.ndarray:
    """Heads.follows of frames (n, 8): log p(b | a) - log p(b) in counts, each pair counted once more than it was seen."""
    found = []
    for above, below in zip(codes.T[:-1], codes.T[1:], strict=True):
        pairs = np.ones((vocabulary, vocabulary))
        np.add.at(pairs, (above, below), 1)
        found.append(np.log(pairs / pairs.sum(axis=1, keepdims=True)) - np.log(pairs.sum(axis=0) / pairs.sum()))
    return np.stack(found)


def fit(states: Tensor, targets: Tensor, vocabulary: int, *, steps: int, seed: int = 0) -> Tensor:
    """Heads.weight by logistic regression: states (n, dim), targets (n, frames ahead, 8)."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.zeros(targets[0].numel() * vocabulary, states.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=5e-3)
    for _ in range(steps):
        chosen = torch.randint(len(states), (256,), generator=generator)
        logits = linear(states[chosen], weight).view(-1, vocabulary)
        loss = cross_entropy(logits, targets[chosen].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return weight.detach()


def states_of(model: Engine, prompt: Prompt, codes: np.ndarray) -> Tensor:
    """(frames, dim) float32: the hidden states that foretell each of these frames (n, 8) int64, guidance left out."""
    first = model.start(prompt, 1, len(codes))
    return torch.cat([first, model.advance(codes[:-1], 0)], dim=1)[0].float().clone()


def train(model: Engine, songs: int, steps: int) -> Heads:
    """Heads for a model that stays as it is, from songs it was trained on: those of even seeds."""
    read = [song(2 * number, FRAMES) for number in range(songs)]
    states, targets = [], []
    for tags, lyrics, codes in read:
        states.append(states_of(model, prompt_of(tags, lyrics, model.flavour), codes)[:-AHEAD])
        targets.append(np.stack([codes[1 + ahead : len(codes) - AHEAD + 1 + ahead] for ahead in range(AHEAD)], axis=1))
    vocabulary = model.flavour.vocabulary
    weight = fit(torch.cat(states), torch.from_numpy(np.concatenate(targets)), vocabulary, steps=steps)
    return Heads(weight, follows_of(np.concatenate([codes for _, _, codes in read]), vocabulary))


def write(model: Engine, request: Request, heads: Heads) -> Iterator[np.ndarray]:
    """The codes (8,) of each frame: one as `generation.generate` writes it, then those that the heads foretell, unchecked."""
    hidden, number = model.start(request.prompt, request.rows, request.frames), 0
    while True:
        written = write_frame(model, hidden[:, -1:], request, number).codes[None].astype(np.int64)
        frames = np.concatenate([written, heads.frames(hidden[0, -1])])[: request.frames - number]
        for codes in frames:
            if number and int(codes.max()) >= request.end:
                return
            yield codes
            number += 1
        if number == request.frames:
            return
        hidden = model.advance(frames, number - len(frames))


def right(heads: Heads, states: Tensor, codes: np.ndarray) -> np.ndarray:
    """(2, frames ahead, 8) shares of codes (n, 8) that each head foretold on its own, and that Viterbi picked."""
    count = len(codes) - AHEAD
    expected = np.stack([codes[1 + ahead : 1 + ahead + count] for ahead in range(AHEAD)], axis=1)
    alone = heads.distributions(states[:count]).argmax(axis=-1)
    together = np.stack([heads.frames(state) for state in states[:count]])
    return np.stack([(found == expected).mean(axis=0) for found in (alone, together)])


def nats(model: Engine, states: Tensor, codes: np.ndarray) -> float:
    """-log p of a code under the model, without guidance, on average over frames (n, 8)."""
    logits = torch.from_numpy(model.verify(states[None], codes)[:, :, 0])
    return float(cross_entropy(logits.flatten(0, 1), torch.from_numpy(codes).flatten()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.heads", description=__doc__)
    parser.add_argument("--songs", type=int, default=8, help="held-out songs to measure on")
    parser.add_argument("--frames", type=int, default=80, help="frames of each")
    parser.add_argument("--trained", type=int, default=256, help="songs to train on")
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, began = engine("small"), time.perf_counter()
    heads = train(model, options.trained, options.steps)
    print(f"{heads.weight.numel() / 1e6:.2f} M weights of heads, trained in {time.perf_counter() - began:.0f} s")
    shares: dict[str, list[np.ndarray]] = {"songs of the stream": [], "songs of the model": []}
    told: dict[str, list[float]] = {"plain decoding": [], f"heads, {AHEAD} frames ahead": []}
    for number in range(options.songs):
        request = held_out(number, options.frames)
        plain = np.stack([frame.codes for frame in generate(model, request)]).astype(np.int64)
        ahead = np.stack(list(write(model, request, heads)))
        for name, codes in zip(shares, (song(2 * number + 1, options.frames)[2], plain), strict=True):
            shares[name].append(right(heads, states_of(model, request.prompt, codes), codes))
        for name, codes in zip(told, (plain, ahead), strict=True):
            told[name].append(nats(model, states_of(model, request.prompt, codes), codes))
    for name, found in shares.items():
        for how, by_frame in zip(("each head alone", "Viterbi"), np.mean(found, axis=0), strict=True):
            parts = [f"{frame.mean():.0%} (first codes {frame[0]:.0%}, others {frame[1:].mean():.0%})" for frame in by_frame]
            print(f"{name}, {how}, codes right 1 to {AHEAD} frames ahead: {', '.join(parts)}")
    ahead_by_song = [found[1, 0].mean() for found in shares["songs of the model"]]
    of = "heads on the small model, one frame ahead, picked by Viterbi, on its own songs"
    tell("codes_right_ahead", np.mean(ahead_by_song), "measured", of, interval=(min(ahead_by_song), max(ahead_by_song)))
    for name, values in told.items():
        print(f"{name}: {np.mean(values):.2f} nats a code under the model (without guidance)")


if __name__ == "__main__":
    main()
