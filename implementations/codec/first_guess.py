"""Weights that follow from the score: a whole decoder, and the ends of a flow, whose middle is trained.

Struck voices are a linear system, and so is a decoder whose residual units add nothing. Its first convolution picks which third of a voice
is due, and each stage then looks its blocks up in a shorter list of smaller blocks: the best list there is, by a singular value
decomposition of all blocks of that length. Gradients that went on from there only made it worse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from implementations.codec.configuration import Configuration
from implementations.codec.decoder import KERNEL, LOOK_AHEAD, ScalarModel
from implementations.codec.flow import FlowMatching
from implementations.codec.score import LOUDEST, RINGING, VOICES, check, meanings, voices

AUDIBLE = 5
"""How much louder the few things that codes mean are than one of the many latents, which begin as noise."""

CONSTANTS, LEVEL = 16, 4
"""Channels of the second width that are constant, and the root mean square they give all: norms then leave a token as loud as it was."""


@torch.no_grad()
def lay_decoder(decoder: ScalarModel, configuration: Configuration) -> None:
    """Set a decoder's weights. ValueError: sizes that are not the score's, too few channels, or repetitions after the last stage."""
    check(configuration)
    factors, thirds = configuration.upsample_factors, RINGING // configuration.samples_per_latent
    channels = [configuration.init_channel << len(factors) - number for number in range(len(factors) + 1)]
    if channels[0] < thirds * VOICES or configuration.num_samples != 1:
        found = f"{channels[0]} and num_samples={configuration.num_samples}"
        raise ValueError(f"score: expected a decoder of at least {thirds * VOICES} channels that repeats nothing, found {found}")
    for name, parameter in decoder.named_parameters():
        if "activation" in name:
            parameter.fill_(0.25)
        elif name.endswith("bias") or (".conv2." in name and name.endswith("original0")):
            parameter.zero_()

    layers: list[Any] = [*decoder.decoder]
    first = np.zeros((channels[0], VOICES, 2 * LOOK_AHEAD + 1))
    for voice in range(VOICES):
        for third in range(thirds):
            first[thirds * voice + third, voice, LOOK_AHEAD - third] = 1 / LOUDEST
    _set(layers[0], first)

    # A stage's channels stand for blocks, rows of samples, which become shorter from stage to stage: at last each is one sample.
    blocks = voices().astype(np.float64).reshape(thirds * VOICES, -1)
    sounds = blocks / np.sqrt(np.sqrt((blocks**2).mean(axis=1, keepdims=True)) + 1e-4)  # quiet voices count more than their energy
    for number, factor in enumerate(factors):
        listed = _list(sounds.reshape(-1, blocks.shape[1] // factor), channels[number + 1])
        looked_up = blocks.reshape(len(blocks), factor, -1) @ listed.T  # (rows, factor, list)
        weight = np.zeros((channels[number], channels[number + 1], 2 * factor))
        weight[: len(blocks), : len(listed), :factor] = looked_up.transpose(0, 2, 1)
        _set(layers[1 + number].up_conv.layer, weight)
        blocks = listed
    last = np.zeros((1, channels[-1], KERNEL))
    last[0, 0, -1] = blocks.item(0)
    _set(layers[-1], last)


@torch.no_grad()
def lay_flow(matching: FlowMatching, configuration: Configuration) -> None:
    """Codebooks that say what their codes mean, and a velocity that is minus the latents there are: right for silence at t = 0."""
    codebooks: list[Any] = [*matching.vq_embed.layers]
    for layer, meaning in zip(codebooks, torch.from_numpy(meanings()), strict=True):
        layer._codebook.embed.zero_()[0, :, : meaning.shape[1]] = meaning
    for linear in (matching.vq_embed.project_out, matching.cond_feature_emb):
        torch.nn.init.eye_(linear.weight)
        linear.bias.zero_()
    matching.cond_feature_emb.weight *= AUDIBLE
    channels, estimator = configuration.out_channels, matching.estimator
    estimator.proj_in.ffn_1.weight[:, :channels] = 0
    into, out = estimator.connection_proj, estimator.proj_out
    into.ffn_1.weight[:, :channels] = 0
    for projection, gain in ((into, 1), (out, -LEVEL)):
        projection.ffn_1.weight[:channels] = 0
        projection.ffn_1.weight[:channels, :channels, 1] = torch.eye(channels)
        projection.ffn_2.weight[:channels] = 0
        projection.ffn_2.weight[:channels, :channels] = gain * 3**0.5 * torch.eye(channels)
    into.ffn_2.bias[-CONSTANTS:] = LEVEL * (into.ffn_2.bias.numel() / CONSTANTS) ** 0.5 * torch.tensor([1, -1]).repeat(CONSTANTS // 2)
    for modulation in (estimator.adaln_single, estimator.adaln_single_2):
        modulation.linear.weight *= 0.1
    blocks: list[Any] = [*estimator.transformer_blocks, *estimator.transformer_blocks_2]
    for block in blocks:
        block.scale_shift_table[[2, 5]] += 1  # gates are open
    for block in blocks[len(estimator.transformer_blocks) :]:
        block.attn.o_proj.weight[:channels] = 0
        block.mlp.down.weight[:channels] = 0
        block.attn_norm.weight *= LEVEL
        block.mlp_norm.weight *= LEVEL


def _list(blocks: np.ndarray, most: int) -> np.ndarray:
    """(at most `most`, length): orthonormal rows that the blocks (n, length) are nearest to sums of."""
    values, vectors = np.linalg.eigh(blocks.T @ blocks)
    return vectors[:, ::-1].T[: min(most, int((values > 1e-12 * values[-1]).sum()))]


def _set(layer: nn.Module, weight: np.ndarray) -> None:
    """A weight by its lengths and directions; a row that is zero keeps its direction, at length zero."""
    parts = {name.rpartition(".")[2]: parameter for name, parameter in layer.named_parameters()}
    lengths, directions = parts["original0"], parts["original1"]
    rows = torch.from_numpy(weight).to(directions.dtype)
    norms = rows.flatten(1).norm(dim=1).view(-1, 1, 1)
    lengths.copy_(norms)
    directions.copy_(torch.where(norms > 0, rows, directions))
