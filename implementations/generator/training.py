"""Trains the small generator and its draft on an endless procedural stream of songs: `python -m implementations.generator.training -o DIR`.

What the codes mean is made up, and hard to foretell as music is: a key and a progression that a tag chooses, a motif that comes back,
and detail that follows from both but for chance. So a draft is right sometimes, and how often is a property of these weights alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from implementations.generator.checkpoints import SHIPPED, model_of, random, save
from implementations.generator.flavours import CODEBOOKS, FLAVOURS
from implementations.generator.heartmula import HeartMuLa
from implementations.generator.songs import FRAMES, song
from implementations.generator.text import prompt_of

BATCH, DEEP = 16, 6
"""Songs of a step, and frames of each whose further codes are learned in it."""


def loss_of(model: HeartMuLa, seeds: list[int], rng: np.random.Generator) -> Tensor:
    """Mean cross-entropy, in nats a code, of the first codes of all frames and of the further codes of some.

    One song in ten is learned without its text, for guidance.
    """
    hidden, codes = [], []
    for seed in seeds:
        tags, lyrics, song_codes = song(seed, FRAMES)
        prompt = prompt_of(tags, lyrics, model.flavour)
        text = model.text_embeddings(torch.from_numpy(prompt.text))
        style = torch.arange(len(text))[:, None] == prompt.muq_place
        text = torch.where(style, model.muq_linear.bias, text)
        if rng.random() < 0.1:
            text = model.unconditional_text_embedding.weight.expand_as(text)
        read = model.embed_codes(torch.from_numpy(song_codes), 0).sum(dim=1)
        hidden.append(torch.cat([text, read[:-1]]))
        codes.append(torch.from_numpy(song_codes))
    # Prompts differ in length: they are padded behind, where nothing is learned and nobody looks.
    starts = [len(values) - FRAMES for values in hidden]
    padded = torch.nn.utils.rnn.pad_sequence(hidden, batch_first=True)
    model.backbone.allocate(len(seeds), padded.shape[1])
    states = model.backbone(padded, 0)
    states = torch.stack([row[start : start + FRAMES] for row, start in zip(states, starts, strict=True)])
    expected = torch.stack(codes)
    first = cross_entropy(model.codebook0_head(states).flatten(0, 1), expected[..., 0].flatten())

    chosen = torch.from_numpy(np.stack([rng.choice(FRAMES, DEEP, replace=False) for _ in seeds]))
    rows = torch.arange(len(seeds))[:, None]
    states, expected = states[rows, chosen].flatten(0, 1), expected[rows, chosen].flatten(0, 1)
    read = torch.cat([states[:, None], model.embed_codes(expected[:, :-1], 0)], dim=1)
    model.decoder.allocate(len(read), CODEBOOKS)
    deep = torch.einsum("npd,pdv->npv", model.decoder(model.projection(read), 0)[:, 1:], model.audio_head)
    further = cross_entropy(deep.flatten(0, 1), expected[:, 1:].flatten())
    return (first + (CODEBOOKS - 1) * further) / CODEBOOKS


def train(name: str, steps: int, seed: int = 0) -> HeartMuLa:
    """A flavour's model after so many steps, and one line of progress per hundred."""
    flavour = FLAVOURS[name]
    torch.manual_seed(seed)
    model = model_of(flavour, {key: tensor * (0.1 if "embedding" in key else 1) for key, tensor in random(flavour, seed).items()})
    model.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    rng = np.random.Generator(np.random.PCG64(seed))
    for step in range(steps):
        loss = loss_of(model, [2 * (step * BATCH + number) for number in range(BATCH)], rng)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        if step % 100 == 99:
            print(f"{name}: step {step + 1} of {steps}, {loss.item():.3f} nats a code", flush=True)
    return model.eval().requires_grad_(False)


def held_out(model: HeartMuLa, songs: int = 8) -> float:
    """Nats a code on songs never trained on."""
    with torch.inference_mode():
        seeds = [2 * number + 1 for number in range(songs)]
        return float(loss_of(model, seeds, np.random.Generator(np.random.PCG64(0))))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.training", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED, help="folder for small/ and draft/")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums are then added in one order
    for name in ("small", "draft"):
        model = train(name, options.steps, options.seed)
        save(options.output / name, FLAVOURS[name], model.state_dict())
        print(f"{name}: {held_out(model):.3f} nats a code on held-out songs; saved to {options.output / name}")


if __name__ == "__main__":
    main()
