"""The codec and its two stages: what is computed, on what, how equal, at least how much work.

codec_flow: `codes` (songs, frames, 8) int64 become latents along `steps` Euler steps from `noise` (songs, 2 x frames, channels) float32;
the first are the `context` (songs, n, channels); `guidance` as a scale, up to 1 without. Output: `latents` as noise, and `levels` int32.
codec_decoder: `latents` (t, channels) float32, which it rounds to ninths, become `wave` (t x samples_per_latent, 2) float32.
codec: `codes` (frames, 8), cut into segments of `segment` frames, with `noise` (segments, 2 x segment, channels). Output: `latents`,
`levels` of every segment, `wave` (frames x samples_per_frame, 2), in chunks.
All: `model`, a flavour by name, with weights from a seed.

How equal is judged by stages, for rounding is a cliff: latents that differ by 1e-6 give the same audio, and by 1e-5, where one of them
is rounded to another level, audio at 54 dB. So latents are compared before they are rounded, the decoder on equal latents, and the levels
that flipped are counted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Case, Component, Effect, Inputs, Metric, Outputs, Unit, Work
from implementations.codec.configuration import FLAVOURS, LATENTS_PER_FRAME, LATENTS_PER_SECOND
from implementations.codec.song import SEGMENT, cut, noise_of

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

STEPS, GUIDANCE = 10, 1.25
"""Upstream's defaults."""

LATENTS_DB, WAVE_DB = 100.0, 110.0
SHORT = 93
"""Frames of the shortest segment that upstream can cut (7.44 s)."""


def flipped_levels(reference: np.ndarray, candidate: np.ndarray) -> float:
    """How many levels are not the reference's."""
    return float(np.count_nonzero(reference != candidate))


_LATENTS = Metric("snr_db", at_least=LATENTS_DB)
_LEVELS = Metric("flipped_levels", at_most=40, function=flipped_levels)
"""Latents that are right to 1e-6 lie that near to an edge in one of 50,000: 8 of the 380,000 of the longest default case."""
_WAVE = Metric("snr_db", at_least=WAVE_DB)
_SONG = Metric("snr_db", at_least=25.0)
"""Of a whole song: what one flipped level in a short one leaves. The stages' own bounds say whether it is exact."""


def flow_inputs(
    seed: int, *, model: str, frames: int, songs: int = 1, context: int = 0, steps: int = STEPS, guidance: float = GUIDANCE
) -> Inputs:
    """Random codes and noise; a context of the statistics that latents have."""
    configuration = FLAVOURS[model]
    random = np.random.default_rng(seed)
    noise = random.standard_normal((songs, LATENTS_PER_FRAME * frames, configuration.out_channels), np.float32)
    return {
        "model": model,
        "codes": random.integers(configuration.codebook_size, size=(songs, frames, configuration.num_quantizers)),
        "noise": noise,
        "context": random.standard_normal((songs, context, configuration.out_channels), np.float32),
        "steps": steps,
        "guidance": guidance,
    }


def decoder_inputs(seed: int, *, model: str, latents: int) -> Inputs:
    """Latents as a flow leaves them: near [-1, 1], where levels are dense."""
    shape = (latents, FLAVOURS[model].out_channels)
    return {"model": model, "latents": np.random.default_rng(seed).standard_normal(shape, np.float32)}


def song_inputs(seed: int, *, model: str, frames: int, segment: int = SEGMENT, steps: int = STEPS, guidance: float = GUIDANCE) -> Inputs:
    configuration = FLAVOURS[model]
    codes = np.random.default_rng(seed).integers(configuration.codebook_size, size=(frames, configuration.num_quantizers))
    noise = np.stack([noise_of(seed, number, configuration, segment) for number in range(cut(frames, segment).count)])
    return {"model": model, "codes": codes, "noise": noise, "segment": segment, "steps": steps, "guidance": guidance}


def _latents_produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio that the latents stand for, all songs together."""
    songs, latents, _ = outputs["latents"].shape
    return float(songs * latents / LATENTS_PER_SECOND)


def _samples_produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio in the result."""
    return len(outputs["wave"]) / FLAVOURS[inputs["model"]].sample_rate


def _flow_work(inputs: Inputs) -> Work:
    from implementations.codec.work import flow_work

    songs, frames, _ = inputs["codes"].shape
    return flow_work(inputs["model"], songs, LATENTS_PER_FRAME * frames, inputs["steps"], inputs["guidance"] > 1)


def _decoder_work(inputs: Inputs) -> Work:
    from implementations.codec.work import decoder_work

    return decoder_work(inputs["model"], len(inputs["latents"]))


def _song_work(inputs: Inputs) -> Work:
    from implementations.codec.work import song_work

    return song_work(inputs["model"], len(inputs["codes"]), inputs["segment"], inputs["steps"], inputs["guidance"] > 1)


def _flow_strategy() -> SearchStrategy[Inputs]:
    """Few frames and songs, any code, with and without context and guidance, noise of any content; integers of any width and layout."""
    from hypothesis import strategies as st

    from harness import strategies

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        frames, songs = draw(st.integers(1, 12)), draw(st.integers(1, 3))
        inputs = dict(flow_inputs(draw(st.integers(0, 2**16)), model="tiny", frames=frames, songs=songs))
        latents, channels = inputs["noise"].shape[1:]
        known = draw(st.sampled_from((0, 1, latents // 2, latents)))
        inputs["codes"] = draw(
            st.sampled_from((inputs["codes"], np.zeros_like(inputs["codes"]), inputs["codes"] * 0 + 60, inputs["codes"] // 3))
        )
        inputs["codes"] = inputs["codes"].astype(draw(st.sampled_from(("int64", "int32", "uint8"))))
        inputs["noise"] = draw(st.one_of(st.just(inputs["noise"]), strategies.arrays((songs, latents, channels), low=-3.0, high=3.0)))
        inputs["context"] = draw(strategies.arrays((songs, known, channels), low=-2.0, high=2.0)) if known else inputs["context"]
        inputs["guidance"] = draw(st.sampled_from((1.25, 1.0, 0, 3.0)))
        return inputs

    return inputs()


def _decoder_strategy() -> SearchStrategy[Inputs]:
    """Few latents of any content, on and between levels."""
    from hypothesis import strategies as st

    from harness import strategies

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        shape = (draw(st.integers(1, 24)), FLAVOURS["tiny"].out_channels)
        latents = draw(strategies.arrays(shape, low=-4.0, high=4.0))
        if draw(st.booleans()):  # exactly on a level or half way between two
            latents = (np.rint(18 * latents) / 18).astype(np.float32)
        return {"model": "tiny", "latents": np.asfortranarray(latents) if draw(st.booleans()) else latents}

    return inputs()


def _song_strategy() -> SearchStrategy[Inputs]:
    """Lengths around the edges of segments, segments down to a single frame."""
    from hypothesis import strategies as st

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        segment = draw(st.sampled_from((1, 2, 3, 8, 15)))
        hop = cut(1, segment).hop
        edges = sorted({max(1, edge + offset) for edge in (segment, segment + hop, 2 * segment) for offset in (-1, 0, 1)})
        frames = draw(st.one_of(st.integers(1, 2 * segment + 2), st.sampled_from(edges)))
        return song_inputs(draw(st.integers(0, 2**16)), model="tiny", frames=frames, segment=segment, steps=2)

    return inputs()


FLOW = Component(
    name="codec_flow",
    unit=Unit("audio second", 1.0),
    cases=(
        Case("tiny", partial(flow_inputs, model="tiny", frames=SHORT, context=26), quick=True),
        Case("tiny-4-songs", partial(flow_inputs, model="tiny", frames=SHORT, songs=4)),
        Case(
            "small",
            partial(flow_inputs, model="small", frames=SHORT, context=26),
            thorough="the size of a demonstration: other widths for the work of tiny",
        ),
        Case(
            "width-7s-1-step",
            partial(flow_inputs, model="width", frames=SHORT, context=26, steps=1),
            thorough="an evaluation at the published widths, one block of each kind: 1 GB of weights, a second a call",
        ),
    ),
    policy={"latents": _LATENTS, "levels": _LEVELS},
    produced=_latents_produced,
    strategy=_flow_strategy,
    work=_flow_work,
    effects=(
        Effect("threads", (1, 2), "small", "processes"),
        Effect("precision", ("float32", "bfloat16"), "tiny", "output"),
        Effect("precision", ("float32", "float16"), "tiny", "output"),
        Effect("steps", (10, 5), "tiny", "output"),
        Effect("steps", (10, 20), "tiny", "output"),
        Effect("mode", ("full", "lightweight"), "tiny", "output"),
        Effect("batch", (1, 4), "tiny-4-songs", "time"),
    ),
    description="the codec's flow matching: codes to latents by Euler steps along a transformer's velocity, with guidance",
)
DECODER = Component(
    name="codec_decoder",
    unit=Unit("audio second", 1.0),
    cases=(
        Case("tiny", partial(decoder_inputs, model="tiny", latents=2 * SHORT), quick=True),
        Case("small-7s", partial(decoder_inputs, model="small", latents=2 * SHORT)),
        Case(
            "width-1s",
            partial(decoder_inputs, model="width", latents=LATENTS_PER_SECOND),
            thorough="the published decoder: 0.1 TFLOP for a second of audio",
        ),
    ),
    policy={"wave": _WAVE},
    produced=_samples_produced,
    strategy=_decoder_strategy,
    work=_decoder_work,
    effects=(
        Effect("threads", (1, 2), "small-7s", "processes"),
        Effect("precision", ("float32", "bfloat16"), "tiny", "output"),
        Effect("precision", ("float32", "float16"), "tiny", "output"),
        Effect("audio_buffer", (96, 9600), "tiny", "time"),
    ),
    description="the codec's convolutional decoder: latents, rounded to ninths, to stereo samples",
)
SONG = Component(
    name="codec",
    unit=Unit("audio second", 1.0),
    cases=(
        Case("tiny", partial(song_inputs, model="tiny", frames=140, segment=SHORT), quick=True),
        Case("tiny-33s", partial(song_inputs, model="tiny", frames=424)),
        Case(
            "small",
            partial(song_inputs, model="small", frames=140, segment=SHORT),
            thorough="the size of a demonstration: other widths for the work of tiny",
        ),
    ),
    policy={"latents": _LATENTS, "levels": _LEVELS, "wave": _SONG},
    produced=_samples_produced,
    strategy=_song_strategy,
    work=_song_work,
    effects=(
        Effect("threads", (1, 2), "small", "processes"),
        Effect("precision", ("float32", "bfloat16"), "tiny", "output"),
        Effect("steps", (10, 5), "tiny", "output"),
        Effect("steps", (10, 20), "tiny", "output"),
        Effect("mode", ("full", "lightweight"), "tiny", "output"),
    ),
    description="HeartCodec from codes to 48 kHz stereo: segments of 29.76 s, each continuing the one before, cross-faded",
)
