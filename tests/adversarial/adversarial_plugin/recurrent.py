"""A small LSTM and the ways in which published ports of one were wrong, each beside its honest twin."""

from contextlib import contextmanager

import numpy as np

from adversarial_plugin.pairs import pair
from harness.component import Case, Close, Component, Implementation, Unit

WIDTH, HIDDEN, OUT = 6, 12, 3


def sequence(seed, steps=30):
    return {"x": np.random.default_rng(seed).standard_normal((steps, WIDTH))}


COMPONENT = Component(
    name="recurrent",
    unit=Unit("step"),
    cases=(Case("sequence", sequence, quick=True),),
    policy={"y": Close(1e-6)},
    produced=lambda inputs, outputs: float(len(outputs["y"])),
)

_random = np.random.default_rng(11)
W = _random.standard_normal((4 * HIDDEN, WIDTH)) * 0.4  # gates in the order i, f, g, o
U = _random.standard_normal((4 * HIDDEN, HIDDEN)) * 0.4
B_IH, B_HH = _random.standard_normal((2, 4 * HIDDEN)) * 0.2
V = _random.standard_normal((OUT, HIDDEN))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def network(*, order=(0, 1, 2, 3), recurrent=U, b_hh=B_HH, stateful=False, skip=False, activation=np.tanh, dtype=np.float64):
    """x (steps, width) -> y (steps, out). `order`: which of the four blocks of rows is taken for i, f, g, o."""
    w, u, b, v = (np.asarray(a, dtype) for a in (W, recurrent, B_IH + b_hh, V))
    state = [np.zeros((2, HIDDEN), dtype)]

    def run(inputs):
        x = inputs["x"].astype(dtype)
        h, c = state[0] if stateful else np.zeros((2, HIDDEN), dtype)
        rows = np.empty((len(x), HIDDEN), dtype)
        for step, row in enumerate(x):
            gates = (w @ row + u @ h + b).reshape(4, HIDDEN)
            i, f, g, o = (gates[block] for block in order)
            c = sigmoid(f) * c + sigmoid(i) * activation(g)
            h = sigmoid(o) * activation(c)
            rows[step] = sigmoid(b[:HIDDEN]) if skip else h
        state[0] = np.array([h, c])
        return {"y": (rows @ v.T).astype(np.float64)}

    return run


@contextmanager
def _load(settings):
    yield network()


REFERENCE = Implementation("recurrent", "reference", "reference", _load, clock="cpu")


def defect(name, **changes):
    """A pair whose cheating half has the defect."""
    return pair(name, "recurrent")(lambda cheats, settings: network(**changes) if cheats else network())


LSTM_SKIPPED = defect("lstm_skipped", skip=True)
GATE_ORDER = defect("gate_order", order=(0, 3, 1, 2))
DROPPED_BIAS = defect("dropped_bias", b_hh=0 * B_HH)
DROPPED_RECURRENCE = defect("dropped_recurrence", recurrent=0 * U)
TRANSPOSED_RECURRENCE = defect("transposed_recurrence", recurrent=np.concatenate([block.T for block in U.reshape(4, HIDDEN, HIDDEN)]))
LAST_ACTIVATION = defect("last_activation", activation=sigmoid)
STATEFUL = defect("stateful", stateful=True)
SILENT_FLOAT16 = defect("silent_float16", dtype=np.float16)


@pair("zero_models", "recurrent")
def ZERO_MODELS(cheats, settings):
    """No model was found, and the loader says that all is well."""
    models = [] if cheats else [network()]
    return lambda inputs: models[0](inputs) if models else {"y": np.zeros((len(inputs["x"]), OUT))}


@pair("jitters", "recurrent")
def JITTERS(cheats, settings):
    """Differs from call to call by less than parity allows, as sums in the order of whichever thread ends first do."""
    run, random = network(), np.random.default_rng()
    return lambda inputs: {"y": run(inputs)["y"] + (1e-9 * random.random() if cheats else 0.0)}
