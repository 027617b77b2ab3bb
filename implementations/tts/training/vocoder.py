"""Trains a small HiFi-GAN generator on recordings and their own spectrograms, without an adversary.

An adversary makes speech natural and takes days; espeak's speech has little that only an adversary could find. The loss is that of
several short-time spectra (Yamamoto, Song, Kim, 2020) and of the mel spectrogram (Kong, Kim, Bae, 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from implementations.tts.mel import HOP, WINDOW
from implementations.tts.training import features
from implementations.tts.training.acoustic import Report, warm_cosine
from implementations.tts.training.data import Utterance
from implementations.tts.vocoder.hifigan import Generator, random_weights
from implementations.tts.vocoder.shapes import SHAPES

SHAPE = SHAPES["shipped"]

STEPS, BATCH, SEGMENT, RATE, WARM_UP = 1200, 16, 32, 2e-3, 50
"""SEGMENT: mel frames of each recording in a batch."""

RESOLUTIONS = ((2048, 512), (1024, 256), (512, 128), (256, 64))
"""Windows and hops of the spectra that are compared."""

FLOOR = 1e-2
"""Magnitudes below are alike: with a window of 1024, a sine of -68 dB."""

_MEAN, _SPREAD = -5.0, 2.5  # of log-mel values


def losses(made: Tensor, meant: Tensor) -> dict[str, Tensor]:
    """(batch, samples) each. mel_l1: of the log-mel spectrograms. spectra: mean over RESOLUTIONS of the error's share of the
    magnitudes (spectral convergence) and the error of their logarithms.
    """
    spectra = []
    for window, hop in RESOLUTIONS:
        ours, theirs = features.spectrum(made, window, hop), features.spectrum(meant, window, hop)
        convergence = torch.linalg.norm(ours - theirs) / torch.linalg.norm(theirs).clamp(min=FLOOR)
        spectra.append(convergence + l1_loss(ours.clamp(min=FLOOR).log(), theirs.clamp(min=FLOOR).log()))
        if window == WINDOW:
            mel = l1_loss(features.log_mel(ours), features.log_mel(theirs))
    return {"mel_l1": mel, "spectra": torch.stack(spectra).mean()}


@torch.inference_mode()
def validate(model: Generator, spoken: Sequence[Utterance]) -> dict[str, float]:
    """Means of `losses` over whole held-out recordings."""
    found = [losses(model(torch.from_numpy(one.mel.T[None].copy()))[:, 0], _samples(one)[None]) for one in spoken]
    return {name: float(torch.stack([each[name] for each in found]).mean()) for name in found[0]}


def fit(
    spoken: Sequence[Utterance],
    held: Sequence[Utterance],
    *,
    seed: int = 0,
    steps: int = STEPS,
    every: int = 100,
    report: Report = lambda step, found: None,
) -> Generator:
    """The trained generator, in eval mode. held: recordings for the losses that `report` is told each `every` steps and at the end."""
    model = _fresh(seed)
    random = np.random.Generator(np.random.PCG64([seed, 11]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.8, 0.99), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, steps, WARM_UP))
    long_enough = [one for one in spoken if len(one.mel) > SEGMENT]
    if not long_enough:
        raise ValueError(f"expected recordings of more than {SEGMENT} frames to train on, found none among {len(spoken)}")
    for step in range(steps):
        if step % every == 0:
            report(step, validate(model, held))
        mel, wave = _segments(long_enough, random)
        optimizer.zero_grad()
        sum(losses(model(mel)[:, 0], wave).values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    report(steps, validate(model, held))
    return model.eval().requires_grad_(False)


def _fresh(seed: int) -> Generator:
    """Initial weights through which a signal lives, for log-mel values as they are, and with a quiet first wave."""
    model = Generator(SHAPE)
    weights = {name: torch.from_numpy(np.array(value)) for name, value in random_weights(SHAPE, seed).items()}
    # As if the spectrogram were normalised: (mel - mean) / spread, folded into the first layer.
    weights["conv_pre.weight"] /= _SPREAD
    weights["conv_pre.bias"] -= _MEAN * weights["conv_pre.weight"].sum((1, 2))
    weights["conv_post.weight"] *= 0.1
    weights["conv_post.bias"] *= 0.0
    model.load_state_dict(weights)
    return model


def _segments(spoken: Sequence[Utterance], random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(BATCH, 80, SEGMENT) and (BATCH, SEGMENT * 256)."""
    mels, waves = [], []
    for place in random.integers(len(spoken), size=BATCH):
        one = spoken[place]
        start = int(random.integers(len(one.mel) - SEGMENT))
        mels.append(torch.from_numpy(one.mel[start : start + SEGMENT].T.copy()))
        waves.append(_samples(one)[start * HOP : (start + SEGMENT) * HOP])
    return torch.stack(mels), torch.stack(waves)


def _samples(one: Utterance) -> Tensor:
    return torch.from_numpy(one.wave.astype(np.float32) / 32768)
