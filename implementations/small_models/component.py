"""Six components: each of the five small models, and their chain. What is computed, on what, how equal, at least how much work.

Inputs: `features` (frames, inputs) float32, finite, normally within [-1, 1.5]; `stateful`, whether the frames are one sequence, of which
each LSTM keeps its state from frame to frame (fresh at each call), or each is one step from zero state and on its own. `labels`, in cases
that have them: what `data.accuracy` takes, by model.
Outputs: `output` (frames, outputs) float32; of the chain one such output by the name of each model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from harness.component import Approximate, Case, Close, Component, Effect, Inputs, Metric, Outputs, Unit, Variant, Work
from implementations.small_models import data
from implementations.small_models.models import EMOTION_RECOGNIZER, HOP_SECONDS, LSTM, MODELS, Dense, Model

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

PIPELINE = "model_pipeline"
_EXACT, _EXACT_MELODY_IN_CHAIN = 2e-6, 4e-6
"""How far a float32 output may be from the float64 reference. It takes weights that keep sums small: `training` sees to that.

Melody multiplies what the emotion it is fed is off by (4e-7) by up to 5, where a note is in doubt: 1.9e-6 seen, and twice that allowed."""

_ACCURACY_DROP = 0.005
_MANY = 64
"""Frames from which on a signal-to-noise ratio says something: on a single frame it moves by 20 dB."""


@dataclass(frozen=True)
class _Narrow:
    """What a narrower precision must reach: on any input, and on many frames."""

    reason: str
    max_abs: float
    snr_db: Mapping[str, float]


_PRECISIONS = {
    "float16": _Narrow("weights of 11 significant bits", 0.02, dict.fromkeys(MODELS, 65.0)),
    "bfloat16": _Narrow("weights of 8 significant bits", 0.2, dict.fromkeys(MODELS, 48.0)),
    "int8": _Narrow(
        "weights of 8 bits with scales of their own",
        0.5,
        {
            "emotion_recognizer": 40.0, "melody_transformer": 40.0, "harmony_predictor": 36.0, "dynamics_engine": 50.0,
            "groove_predictor": 40.0,
        },
    ),
}  # fmt: skip


_SMALLER = {"medium": "half of the weights are zero", "small": "students of the documented networks, with an eighth of their weights"}
_SMALLER_DROP = 0.02
"""Of the share of right answers: a smaller size may lose so much to the documented networks."""


def members(component: str) -> tuple[Model, ...]:
    """The models that a component runs: one, or all five."""
    return tuple(MODELS.values()) if component == PIPELINE else (MODELS[component],)


def output_names(component: str) -> dict[str, str]:
    """Names of the outputs by model."""
    return {model.name: model.name if component == PIPELINE else "output" for model in members(component)}


def exact_bound(component: str, model: str) -> float:
    """How far a model's float32 output may be from the float64 reference."""
    return _EXACT_MELODY_IN_CHAIN if (component, model) == (PIPELINE, "melody_transformer") else _EXACT


def precision_variant(component: str, precision: str) -> Variant:
    """The row of another precision ("int24", "float16", "bfloat16", "int8") with what it must reach: int24 as much as float32.

    On any input the outputs, which lie in [-1, 1], are right within a tolerance that a wrong layer breaks; from 64 frames on there is a
    signal-to-noise ratio; and where the inputs have labels, the share of right answers is at most half a point smaller.
    """
    if precision == "int24":
        return Variant({"precision": precision})
    narrow = _PRECISIONS[precision]
    first = Metric("max_abs_difference", at_most=narrow.max_abs)
    approximate = {
        output: Approximate(first, narrow.reason, also=(_snr(narrow.snr_db[model]), accuracy_drop(model)))
        for model, output in output_names(component).items()
    }
    return Variant({"precision": precision}, approximate)


def size_variant(component: str, size: str) -> Variant:
    """The row of a smaller size ("medium", "small"): as exact as any beside its own reference, and nearly as good at its task as the
    documented networks are."""
    approximate = {
        output: Approximate(
            Metric("max_abs_difference", at_most=exact_bound(component, model)), _SMALLER[size], also=(drop_of_size(component, model),)
        )
        for model, output in output_names(component).items()
    }
    return Variant({"model_size": size}, approximate)


def drop_of_size(component: str, model: str, at_most: float = _SMALLER_DROP) -> Metric:
    """The share of right answers that a candidate has less than the documented network as shipped, where the inputs have labels."""

    def drop(_: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float | None:
        if "labels" not in inputs:
            return None
        documented, labels = _documented(component, inputs["features"].tobytes())[model], inputs["labels"][model]
        return data.accuracy(model, documented, labels) - data.accuracy(model, candidate, labels)

    return Metric("accuracy_drop", at_most=at_most, function=drop, of_inputs=True)


@lru_cache(maxsize=8)
def _documented(component: str, features: bytes) -> Mapping[str, np.ndarray]:
    """What the documented networks make of features (frames, inputs) float32, each frame on its own; output by model."""
    from implementations.small_models import checkpoints
    from implementations.small_models.reference import run_model
    from implementations.small_models.serving import outputs_of

    served = checkpoints.served(*checkpoints.SIZES["large"])
    stages = {model.name: partial(run_model, *served[model.name]) for model in members(component)}
    return outputs_of(np.frombuffer(features, np.float32).reshape(-1, members(component)[0].inputs), False, stages)


def accuracy_drop(model: str, at_most: float = _ACCURACY_DROP) -> Metric:
    """The share of right answers that a candidate has less than the reference, where the inputs have labels."""

    def drop(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float | None:
        if "labels" not in inputs:
            return None
        labels = inputs["labels"][model]
        return data.accuracy(model, reference, labels) - data.accuracy(model, candidate, labels)

    return Metric("accuracy_drop", at_most=at_most, function=drop, of_inputs=True)


def _snr(at_least: float) -> Metric:
    def ratio(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float | None:
        if len(reference) < _MANY:
            return None
        signal = reference.astype(np.float64)
        noise = float(np.square(candidate - signal).sum())
        return 10 * math.log10(float(np.square(signal).sum()) / noise) if noise else math.inf

    return Metric("snr_db", at_least=at_least, function=ratio, of_inputs=True)


def check_inputs(inputs: Inputs, columns: int) -> tuple[np.ndarray, bool]:
    """features (frames, columns), contiguous, and stateful; TypeError or ValueError says what is wrong with them."""
    features, stateful = inputs["features"], inputs["stateful"]
    if not isinstance(features, np.ndarray) or features.dtype != np.float32:
        found = f"dtype {features.dtype}" if isinstance(features, np.ndarray) else type(features).__name__
        raise TypeError(f"features: expected a float32 array, found {found}; convert with features.astype(numpy.float32)")
    if features.ndim != 2 or features.shape[1] != columns:
        raise ValueError(f"features: expected shape (frames, {columns}), found {features.shape}; a single frame is features[None]")
    if not isinstance(stateful, bool):
        raise TypeError(f"stateful: expected True or False, found {stateful!r}")
    features = np.ascontiguousarray(features)
    # A sum is the cheapest look at every value; where it overflows the exact look decides.
    if not math.isfinite(np.add.reduce(features, axis=None)) and not np.isfinite(features).all():
        frame, column = (int(i) for i in np.argwhere(~np.isfinite(features))[0])
        raise ValueError(f"features: expected finite values, found {features[frame, column]} at frame {frame}, column {column}")
    return features, stateful


def examples(component: str, frames: int, seed: int) -> Inputs:
    """Stateless inputs with labels: frames of procedural music as a trained model has never seen them."""
    drawn = data.split("test", frames, seed)
    names = [model.name for model in members(component)]
    return {"features": _features(component, drawn), "stateful": False, "labels": {name: drawn.labels[name] for name in names}}


def _features(component: str, drawn: data.Examples) -> np.ndarray:
    """What the component sees of the examples; where that is an emotion, the one that is right."""
    emotion = drawn.labels[EMOTION_RECOGNIZER.name]
    match component:
        case "model_pipeline" | "emotion_recognizer":
            return drawn.features
        case "harmony_predictor":
            return np.concatenate([emotion, drawn.features[:, :64]], axis=1)
        case "dynamics_engine":
            return np.ascontiguousarray(emotion[:, :32])
        case _:
            return emotion


def _frames(component: str, frames: int, stateful: bool, seed: int) -> Inputs:
    return {"features": _features(component, data.split("test", frames, seed)), "stateful": stateful}


def _cases(component: str) -> tuple[Case, ...]:
    chain = component == PIPELINE
    recurrent = any(model.recurrent for model in members(component))
    sequence = Case("sequence-1s", partial(_frames, component, 100, True))
    return (
        Case("frame", partial(_frames, component, 1, False), quick=True),
        *((sequence,) if recurrent else ()),
        Case(
            "offline-1024",
            partial(examples, component, 1024),
            thorough="" if chain else "1024 frames at once: in the chain's default run all five models are in it",
        ),
    )


def _produced(component: str, inputs: Inputs, outputs: Outputs) -> float:
    """Frames of the (first) output."""
    return float(len(outputs[next(iter(output_names(component).values()))]))


def live_parameters(model: Model, stateful: bool) -> int:
    """How many weights can matter: from zero state, W_hh and the forget gate do not."""
    total = 0
    for layer in model.layers:
        match layer:
            case Dense(inputs, outputs):
                total += outputs * (inputs + 1)
            case LSTM(inputs, outputs):
                # The two biases of a gate are one once they are added.
                total += 4 * outputs * (inputs + outputs + 1) if stateful else 3 * outputs * (inputs + 1)
    return total


def _work(component: str, inputs: Inputs) -> Work:
    """Every live weight once per call, W_hh once per frame of a sequence; a multiplication and an addition per weight and frame."""
    frames, stateful = len(inputs["features"]), bool(inputs["stateful"]) and len(inputs["features"]) > 1
    models = members(component)
    live = sum(live_parameters(model, stateful) for model in models)
    hidden = [4 * layer.outputs**2 for model in models for layer in model.layers if isinstance(layer, LSTM)] if stateful else []
    weights = 4.0 * (live + sum(hidden) * (frames - 1))
    values = inputs["features"].nbytes + 4 * frames * sum(model.outputs for model in models)
    repeated = 4.0 * max(hidden) if hidden else None
    return Work(operations=2.0 * live * frames, bytes=weights + values, weight_bytes=weights, repeated_bytes=repeated)


def _strategy(component: str) -> SearchStrategy[Inputs]:
    """Few frames of anything within range, any layout, in both modes."""
    from hypothesis import strategies as st

    from harness import strategies

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        frames = draw(st.one_of(st.sampled_from((1, 2, 3, 8, 9)), st.integers(0, 40)))
        features = draw(strategies.arrays((frames, members(component)[0].inputs), dtype="float32"))
        if draw(st.booleans()):
            features = np.asfortranarray(features)
        return {"features": features, "stateful": draw(st.booleans())}

    return inputs()


def _effects(component: str) -> tuple[Effect, ...]:
    narrower = [Effect("precision", ("float32", precision), "frame", "output") for precision in _PRECISIONS]
    return (
        *narrower,
        Effect("batch", (1, 512), "offline-1024", "time"),
        Effect("threads", (1, 2), "offline-1024", "processes"),
        *(Effect("model_size", ("large", smaller), "frame", "output") for smaller in ("medium", "small")),
    )


def _component(name: str) -> Component:
    about = " > ".join(_layer(layer) for layer in MODELS[name].layers) if name in MODELS else "the five small models as a chain"
    return Component(
        name=name,
        unit=Unit("inference", HOP_SECONDS),
        cases=_cases(name),
        policy={output: Close(exact_bound(name, model)) for model, output in output_names(name).items()},
        produced=partial(_produced, name),
        strategy=partial(_strategy, name),
        work=partial(_work, name),
        effects=_effects(name),
        version=2,  # of other weights, held to tighter bounds, than 1
        description=f"small real-time model: {members(name)[0].inputs} > {about}" if name in MODELS else about,
    )


def _layer(layer: Dense | LSTM) -> str:
    return f"{layer.outputs} {layer.activation}" if isinstance(layer, Dense) else f"LSTM {layer.outputs}"


EMOTION = _component("emotion_recognizer")
MELODY = _component("melody_transformer")
HARMONY = _component("harmony_predictor")
DYNAMICS = _component("dynamics_engine")
GROOVE = _component("groove_predictor")
CHAIN = _component(PIPELINE)

COMPONENTS: dict[str, Component] = {component.name: component for component in (EMOTION, MELODY, HARMONY, DYNAMICS, GROOVE, CHAIN)}
