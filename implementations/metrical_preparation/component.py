"""The stage before the DBN as a component, so that its time and parity stand beside the decoder's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.component import Case, Component, Identical, Inputs, Outputs, Unit, Work
from implementations.dbn.component import network_output

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

FPS = 100


def _song(seed: int) -> Inputs:
    beat, downbeat = network_output(180, FPS, seed)
    return {"beat": beat, "downbeat": downbeat}


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio that the activations cover."""
    return len(outputs["activations"]) / FPS


def work(inputs: Inputs) -> Work:
    """Eleven operations a frame; two numbers read, two written."""
    return Work(operations=11.0 * len(inputs["beat"]), bytes=2.0 * (inputs["beat"].nbytes + inputs["downbeat"].nbytes))


def strategy() -> SearchStrategy[Inputs]:
    """Any probabilities, also both 0 and both 1."""
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    values = st.one_of(st.sampled_from([0.0, 2.0**-30, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32, allow_subnormal=False))

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        frames = draw(st.integers(0, 60))
        return {name: draw(hnp.arrays("float32", frames, elements=values)) for name in ("beat", "downbeat")}

    return inputs()


COMPONENT = Component(
    name="metrical_preparation",
    unit=Unit("audio second", 1.0),
    cases=(Case("song-180s", _song, quick=True),),
    policy={"activations": Identical()},
    produced=produced,
    strategy=strategy,
    work=work,
    description="what the DBN decodes, from a network's probabilities; inputs: beat, downbeat (frames,) float32; "
    "output: activations (frames, 2) float32 = [beat that is no downbeat, downbeat]",
)
