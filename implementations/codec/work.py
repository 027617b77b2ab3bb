"""The least work of a call, counted on the real modules without memory (torch's meta device), and the floors that follow from it."""

from __future__ import annotations

from functools import lru_cache

from harness.component import Work
from implementations.codec.configuration import FLAVOURS, LATENTS_PER_FRAME
from implementations.codec.song import cut

FLOAT32 = 4


@lru_cache(maxsize=64)
def evaluation(model: str, rows: int, latents: int) -> tuple[float, float]:
    """(operations of the estimator on that many rows, and as much of it as is the same at every step), a sum and a product each.

    The same are the parts of the two input convolutions that see the context and the condition; the present latents are seen by both
    rows of the guidance alike.
    """
    import torch

    configuration = FLAVOURS[model]
    from implementations.codec.model import on_meta

    estimator = on_meta(configuration).flow_matching.estimator
    with torch.device("meta"):
        inputs = torch.empty(rows, latents, configuration.in_channels)
        total = _counted(lambda: estimator(inputs, torch.empty(())))
        convolutions = (estimator.proj_in.ffn_1, estimator.connection_proj.ffn_1)
        outputs = sum(layer.out_channels * layer.kernel_size[0] for layer in convolutions)
    constant = configuration.in_channels - configuration.out_channels
    return total, 2.0 * rows * latents * constant * outputs


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


def flow_work(model: str, songs: int, latents: int, steps: int, guided: bool) -> Work:
    """Every step is an evaluation for each row; weights are read once per step, for no cache holds the published ones."""
    rows = songs * (2 if guided else 1)
    total, constant = evaluation(model, rows, latents)
    weights = steps * weight_bytes(model)[0]
    values = 3.0 * FLOAT32 * songs * latents * FLAVOURS[model].out_channels
    return Work(steps * (total - constant) + constant, weights + values, weight_bytes=weights)


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


def _counted(call: object) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        call()  # type: ignore[operator]
    return float(counter.get_total_flops())
