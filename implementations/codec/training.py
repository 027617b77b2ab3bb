"""Trains the codec that the small generator is heard through: `python -m implementations.codec.training -o DIR`.

The generator's weights write made-up codes, and a score says what they sound like (`score.py`). The decoder is computed from the score's
voices (`first_guess.py`); the flow, from codes to latents, is trained on songs of even seeds and on codes drawn at random.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import mse_loss

from implementations.codec.configuration import CHANNELS, Configuration
from implementations.codec.first_guess import lay_decoder, lay_flow
from implementations.codec.flow import SIGMA, FlowMatching
from implementations.codec.library import SHIPPED
from implementations.codec.model import HeartCodec, seeded
from implementations.codec.score import CODES, VOICES, latents_of
from implementations.generator.songs import song

SIZES = Configuration(
    dim=64, codebook_size=CODES, codebook_dim=64, attention_head_dim=32, num_attention_heads=3, num_layers=3, num_layers_2=1,
    out_channels=CHANNELS * VOICES, latent_hidden_dim=VOICES, init_channel=8, num_samples=1, upsample_factors=(5, 4, 4, 4, 6),
)  # fmt: skip

FRAMES = 372
"""Of all songs of a step together."""

LENGTHS = (12, 31, 62, 93, 372)
"""Frames of a song: each step draws one, since attention may be given a segment of any length."""


def codes_of(seed: int, frames: int) -> np.ndarray:
    """(frames, 8) int64: of the song of a seed, or, one time in seven, drawn at random, since what a generator writes strays."""
    rng = np.random.Generator(np.random.PCG64(seed))
    if rng.random() < 1 / 7:
        return rng.integers(0, CODES, (frames, SIZES.num_quantizers))
    begin = int(rng.integers(16))
    return song(seed, begin + frames)[2][begin:]


def loss_of(matching: FlowMatching, codes: np.ndarray, rng: torch.Generator, haste: float = 1.0) -> Tensor:
    """Mean squared error of the velocity of songs with codes (b, frames, 8), each at a time of its own: to the power of `haste`, 0 to 1.

    A third of them continue known latents, as the segments of a song do; one in ten is learned without its codes, for guidance.
    """
    latents = torch.from_numpy(np.stack([latents_of(one) for one in codes]))
    count, length, _ = latents.shape
    noise = torch.randn(latents.shape, generator=rng)
    times = ((torch.arange(count) + torch.rand(count, generator=rng)) / count) ** haste
    known = torch.rand(count, 1, 1, generator=rng).mul(1.5).sub(1).clamp(0) * length
    given = torch.arange(length)[:, None] < known
    keep = torch.rand(count, 1, 1, generator=rng) >= 0.1
    t = times[:, None, None]
    x = (1 - (1 - SIGMA) * t) * noise + t * latents
    seen = torch.cat([x, latents * given, matching.condition(torch.from_numpy(codes)) * keep], dim=-1)
    found = torch.vmap(matching.estimator)(seen[:, None], times)[:, 0]
    return mse_loss(found * ~given, (latents - (1 - SIGMA) * noise) * ~given)


def train(steps: int, seed: int = 0) -> tuple[HeartCodec, list[float]]:
    """A codec, and the loss of each step; one line of progress per hundred.

    Early times come first: what the codes mean is learned there, and how to get rid of the rest of the noise thereafter.
    """
    model = seeded(SIZES, seed)
    lay_decoder(model.scalar_model, SIZES)
    lay_flow(model.flow_matching, SIZES)
    matching = model.flow_matching.requires_grad_(True)
    optimizer = torch.optim.AdamW(matching.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    rng = torch.Generator().manual_seed(seed)
    losses = []
    for step in range(steps):
        frames = LENGTHS[int(torch.randint(len(LENGTHS), (), generator=rng))]
        codes = np.stack([codes_of(2 * (step * FRAMES + number), frames) for number in range(FRAMES // frames)])
        loss = loss_of(matching, codes, rng, haste=2 - step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(matching.parameters(), 1.0)
        optimizer.step()
        rates.step()
        losses.append(loss.item())
        if step % 100 == 99:
            print(f"codec: step {step + 1} of {steps}, loss {np.mean(losses[-100:]):.4f}", flush=True)
    return model.requires_grad_(False), losses


def save(folder: Path, model: HeartCodec) -> None:
    """Write a folder that `open_codec` reads; float16, which float32 holds exactly."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "heartcodec", **asdict(model.configuration), "in_channels": model.configuration.in_channels}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, str(folder / "model.safetensors"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.codec.training", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED, help="folder for small/")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums are then added in one order
    save(options.output / "small", train(options.steps, options.seed)[0])


if __name__ == "__main__":
    main()
