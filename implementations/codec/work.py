"""The least work of a call, counted on the real modules without memory (torch's meta device), and the floors that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from harness.component import Work
from implementations.codec.configuration import FLAVOURS, LATENTS_PER_FRAME
from implementations.codec.song import SEGMENT, cut, seconds_of

FLOAT32 = 4


@dataclass(frozen=True)
class Evaluation:
    """Operations of the estimator in one call, a sum and a product each.

    fixed: as much of it as is the same at every step: the parts of the two input convolutions that see the context and the condition,
    and what makes the modulation of the time. present: of one row, the parts that see the present latents, which both rows share.
    """

    total: float
    fixed: float
    present: float


@lru_cache(maxsize=64)
def evaluation(model: str, rows: int, latents: int) -> Evaluation:
    """Counted on so many rows of so many latents."""
    import torch

    from implementations.codec.model import on_meta

    configuration = FLAVOURS[model]
    estimator = on_meta(configuration).flow_matching.estimator
    with torch.device("meta"):
        inputs, t = torch.empty(rows, latents, configuration.in_channels), torch.empty(())
        total = _counted(lambda: estimator(inputs, t))
        time = _counted(lambda: (estimator.adaln_single(t), estimator.adaln_single_2(t)))
    taps = sum(layer.out_channels * layer.kernel_size[0] for layer in (estimator.proj_in.ffn_1, estimator.connection_proj.ffn_1))
    constant = configuration.in_channels - configuration.out_channels
    return Evaluation(total, time + 2.0 * rows * latents * constant * taps, 2.0 * latents * configuration.out_channels * taps)


@lru_cache(maxsize=64)
def decoding(model: str, latents: int) -> float:
    """Operations of the convolutional decoder for two channels."""
    import torch

    from implementations.codec.model import on_meta

    scalar = on_meta(FLAVOURS[model]).scalar_model
    with torch.device("meta"):
        inputs = torch.empty(2, FLAVOURS[model].latent_hidden_dim, latents)
        return _counted(lambda: scalar(inputs))


@lru_cache(maxsize=16)
def weight_bytes(model: str) -> tuple[float, float]:
    """(bytes of the estimator's weights, of the decoder's with the weight norm folded), float32."""
    from implementations.codec.decoder import fold
    from implementations.codec.model import on_meta

    made = on_meta(FLAVOURS[model])
    fold(made.scalar_model)
    estimator, decoder = (
        sum(tensor.numel() for tensor in part.parameters()) for part in (made.flow_matching.estimator, made.scalar_model.decoder)
    )
    return float(FLOAT32 * estimator), float(FLOAT32 * decoder)


@lru_cache(maxsize=16)
def parameters(model: str) -> Mapping[str, int]:
    """Numbers in the weights of both parts, codebooks and weight norms included; of the scalar model its decoding half alone is here."""
    from implementations.codec.model import on_meta

    made = on_meta(FLAVOURS[model])
    parts = {"flow matching": made.flow_matching, "scalar model": made.scalar_model}
    return {name: sum(tensor.numel() for tensor in part.state_dict().values()) for name, part in parts.items()}


@lru_cache(maxsize=16)
def activations(model: str) -> Mapping[str, int]:
    """Kinds of activation in the decoder and how many there are of each: every module without parts that is no convolution."""
    from torch import nn

    from implementations.codec.decoder import fold
    from implementations.codec.model import on_meta

    scalar = on_meta(FLAVOURS[model]).scalar_model
    fold(scalar)
    leaves = [module for module in scalar.modules() if not list(module.children())]
    return Counter(type(module).__name__ for module in leaves if not isinstance(module, nn.Conv1d | nn.ConvTranspose1d))


def flow_work(model: str, songs: int, latents: int, steps: int, guided: bool) -> Work:
    """Every step is an evaluation for each row; weights are read once per step, for no cache holds the published ones."""
    rows = songs * (2 if guided else 1)
    one = evaluation(model, rows, latents)
    each = one.total - one.fixed - (rows - songs) * one.present
    weights = steps * weight_bytes(model)[0]
    values = 3.0 * FLOAT32 * songs * latents * FLAVOURS[model].out_channels
    return Work(steps * each + one.fixed, weights + values, weight_bytes=weights)


def decoder_work(model: str, latents: int) -> Work:
    """Weights once, latents in, samples out."""
    configuration, weights = FLAVOURS[model], weight_bytes(model)[1]
    values = FLOAT32 * latents * (configuration.out_channels + 2 * configuration.samples_per_latent)
    return Work(decoding(model, latents), weights + values, weight_bytes=weights)


def song_work(model: str, frames: int, segment: int, steps: int, guided: bool) -> Work:
    """All segments, whole: what of the last one lies beyond the song still has to be there for its attention."""
    count, latents = cut(frames, segment).count, LATENTS_PER_FRAME * segment
    parts = (flow_work(model, 1, latents, steps, guided), decoder_work(model, latents))
    operations, size, weights = (count * sum(getattr(part, name) for part in parts) for name in ("operations", "bytes", "weight_bytes"))
    return Work(operations, size, weight_bytes=weights)


def rtf_floor(model: str, *, gigabytes_per_second: float, teraflops: float, steps: int = 10, guided: bool = True, width: int = 4) -> float:
    """The least seconds for a second of a long song that such a machine can need, whatever the implementation.

    gigabytes_per_second: of memory. teraflops: of products. width: bytes of a weight, 4 or 2. Where it lies above a target, the target is
    unreachable.
    """
    hop = cut(SEGMENT).hop
    work = song_work(model, SEGMENT, SEGMENT, steps, guided)
    size = work.bytes - work.weight_bytes + work.weight_bytes * width / FLOAT32
    return max(size / gigabytes_per_second / 1e9, work.operations / teraflops / 1e12) / seconds_of(hop)


def _counted(call: Callable[[], object]) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        call()
    return float(counter.get_total_flops())
