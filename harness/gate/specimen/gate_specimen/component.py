"""Component gate_specimen: sines, once or many times, so that a call takes about 10 us, 1 ms or 50 ms."""

from contextlib import contextmanager

import numpy as np

from harness.component import Case, Close, Component, Implementation, Unit

LENGTH = 1024
TIMES = {"10us": 1, "1ms": 100, "50ms": 5000}


def _case(name: str) -> Case:
    def make(seed: int) -> dict[str, object]:
        return {"x": np.random.default_rng(seed).uniform(-1.0, 1.0, 2 * LENGTH), "times": TIMES[name]}

    return Case(name, make, quick=name == "10us")


COMPONENT = Component(
    "gate_specimen",
    Unit("call"),
    tuple(map(_case, TIMES)),
    {"y": Close(1e-12)},
    lambda inputs, outputs: float(outputs["y"].size / LENGTH),
)


@contextmanager
def load(settings):
    """Sines of the first half."""
    yield lambda inputs: {"y": np.sin(inputs["x"][:LENGTH])}


REFERENCE = Implementation("gate_specimen", "reference", "reference", load, clock="cpu")
