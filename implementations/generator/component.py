"""Three components: the music generator, and its two stages. What is computed, on what, how equal, at least how much work.

`flavour` names sizes and weights: trained ones of `small`, random ones else; model_size replaces it (`flavours.sized`). Exact means float32
between weights, which bfloat16 holds exactly. mode=lightweight is the small size, in 8 bits where a row has them. Source: HeartMuLa.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Case, Close, Component, Effect, Identical, Inputs, Outputs, Unit, Work
from implementations.generator.flavours import CODEBOOKS, FRAMES_PER_SECOND, Flavour, flavour_of
from implementations.generator.generation import Prompt, Request, check
from implementations.generator.sampling import philox
from implementations.generator.songs import FRAMES as MADE_FRAMES
from implementations.generator.songs import song as made_song
from implementations.generator.text import prompt_of

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

REAL_WIDTH_FRAMES = 4
SONG_FRAMES = 125


def numbers(seed: int, purpose: int, count: int, below: int) -> np.ndarray:
    """(count,) int64 from 0 to below - 1, the same on every machine."""
    counter = np.arange(count, dtype=np.int64)
    bits: np.ndarray = philox((counter, 0 * counter + purpose, 0 * counter, 0 * counter), (seed, 0))[0]
    found: np.ndarray = bits * below >> 32
    return found


def _normal(seed: int, purpose: int, shape: tuple[int, ...]) -> np.ndarray:
    """Nearly normal float32: a sum of twelve uniform numbers, which needs no function that rounds differently elsewhere."""
    count = math.prod(shape)
    uniform = numbers(seed, purpose, 12 * count, 1 << 24).reshape(12, count)
    found: np.ndarray = (uniform.sum(axis=0) / 2.0**24 - 6).astype(np.float32).reshape(shape)
    return found


def song(
    name: str,
    flavour: str,
    *,
    text: int,
    frames: int,
    top_k: int = 1,
    guidance: float = 1.5,
    forced: bool = False,
    quick: bool = False,
    thorough: str = "",
) -> Case:
    """A random text of so many tokens, and as many frames as are asked for: no code ends it. forced: codes to read are given."""

    def make(seed: int) -> Inputs:
        sizes = flavour_of(flavour)
        given = {"forced": numbers(seed, 1, frames * CODEBOOKS, sizes.codes).reshape(frames, CODEBOOKS)} if forced else {}
        return {
            "flavour": flavour,
            "text": numbers(seed, 0, text, sizes.text_begin),
            "muq": np.zeros(sizes.muq, np.float32),
            "muq_place": text // 2,
            "frames": frames,
            "guidance": guidance,
            "temperature": 1.0,
            "top_k": top_k,
            "seed": seed,
            "end": sizes.vocabulary,
            **given,
        }

    return Case(name, make, quick=quick, thorough=thorough)


def held_out(seed: int) -> Inputs:
    """A made-up song that the small weights were not trained on, read code by code: `labels` are what came next.

    Without guidance, so that the logits are what the model expects.
    """
    tags, lyrics, codes = made_song(2 * seed + 1, MADE_FRAMES)
    sizes = flavour_of("small")
    prompt = prompt_of(tags, lyrics, sizes)
    return {
        "flavour": sizes.name,
        "text": prompt.text,
        "muq": prompt.muq,
        "muq_place": prompt.muq_place,
        "frames": len(codes),
        "guidance": 1.0,
        "temperature": 1.0,
        "top_k": 1,
        "seed": seed,
        "end": sizes.vocabulary,
        "forced": codes,
        "labels": codes,
    }


def hidden_states(name: str, flavour: str, *, frames: int, top_k: int = 1, quick: bool = False, thorough: str = "") -> Case:
    """What a backbone could give: hidden states of size 1 for a conditional and an unconditional row, and the first codes."""

    def make(seed: int) -> Inputs:
        sizes = flavour_of(flavour)
        return {
            "flavour": flavour,
            "hidden": _normal(seed, 2, (2, frames, sizes.backbone.dim)),
            "first": numbers(seed, 1, frames, sizes.codes),
            "guidance": 1.5,
            "temperature": 1.0,
            "top_k": top_k,
            "seed": seed,
        }

    return Case(name, make, quick=quick, thorough=thorough)


def request_of(inputs: Inputs) -> tuple[Flavour, Request]:
    """The flavour and the checked request of the inputs of a generator or a backbone."""
    flavour = flavour_of(inputs["flavour"])
    prompt = Prompt(inputs["text"], inputs["muq"], inputs["muq_place"])
    request = Request(
        prompt=prompt,
        frames=inputs["frames"],
        guidance=float(inputs["guidance"]),
        temperature=float(inputs["temperature"]),
        top_k=inputs["top_k"],
        seed=inputs["seed"],
        end=inputs["end"],
        forced=inputs.get("forced"),
    )
    return flavour, check(request, flavour)


def depth_request_of(inputs: Inputs) -> tuple[Flavour, Request]:
    """The same of the inputs of a depth decoder, with a text that nobody reads."""
    flavour = flavour_of(inputs["flavour"])
    hidden, first = inputs["hidden"], inputs["first"]
    expected = (2, len(first), flavour.backbone.dim)
    if hidden.shape != expected or hidden.dtype != np.float32 or not np.isfinite(hidden).all():
        raise ValueError(f"hidden: expected finite float32 of shape {expected}, found {hidden.dtype} of shape {hidden.shape}")
    if first.dtype != np.int64 or first.ndim != 1 or not len(first) or first.min() < 0 or first.max() >= flavour.vocabulary:
        raise ValueError(f"first: expected at least one int64 code from 0 to {flavour.vocabulary - 1}, found {first!r}")
    nothing = {"text": np.zeros(1, np.int64), "muq": np.zeros(flavour.muq, np.float32), "muq_place": 0, "end": flavour.vocabulary}
    return request_of({**nothing, **inputs, "frames": min(len(first), flavour.backbone.positions - 1)})


def _rows(inputs: Inputs) -> int:
    return 2 if inputs["guidance"] > 1 else 1


def work(inputs: Inputs) -> Work:
    """Frame by frame: every weight once per pass that needs it, in bfloat16, and the caches in float32.

    The text is read along with the first frame. Verifying a draft reads the backbone once for several frames, and can be below this.
    """
    flavour, frames, text, rows = flavour_of(inputs["flavour"]), inputs["frames"], len(inputs["text"]), _rows(inputs)
    weights = 2.0 * frames * flavour.frame_parameters
    positions = frames * text + frames * (frames - 1) / 2
    caches = 4.0 * rows * positions * flavour.backbone.position_values
    operations = frames * flavour.frame_operations(rows) + 2.0 * rows * (text - 1) * flavour.backbone.parameters
    return Work(operations, weights + caches, precision="bfloat16", weight_bytes=weights)


def _backbone_work(inputs: Inputs) -> Work:
    whole, flavour, frames = work(inputs), flavour_of(inputs["flavour"]), inputs["frames"]
    own = flavour.backbone.parameters + flavour.vocabulary * flavour.backbone.dim
    spared = 2.0 * frames * (flavour.frame_parameters - own)
    operations = 2.0 * _rows(inputs) * ((len(inputs["text"]) - 1) * flavour.backbone.parameters + frames * own)
    return Work(operations, whole.bytes - spared, precision="bfloat16", weight_bytes=whole.weight_bytes - spared)


def _depth_work(inputs: Inputs) -> Work:
    flavour, frames = flavour_of(inputs["flavour"]), len(inputs["first"])
    first = flavour.vocabulary * flavour.backbone.dim
    weights = 2.0 * frames * (flavour.frame_parameters - flavour.backbone.parameters - first)
    operations = flavour.frame_operations(2) - 4.0 * (flavour.backbone.parameters + first)
    return Work(frames * operations, weights + inputs["hidden"].nbytes, precision="bfloat16", weight_bytes=weights)


def _produced(output: str, inputs: Inputs, outputs: Outputs) -> float:
    return float(len(outputs[output]))


def _strategy(stage: str) -> SearchStrategy[Inputs]:
    """Few tokens and frames of the tiny flavour; settings at their edges."""
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    sizes = flavour_of("tiny")

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        frames, text = draw(st.integers(1, 3)), draw(st.integers(1, 6))
        codes = st.integers(0, sizes.vocabulary - 1)
        common = {
            "flavour": "tiny",
            "guidance": draw(st.sampled_from([0.5, 1.0, 1.0000001, 1.5, 4.0])),
            "temperature": draw(st.sampled_from([0.05, 0.8, 1.0, 3.0])),
            "top_k": draw(st.sampled_from([1, 2, 50, sizes.vocabulary])),
            "seed": draw(st.sampled_from([0, 1, 2**32, 2**64 - 1])),
        }
        if stage == "generator_depth":
            hidden = draw(hnp.arrays(np.float32, (2, frames, sizes.backbone.dim), elements=st.floats(-3, 3, width=32)))
            return {**common, "hidden": hidden, "first": draw(hnp.arrays(np.int64, frames, elements=codes))}
        forced = draw(hnp.arrays(np.int64, (frames, CODEBOOKS), elements=codes))
        return {
            **common,
            "text": draw(hnp.arrays(np.int64, text, elements=st.integers(0, sizes.text_vocabulary - 1))),
            "muq": draw(hnp.arrays(np.float32, sizes.muq, elements=st.floats(-2, 2, width=32))),
            "muq_place": draw(st.integers(0, text - 1)),
            "frames": frames,
            "end": draw(st.sampled_from([0, sizes.end, sizes.vocabulary])),
            **({"forced": forced} if stage == "generator_backbone" or draw(st.booleans()) else {}),
        }

    return inputs()


_WHOLE = "real width takes 4 GB and seconds per call"
_UNIT = Unit("frame", 1 / FRAMES_PER_SECOND)
_LOGITS = Close(5e-4, precision="float32")


_SIZES = tuple(Effect("model_size", ("medium", size), "tiny", "output") for size in ("small", "large"))


def _effects(case: str, others: Sequence[Effect]) -> tuple[Effect, ...]:
    narrower = [Effect("precision", ("float32", precision), case, "output") for precision in ("bfloat16", "float16", "int8")]
    return (*narrower, *others)


GENERATOR = Component(
    name="generator",
    unit=_UNIT,
    cases=(
        song("tiny", "tiny", text=12, frames=12, quick=True),
        song("song-10s", "small", text=60, frames=SONG_FRAMES, top_k=50),
        Case("held-out-3s", held_out),
        song("real-width", "real-width", text=48, frames=REAL_WIDTH_FRAMES, forced=True, thorough=_WHOLE),
        song("real-width-4", "real-width-4", text=48, frames=REAL_WIDTH_FRAMES, forced=True, thorough="two layers more, for the model"),
    ),
    policy={"codes": Identical(), "logits": _LOGITS},
    produced=partial(_produced, "codes"),
    strategy=partial(_strategy, "generator"),
    work=work,
    effects=_effects(
        "tiny",
        (
            *_SIZES,
            Effect("mode", ("full", "lightweight"), "tiny", "output"),
            Effect("threads", (1, 2), "song-10s", "processes"),
            Effect("batch", (1, 2), "song-10s", "time"),
        ),
    ),
    description="music tokens from text, frame by frame; inputs: flavour, text (n,) int64, muq (width,) float32 at position muq_place, "
    "frames, guidance, temperature, top_k, seed, end, perhaps forced and labels (frames, 8) int64; outputs: codes (frames, 8) int32, "
    "logits (frames, 8, vocabulary) float32",
)

BACKBONE = Component(
    name="generator_backbone",
    unit=_UNIT,
    cases=(
        song("tiny", "tiny", text=12, frames=12, forced=True, quick=True),
        song("real-width", "real-width", text=48, frames=12, forced=True, thorough=_WHOLE),
    ),
    policy={"hidden": Close(2e-4, precision="float32"), "logits": _LOGITS},
    produced=partial(_produced, "hidden"),
    strategy=partial(_strategy, "generator_backbone"),
    work=_backbone_work,
    effects=_effects("tiny", (Effect("threads", (1, 2), "real-width", "processes"), Effect("batch", (1, 2), "real-width", "time"))),
    description="the generator's backbone on given frames; inputs: those of the generator with forced; outputs: hidden (frames, rows, dim) "
    "float32, which foretells each frame, and logits (frames, rows, vocabulary) of its first code, before guidance",
)

DEPTH = Component(
    name="generator_depth",
    unit=_UNIT,
    cases=(
        hidden_states("tiny", "tiny", frames=12, quick=True),
        hidden_states("real-width", "real-width", frames=REAL_WIDTH_FRAMES, top_k=50, thorough=_WHOLE),
    ),
    policy={"codes": Identical(), "logits": _LOGITS},
    produced=partial(_produced, "codes"),
    strategy=partial(_strategy, "generator_depth"),
    work=_depth_work,
    effects=_effects("tiny", (Effect("threads", (1, 2), "real-width", "processes"), Effect("batch", (1, 2), "real-width", "time"))),
    description="the generator's depth decoder on given hidden states (2, frames, dim) float32 and first codes (frames,) int64: seven "
    "passes a frame; further inputs: flavour, guidance, temperature, top_k, seed; outputs: codes (frames, 8) int32, logits (frames, 7, "
    "vocabulary) float32",
)

COMPONENTS = {component.name: component for component in (GENERATOR, BACKBONE, DEPTH)}
