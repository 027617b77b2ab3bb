"""gate_specimen.kernel: as the reference, over and over; slower by `demand.EXTRA`, broken as `demand.DEFECT` says."""

from contextlib import contextmanager

import numpy as np

from gate_specimen import defects, demand
from gate_specimen.component import LENGTH
from harness.component import Implementation


@contextmanager
def load(settings):
    """A run whose cost grows with the number of sines it computes."""
    room = np.empty(2 * LENGTH)

    def run(inputs):
        # Work in proportion: sines that nobody asked for, beyond the ones that are returned.
        count = round(LENGTH * (1.0 + demand.EXTRA.get(inputs["times"], 0.0)))
        source, part = inputs["x"][:count], room[:count]
        for _ in range(inputs["times"]):
            np.sin(source, out=part)
        return {"y": part[:LENGTH].copy()}

    yield getattr(defects, demand.DEFECT)(run) if demand.DEFECT else run


IMPLEMENTATION = Implementation("gate_specimen", "kernel", "optimized", load, clock="cpu")
