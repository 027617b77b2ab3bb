"""The five models and their chain: structure and wiring, nothing else.

Source: ml_training/OPTIMIZATION_NOTES.md of kelly-music-brain-clean. Every dense layer and LSTM has a bias; LSTM gates are in
torch's order (input, forget, cell, output), with two biases. 1,151,280 parameters in all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Activation = Literal["tanh", "relu", "sigmoid", "softmax"]

WINDOW_SECONDS, HOP_SECONDS, LOOKAHEAD_SECONDS = 0.05, 0.01, 0.02


@dataclass(frozen=True)
class Dense:
    """activation(weight @ x + bias); weight (outputs, inputs)."""

    inputs: int
    outputs: int
    activation: Activation


@dataclass(frozen=True)
class LSTM:
    """One step of a long short-term memory; weight_ih (4 * outputs, inputs), weight_hh (4 * outputs, outputs)."""

    inputs: int
    outputs: int


Layer = Dense | LSTM


@dataclass(frozen=True)
class Model:
    """A stack of layers that takes (inputs,) to (outputs,), and keeps the state of its LSTMs between steps where asked."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        return self.layers[-1].outputs

    @property
    def recurrent(self) -> bool:
        return any(isinstance(layer, LSTM) for layer in self.layers)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights by name, as in a torch.nn.Sequential whose dense layers and LSTMs are counted from 0."""
        found: dict[str, tuple[int, ...]] = {}
        for number, layer in enumerate(self.layers):
            match layer:
                case Dense(inputs, outputs):
                    found |= {f"{number}.weight": (outputs, inputs), f"{number}.bias": (outputs,)}
                case LSTM(inputs, outputs):
                    found |= {f"{number}.weight_ih": (4 * outputs, inputs), f"{number}.weight_hh": (4 * outputs, outputs)}
                    found |= {f"{number}.bias_ih": (4 * outputs,), f"{number}.bias_hh": (4 * outputs,)}
        return found

    def parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(int(np.prod(shape)) for shape in self.shapes().values())


EMOTION_RECOGNIZER = Model("emotion_recognizer", (Dense(128, 512, "tanh"), Dense(512, 256, "tanh"), LSTM(256, 128), Dense(128, 64, "tanh")))
MELODY_TRANSFORMER = Model(
    "melody_transformer", (Dense(64, 256, "relu"), LSTM(256, 256), Dense(256, 256, "relu"), Dense(256, 128, "sigmoid"))
)
HARMONY_PREDICTOR = Model("harmony_predictor", (Dense(128, 256, "tanh"), Dense(256, 128, "tanh"), Dense(128, 64, "softmax")))
DYNAMICS_ENGINE = Model("dynamics_engine", (Dense(32, 128, "relu"), Dense(128, 64, "relu"), Dense(64, 16, "sigmoid")))
GROOVE_PREDICTOR = Model("groove_predictor", (Dense(64, 128, "tanh"), Dense(128, 64, "tanh"), Dense(64, 32, "tanh")))

MODELS: dict[str, Model] = {
    model.name: model for model in (EMOTION_RECOGNIZER, MELODY_TRANSFORMER, HARMONY_PREDICTOR, DYNAMICS_ENGINE, GROOVE_PREDICTOR)
}
"""In the order in which the chain runs them."""

STUDENTS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("emotion_recognizer", (Dense(128, 128, "tanh"), Dense(128, 64, "tanh"), LSTM(64, 48), Dense(48, 64, "tanh"))),
        Model("melody_transformer", (Dense(64, 64, "relu"), LSTM(64, 64), Dense(64, 64, "relu"), Dense(64, 128, "sigmoid"))),
        Model("harmony_predictor", (Dense(128, 96, "tanh"), Dense(96, 64, "tanh"), Dense(64, 64, "softmax"))),
        Model("dynamics_engine", (Dense(32, 48, "relu"), Dense(48, 32, "relu"), Dense(32, 16, "sigmoid"))),
        Model("groove_predictor", (Dense(64, 48, "tanh"), Dense(48, 32, "tanh"), Dense(32, 32, "tanh"))),
    )
}
"""The same five tasks with 131,888 parameters, for weights distilled from the large ones; same inputs, outputs and kinds of layers."""

Array = Any
"""A two-dimensional array of NumPy, torch or MLX."""

Step = Callable[[Array], Array]
"""One model on features (frames, inputs): (frames, outputs)."""


def chain(features: Array, steps: Mapping[str, Step], join: Callable[[Array, Array], Array] | None = None) -> dict[str, Array]:
    """The outputs of all five models on audio features (frames, 128); steps: a model each, by name.

    The emotion feeds the others: Melody(e), Harmony(e and the first 64 features), Dynamics(the first 32 of e), Groove(e).
    join: puts the columns of two arrays side by side, where they are not NumPy's.
    """
    emotion = steps["emotion_recognizer"](features)
    both = np.concatenate([emotion, features[:, :64]], axis=1) if join is None else join(emotion, features[:, :64])
    return {
        "emotion_recognizer": emotion,
        "melody_transformer": steps["melody_transformer"](emotion),
        "harmony_predictor": steps["harmony_predictor"](both),
        "dynamics_engine": steps["dynamics_engine"](emotion[:, :32]),
        "groove_predictor": steps["groove_predictor"](emotion),
    }
