"""RMS level in dB of each frame of 512 samples."""

import numpy as np

from harness import signals
from harness.component import Case, Close, Component, Effect, Unit, Work

RATE = 16000
FRAME = 512


def case(name, seconds, **options):
    return Case(name, lambda seed: {"samples": signals.mix(seconds=seconds, sample_rate=RATE, seed=seed)}, **options)


def strategy():
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    lengths = st.sampled_from([0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
    return lengths.flatmap(
        lambda n: st.fixed_dictionaries({"samples": hnp.arrays(np.float32, n, elements=st.floats(-1, 1, width=32))})
    )


COMPONENT = Component(
    name="acme_loudness",
    unit=Unit("audio second", 1.0),
    cases=(case("quick", 2.0, quick=True), case("minute", 60.0)),
    policy={"level": Close(1e-9)},
    produced=lambda inputs, outputs: len(outputs["level"]) * FRAME / RATE,
    strategy=strategy,
    work=lambda inputs: Work(operations=2 * inputs["samples"].size, bytes=inputs["samples"].nbytes, precision="float64"),
    from_audio=lambda samples, rate: {"samples": samples.mean(axis=0, dtype=np.float32)},
    effects=(Effect("precision", ("float64", "float32"), "quick", "output"),),
    description="RMS level in dB of each frame of 512 samples",
)
