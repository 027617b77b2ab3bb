"""Sorting: fast enough for many calls, slow enough (about 0.3 ms) that skipping the work shows."""

import numpy as np

from harness.component import Approximate, Case, Component, Effect, Identical, Implementation, Metric, Unit, Variant, Work

SIZE = 20_000


def make(seed):
    x = np.random.default_rng(seed).standard_normal(SIZE)
    x[::1000] *= 1e-310  # denormals
    return {"x": x}


def tiny(seed):
    return {"x": np.random.default_rng(seed).standard_normal(50)}


def strategy():
    import hypothesis.strategies as st
    from hypothesis.extra import numpy as arrays

    elements = st.floats(-1e6, 1e6, allow_nan=False)
    return st.fixed_dictionaries({"x": arrays.arrays(np.float64, st.integers(0, 40), elements=elements)})


def from_audio(samples, rate):
    return {"x": samples[0].astype(np.float64)}


COMPONENT = Component(
    name="sorting",
    unit=Unit("number", audio_seconds=1e-4),
    cases=(Case("small", make, quick=True), Case("tiny", tiny), Case("long", make, thorough="takes long")),
    policy={"y": Identical()},
    produced=lambda inputs, outputs: float(outputs["y"].size),
    strategy=strategy,
    from_audio=from_audio,
    work=lambda inputs: Work(operations=inputs["x"].size * np.log2(inputs["x"].size), bytes=2.0 * inputs["x"].nbytes),
    effects=(
        Effect("threads", (1, 3), "tiny", "processes"),
        Effect("workers", (1, 3), "tiny", "processes"),
        Effect("precision", ("float64", "float32"), "tiny", "output"),
        Effect("batch", (1, 2), "tiny", "error"),
        Effect("longest_audio", (1e-3, 1.0), "tiny", "produced"),
        Effect("cache", (False, True), "small", "time"),
        Effect("hop", (1.0, 2.0), "tiny", "bytes"),
    ),
)


def made(name, load, role="optimized", **options):
    """An implementation of sorting."""
    options.setdefault("clock", "cpu")
    return Implementation("sorting", name, role, load, **options)


FLOAT32 = Variant({"precision": "float32"}, {"y": Approximate(Metric("max_abs_difference", at_most=1e-6), "half the memory")})
