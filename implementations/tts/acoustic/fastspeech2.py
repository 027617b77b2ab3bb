"""FastSpeech2: phonemes to a log-mel spectrogram, all frames at once (Ren et al. 2021, arXiv:2006.04558).

Arithmetic and parameter names are those of github.com/ming024/FastSpeech2, so that its checkpoints load. B sentences of L phonemes and T
frames; shorter ones are padded behind, with symbol 0. As upstream, attention does not see what is padded, but the convolutions of the
predictors and of the PostNet do: near its end a sentence in a batch differs from the same sentence alone.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from implementations.tts.acoustic.configurations import Configuration

LONGEST_PHONEME = 1000
"""Frames (11.6 s at 22.05 kHz): no speech has longer phonemes, and no memory lasts for what a broken predictor asks for."""


class Spoken(NamedTuple):
    """What each stage gave; float, where not said otherwise. `pitch` and `energy` (B, L), or (B, T) at frame level."""

    encoded: Tensor  # (B, L, width)
    log_durations: Tensor  # (B, L), ln(frames + 1)
    durations: Tensor  # (B, L) int64, frames
    pitch: Tensor
    energy: Tensor
    expanded: Tensor  # (B, T, width), what the decoder reads
    mel: Tensor  # (B, T, mels)
    mel_postnet: Tensor  # (B, T, mels), the result
    frames: Tensor  # (B,) int64, mel frames of each sentence


class FastSpeech2(nn.Module):
    """The whole model; `forward` runs it, and each stage can be run on its own."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        c = self.configuration = configuration
        self.encoder = Transformer(c, c.encoder_layers, symbols=c.symbol_set.rows)
        self.variance_adaptor = VarianceAdaptor(c)
        self.decoder = Transformer(c, c.decoder_layers)
        self.mel_linear = nn.Linear(c.width, c.mels)
        self.postnet = PostNet(c)

    def forward(
        self,
        phonemes: Tensor,
        lengths: Tensor,
        *,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        duration_control: float = 1.0,
        pitch_control: float = 1.0,
        energy_control: float = 1.0,
    ) -> Spoken:
        """phonemes (B, L) int64, lengths (B,) int64, each at least 1.

        durations (B, L) in frames, pitch and energy as in `Spoken`: used in place of what is predicted, which is returned all the same.
        Controls multiply what is predicted: slower, higher, louder. (Upstream multiplies the energy by the pitch's control.)
        """
        encoded = self.encoder(phonemes, mask_of(lengths, phonemes.shape[1]))
        variances: Variances = self.variance_adaptor(
            encoded, lengths, durations, pitch, energy, duration_control=duration_control, pitch_control=pitch_control,
            energy_control=energy_control,
        )  # fmt: skip
        frames = variances.durations.sum(1)
        mel, mel_postnet = self.decode(variances.expanded, frames)
        return Spoken(encoded, *variances, mel, mel_postnet, frames)

    def decode(self, expanded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, width) and frames (B,) to the mel spectrogram before and after the PostNet, each (B, T, mels)."""
        if not expanded.shape[1]:
            nothing = expanded.new_zeros((*expanded.shape[:2], self.configuration.mels))
            return nothing, nothing
        mel = self.mel_linear(self.decoder(expanded, mask_of(frames, expanded.shape[1])))
        return mel, mel + self.postnet(mel)


def mask_of(lengths: Tensor, longest: int) -> Tensor | None:
    """(B, longest), True where there is something; None where nothing is padded."""
    if int(lengths.min()) == longest:
        return None
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


class Transformer(nn.Module):
    """Encoder (of symbols) or decoder (of vectors): positions are added, then blocks of attention and convolution."""

    position_encoding: Tensor

    def __init__(self, c: Configuration, layers: int, symbols: int | None = None) -> None:
        super().__init__()
        if symbols is not None:
            self.src_word_emb = nn.Embedding(symbols, c.width, padding_idx=0)
        self.layer_stack = nn.ModuleList(Block(c) for _ in range(layers))
        self.register_buffer("position_encoding", sinusoids(c.positions + 1, c.width), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if hasattr(self, "src_word_emb"):
            x = self.src_word_emb(x)
        stored, (length, width) = self.position_encoding, x.shape[1:]
        x = x + (stored if length <= len(stored) else sinusoids(length, width).to(stored))[:length]
        for block in self.layer_stack:
            x = block(x, mask)
        return x


def sinusoids(positions: int, width: int) -> Tensor:
    """(positions, width) float32: sine in even, cosine in odd columns, computed in float64 as upstream does."""
    angles = np.arange(positions)[:, None] / np.power(10000, 2 * (np.arange(width) // 2) / width)
    angles[:, 0::2], angles[:, 1::2] = np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])
    return torch.from_numpy(angles.astype(np.float32))


class Block(nn.Module):
    """A feed-forward transformer block: self-attention, then two convolutions, each with a residual and a norm behind."""

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        self.slf_attn = Attention(c)
        self.pos_ffn = Convolutions(c)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = silent(self.slf_attn(x, mask), mask)
        return silent(self.pos_ffn(x), mask)


def silent(x: Tensor, mask: Tensor | None) -> Tensor:
    """0 where something is padded: a convolution looks beyond the end."""
    return x if mask is None else x.masked_fill(~mask[..., None] if x.ndim > mask.ndim else ~mask, 0)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        self.heads = c.heads
        self.w_qs, self.w_ks, self.w_vs, self.fc = (nn.Linear(c.width, c.width) for _ in range(4))
        self.layer_norm = nn.LayerNorm(c.width)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (linear(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for linear in (self.w_qs, self.w_ks, self.w_vs))
        seen = F.scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, None, None, :])  # (B, heads, T, width / heads)
        normed: Tensor = self.layer_norm(self.dropout(self.fc(seen.transpose(1, 2).flatten(2))) + x)
        return normed


class Convolutions(nn.Module):
    """What a transformer has linear layers for: a wide convolution over neighbours, and one back."""

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        first, second = c.conv_kernels
        self.w_1 = nn.Conv1d(c.width, c.conv_width, first, padding=first // 2)
        self.w_2 = nn.Conv1d(c.conv_width, c.width, second, padding=second // 2)
        self.layer_norm = nn.LayerNorm(c.width)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.w_2(F.relu(self.w_1(x.transpose(1, 2)))).transpose(1, 2)
        normed: Tensor = self.layer_norm(self.dropout(y) + x)
        return normed


class Predictor(nn.Module):
    """One number per phoneme or frame: two convolutions, each with a norm behind its ReLU, and a linear layer."""

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        kernel, width = c.predictor_kernel, c.predictor_width
        self.conv_layer = nn.ModuleDict({
            "conv1d_1": named(nn.Conv1d(c.width, width, kernel, padding=kernel // 2)),
            "layer_norm_1": nn.LayerNorm(width),
            "conv1d_2": named(nn.Conv1d(width, width, kernel, padding=1)),  # upstream: 1 whatever the kernel
            "layer_norm_2": nn.LayerNorm(width),
        })  # fmt: skip
        self.linear_layer = nn.Linear(width, 1)
        self.dropout = nn.Dropout(c.predictor_dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if not x.shape[1]:
            return x.new_zeros(x.shape[:2])
        for number in "12":
            x = F.relu(self.conv_layer[f"conv1d_{number}"](x.transpose(1, 2)).transpose(1, 2))
            x = self.dropout(self.conv_layer[f"layer_norm_{number}"](x))
        return silent(self.linear_layer(x).squeeze(2), mask)


def named(conv: nn.Conv1d) -> nn.Sequential:
    """Upstream wraps its convolutions: their parameters are called conv.weight, conv.bias."""
    return nn.Sequential(OrderedDict(conv=conv))


class Variances(NamedTuple):
    """What the adaptor predicts, and makes of it; as in `Spoken`."""

    log_durations: Tensor
    durations: Tensor
    pitch: Tensor
    energy: Tensor
    expanded: Tensor


class VarianceAdaptor(nn.Module):
    """Adds pitch and energy, as embeddings of the bins they fall in, and gives each phoneme as many frames as it lasts."""

    pitch_bins: Tensor
    energy_bins: Tensor

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        self.per_frame = c.variance_level == "frame"
        self.duration_predictor, self.pitch_predictor, self.energy_predictor = Predictor(c), Predictor(c), Predictor(c)
        low, high = np.log(c.pitch_range) if c.log_pitch else c.pitch_range
        pitch_bins = torch.linspace(float(low), float(high), c.bins - 1)
        self.register_buffer("pitch_bins", torch.exp(pitch_bins) if c.log_pitch else pitch_bins)
        self.register_buffer("energy_bins", torch.linspace(*c.energy_range, c.bins - 1))
        self.pitch_embedding, self.energy_embedding = nn.Embedding(c.bins, c.width), nn.Embedding(c.bins, c.width)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        *,
        duration_control: float = 1.0,
        pitch_control: float = 1.0,
        energy_control: float = 1.0,
    ) -> Variances:
        mask = mask_of(lengths, x.shape[1])
        log_durations = self.duration_predictor(x, mask)
        if durations is None:
            durations = frames_of(log_durations, duration_control)
        if self.per_frame:
            x, mask = expand(x, durations), mask_of(durations.sum(1), int(durations.sum(1).max()))
        pitches = self.pitch_predictor(x, mask) * (pitch_control if pitch is None else 1.0)
        x = x + self.pitch_embedding(torch.bucketize(pitches if pitch is None else pitch, self.pitch_bins))
        energies = self.energy_predictor(x, mask) * (energy_control if energy is None else 1.0)
        x = x + self.energy_embedding(torch.bucketize(energies if energy is None else energy, self.energy_bins))
        return Variances(log_durations, durations, pitches, energies, x if self.per_frame else expand(x, durations))


def frames_of(log_durations: Tensor, control: float = 1.0) -> Tensor:
    """(B, L) int64 frames; ValueError where a phoneme would last longer than any does."""
    frames = torch.clamp(torch.round(torch.exp(log_durations) - 1) * control, min=0)
    if not bool((frames <= LONGEST_PHONEME).all()):
        place = int((~(frames <= LONGEST_PHONEME)).flatten().to(torch.int8).argmax())
        found = float(frames.flatten()[place])
        raise ValueError(
            f"FastSpeech2: phoneme {place % frames.shape[1]} of sentence {place // frames.shape[1]}: expected a duration of at most "
            f"{LONGEST_PHONEME} frames, predicted {found:g}; are these the weights of this configuration?"
        )
    return frames.to(torch.int64)


def expand(x: Tensor, durations: Tensor) -> Tensor:
    """(B, L, width) to (B, T, width): each phoneme as often as it has frames, 0 behind the last."""
    sentences = [sentence.repeat_interleave(times, dim=0) for sentence, times in zip(x, durations, strict=True)]
    return sentences[0][None] if len(sentences) == 1 else nn.utils.rnn.pad_sequence(sentences, batch_first=True)


class PostNet(nn.Module):
    """What the decoder's spectrogram lacks in detail, to be added: five convolutions over frames."""

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        widths = [c.mels, *[c.postnet_width] * 4, c.mels]
        self.convolutions = nn.ModuleList(
            nn.Sequential(named(nn.Conv1d(narrow, wide, 5, padding=2)), nn.BatchNorm1d(wide)) for narrow, wide in pairwise(widths)
        )

    def forward(self, mel: Tensor) -> Tensor:
        x = mel.transpose(1, 2)
        for convolution in self.convolutions[:-1]:
            x = F.dropout(torch.tanh(convolution(x)), 0.5, self.training)
        return F.dropout(self.convolutions[-1](x), 0.5, self.training).transpose(1, 2)
