"""Takes one protection out of the worker that imports this plugin, so that a test can show what it is worth."""

import time

import numpy as np

from harness import clock, returned


def materialising():
    """Outputs are made real when they are kept, after the timer has stopped."""
    returned.real = lambda result, watch=None, arrivals=None: result
    joined = returned.joined
    returned.joined = lambda outputs: joined({name: np.asarray(value) for name, value in outputs.items()})


def early_clock():
    """The clock is looked up in the time module at each reading."""
    clock.Stopwatch._read = lambda self: clock.Elapsed(time.perf_counter_ns(), time.process_time_ns())


TAKEN_OUT = {"materialising": materialising, "early_clock": early_clock}
