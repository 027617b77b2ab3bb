"""Trains FastSpeech2 on spoken sentences: durations, pitch and energy are given, so that all frames are learnt at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss
from torch.nn.utils.rnn import pad_sequence

from implementations.tts.acoustic.configurations import SMALL
from implementations.tts.acoustic.fastspeech2 import FastSpeech2
from implementations.tts.training.data import Scale, Utterance

CONFIGURATION = replace(
    SMALL, name="shipped", encoder_layers=2, decoder_layers=3, conv_width=240, conv_kernels=(5, 1), predictor_width=64, postnet_width=64
)

STEPS, BATCH, RATE, WARM_UP = 1200, 16, 2e-3, 100
DECAY = 0.01

Report = Callable[[int, dict[str, float]], None]
"""(step, losses by name): called now and then."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B sentences, padded behind with 0: phonemes, durations (B, L) int64; pitch, energy (B, L) normalised; mel (B, T, 80)."""

    phonemes: Tensor
    lengths: Tensor
    durations: Tensor
    pitch: Tensor
    energy: Tensor
    mel: Tensor


def collate(spoken: Sequence[Utterance], scale: Scale) -> Batch:
    """Pitch and energy in standard deviations from the mean, as far as the bins reach."""

    def normal(values: np.ndarray, of: tuple[float, float], within: tuple[float, float]) -> Tensor:
        return torch.from_numpy(np.clip((values - of[0]) / of[1], *within).astype(np.float32))

    c = CONFIGURATION
    return Batch(
        pad_sequence([torch.tensor(c.symbol_set.encode(one.phonemes)) for one in spoken], batch_first=True),
        torch.tensor([len(one.phonemes) for one in spoken]),
        pad_sequence([torch.from_numpy(one.durations) for one in spoken], batch_first=True),
        pad_sequence([normal(one.pitch, scale.pitch, c.pitch_range) for one in spoken], batch_first=True),
        pad_sequence([normal(one.energy, scale.energy, c.energy_range) for one in spoken], batch_first=True),
        pad_sequence([torch.from_numpy(one.mel) for one in spoken], batch_first=True),
    )


def losses(model: FastSpeech2, batch: Batch) -> dict[str, Tensor]:
    """Mean errors over what is not padded: absolute ones of the spectrogram before and after the PostNet, squared ones of the rest."""
    found = model(batch.phonemes, batch.lengths, durations=batch.durations, pitch=batch.pitch, energy=batch.energy)
    sounds = torch.arange(batch.phonemes.shape[1]) < batch.lengths[:, None]
    frames = torch.arange(batch.mel.shape[1]) < batch.durations.sum(1)[:, None]
    return {
        "mel_l1": l1_loss(found.mel_postnet[frames], batch.mel[frames]),
        "mel_before_postnet_l1": l1_loss(found.mel[frames], batch.mel[frames]),
        "log_duration_mse": mse_loss(found.log_durations[sounds], torch.log1p(batch.durations[sounds].float())),
        "pitch_mse": mse_loss(found.pitch[sounds], batch.pitch[sounds]),
        "energy_mse": mse_loss(found.energy[sounds], batch.energy[sounds]),
    }


@torch.inference_mode()
def validate(model: FastSpeech2, spoken: Sequence[Utterance], scale: Scale) -> dict[str, float]:
    """Means of `losses` over batches of held-out sentences."""
    model.eval()
    found = [losses(model, collate(spoken[start : start + BATCH], scale)) for start in range(0, len(spoken), BATCH)]
    return {name: float(torch.stack([each[name] for each in found]).mean()) for name in found[0]}


def fit(
    spoken: Sequence[Utterance],
    held: Sequence[Utterance],
    scale: Scale,
    *,
    seed: int = 0,
    steps: int = STEPS,
    every: int = 100,
    report: Report = lambda step, found: None,
) -> FastSpeech2:
    """The trained model, in eval mode. held: sentences for the losses that `report` is told each `every` steps and at the end."""
    torch.manual_seed(seed)
    model = _fresh(spoken)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, steps, WARM_UP))
    for step, chosen in zip(range(steps), shuffled(spoken, seed), strict=False):
        if step % every == 0:
            report(step, validate(model, held, scale))
        model.train()
        # Without dropout in the PostNet, whose half would be half of its few channels; its norms go on learning.
        model.postnet.training = False
        optimizer.zero_grad()
        sum(losses(model, collate(chosen, scale)).values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    report(steps, validate(model, held, scale))
    return model.eval().requires_grad_(False)


def _fresh(spoken: Sequence[Utterance]) -> FastSpeech2:
    """Initial weights whose first spectrogram is the mean one: it lies far from 0."""
    model = FastSpeech2(CONFIGURATION)
    with torch.no_grad():
        model.mel_linear.bias.copy_(torch.from_numpy(np.concatenate([one.mel for one in spoken[:100]]).mean(axis=0)))
    return model


def warm_cosine(step: int, steps: int, warm_up: int) -> float:
    """Share of the rate: up in a straight line, then down to 0 along a cosine."""
    warm_up = min(warm_up, steps // 4)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(steps - warm_up, 1)))


def shuffled(spoken: Sequence[Utterance], seed: int) -> Iterator[list[Utterance]]:
    """Batches without end, each of sentences about equally long: out of 16 batches at a time, in another order each time."""
    random = torch.Generator().manual_seed(seed)
    if len(spoken) < BATCH:
        raise ValueError(f"expected at least {BATCH} sentences to train on, found {len(spoken)}")
    while True:
        order = torch.randperm(len(spoken), generator=random).tolist()
        pools = [order[start : start + 16 * BATCH] for start in range(0, len(order), 16 * BATCH)]
        full = []
        for pool in pools:
            pool.sort(key=lambda place: len(spoken[place].mel))
            full += [pool[start : start + BATCH] for start in range(0, len(pool) - BATCH + 1, BATCH)]
        for place in torch.randperm(len(full), generator=random).tolist():
            yield [spoken[each] for each in full[place]]
