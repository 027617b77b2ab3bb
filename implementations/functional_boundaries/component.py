"""Local maxima and peak picking as a component: how strong a section boundary is in each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.component import Case, Close, Component, Inputs, Outputs, Unit, Work

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy


def _song(seed: int) -> Inputs:
    """Three minutes with a section about every 15 s: a tall peak there, smaller ones at every bar, and noise."""
    source, frames = np.random.PCG64(seed), 18000
    noise = (source.random_raw(frames) >> np.uint64(11)) * 2.0**-53
    probabilities, frame = 0.02 * noise, 0
    for height in noise[:200]:
        near = np.arange(max(0, frame - 40), min(frames, frame + 40))
        tall = height > 0.87
        distance = (near - frame) / (12.0 if tall else 5.0)
        probabilities[near] += (0.4 + 0.5 * height if tall else 0.15 * height) / (1.0 + distance * distance)
        frame = min(frame + 160 + int(60 * height), frames)
    return {"probabilities": np.minimum(probabilities, 0.99).astype(np.float32), "fps": 100}


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio that the strengths cover."""
    return len(outputs["strength"]) / float(inputs["fps"])


def work(inputs: Inputs) -> Work:
    """A frame takes three comparisons for each of the two running maxima, two additions for each of the two running sums, and six more."""
    return Work(operations=16.0 * len(inputs["probabilities"]), bytes=2.0 * inputs["probabilities"].nbytes)


def strategy() -> SearchStrategy[Inputs]:
    """Ties, plateaus, zeros, and songs shorter than a window."""
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    steps = st.sampled_from([0.0, 2.0**-30, 0.25, 0.5, 1.0])
    values = st.one_of(steps, st.floats(0, 1, width=32, allow_subnormal=False))

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        elements, fill = draw(st.sampled_from([steps, values])), draw(st.sampled_from([st.nothing(), st.just(0.0), st.just(0.5)]))
        probabilities = draw(hnp.arrays("float32", st.integers(0, 150), elements=elements, fill=fill))
        return {"probabilities": probabilities, "fps": draw(st.sampled_from([0.5, 1, 3, 10, 43.07]))}

    return inputs()


COMPONENT = Component(
    name="functional_boundaries",
    unit=Unit("audio second", 1.0),
    cases=(Case("song-180s", _song, quick=True),),
    policy={"strength": Close(max_abs=1e-6, precision="float64 means")},
    produced=produced,
    strategy=strategy,
    work=work,
    description="strength of a section boundary in each frame, 0 where there is none; inputs: probabilities (frames,) float32, fps; "
    "output: strength (frames,) float32",
)
