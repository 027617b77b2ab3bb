"""Downbeat tracking with a dynamic Bayesian network: what is computed, on what, how equal, at least how much work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Case, Component, Effect, Identical, Inputs, Outputs, Unit, Work
from implementations.dbn.model import bar_models, check_parameters
from implementations.dbn.preparation import combine_activations
from implementations.dbn.reference import above_threshold

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

ALL_IN_ONE: Inputs = {
    "beats_per_bar": (3, 4),
    "min_bpm": 55.0,
    "max_bpm": 215.0,
    "num_tempi": 60,
    "transition_lambda": 100.0,
    "observation_lambda": 16,
    "threshold": 0.24,
    "correct": True,
}
"""madmom's defaults with the bar lengths and a threshold of mir-aidj/all-in-one."""

ODD: Inputs = {
    "beats_per_bar": (2, 3, 4, 6),
    "min_bpm": (60.0, 70.0, 55.0, 90.0),
    "max_bpm": 200.0,
    "num_tempi": (40, None, 30, 25),
    "transition_lambda": (50.0, 100.0, None, 10.0),
    "observation_lambda": 8,
    "threshold": None,
    "correct": False,
}


def network_output(seconds: float, fps: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What a beat network says of a made-up song: probabilities of a beat and of a downbeat, (frames,) float32 each.

    The song starts and ends with silence, drifts in tempo, changes between three and four beats a bar, and has passages with
    weak, missing and doubled beats. As in `harness.signals`, nothing here depends on the processor.
    """
    source, frames = np.random.PCG64(seed), round(seconds * fps)

    def random(count: int = 1) -> np.ndarray:
        return (source.random_raw(count) >> np.uint64(11)) * 2.0**-53

    beat, downbeat = random(frames) * 0.02, random(frames) * 0.02
    now, interval, metre = 1.0 + random().item(), 0.32 + 0.5 * random().item(), 3 + int(random().item() < 0.5)
    number, clear = 0, True
    while now < seconds - 1.5:
        chance, loudness, change, double, drift = random(5).tolist()
        if number == metre:
            number = 0
            clear = chance < (0.9 if clear else 0.4)
            metre = 7 - metre if change < 0.05 else metre
        strength = 0.6 + 0.39 * loudness if clear else 0.5 * loudness
        _spike(beat, now, strength, fps)
        _spike(downbeat, now, strength * (0.95 if number == 0 else 0.12), fps)
        if not clear:
            _spike(beat, now + interval / 2, 0.4 * double, fps)
        interval = min(max(interval * (1 + 0.03 * (drift - 0.5)), 0.29), 1.05)
        now, number = now + interval, number + 1
    return np.clip(beat, 1e-5, 0.999).astype(np.float32), np.clip(downbeat, 1e-5, 0.999).astype(np.float32)


def _spike(probability: np.ndarray, seconds: float, height: float, fps: float) -> None:
    """Raise a probability to a peak about 0.03 s wide."""
    near = np.arange(max(0, int((seconds - 0.08) * fps)), min(len(probability), int((seconds + 0.08) * fps) + 1))
    squared = ((near / fps - seconds) / 0.015) * ((near / fps - seconds) / 0.015)
    probability[near] = np.maximum(probability[near], height / (1.0 + squared * squared))


def song(name: str, *, seconds: float, fps: float = 100, settings: Inputs = ALL_IN_ONE, quick: bool = False, thorough: str = "") -> Case:
    """Activations prepared as all-in-one prepares them, and the processor's parameters."""

    def make(seed: int) -> Inputs:
        return {"activations": combine_activations(*network_output(seconds, fps, seed)), "fps": fps, **settings}

    return Case(name, make, quick=quick, thorough=thorough)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio up to the last beat found."""
    return float(outputs["beats"][-1, 0]) if len(outputs["beats"]) else 0.0


def work(inputs: Inputs) -> Work:
    """Per frame and beat, for each tempo entered: one comparison less than there are tempi to come from, and one addition.

    Less than any method in use does, also an exact one: to find the best of k takes k - 1 comparisons, whatever the k are, and an
    entry must be scored by what it observes. Adding a tempo change is not counted, for its cost can be shared among entries; nor are
    the states within a beat, for a whole beat can be one sum. In 32 bits: the narrowest type that tells paths apart over minutes.
    The ceiling counts a multiplication and an addition at once, so comparing alone reaches half of it.
    Activations are read and the path is written; the way back may be kept in the caches.
    """
    activations = inputs["activations"]
    p = check_parameters(**{name: value for name, value in inputs.items() if name != "activations"})
    kept, _ = above_threshold(activations, p.threshold)
    per_frame = sum(model.beats * np.count_nonzero(model.transitions) for model in bar_models(p))
    path = len(kept) * np.dtype(np.uint32).itemsize
    return Work(operations=float(len(kept) * per_frame), bytes=float(activations.nbytes + path), precision="float32")


def strategy() -> SearchStrategy[Inputs]:
    """Few frames and slow frame rates, so that beats of one frame, ties, impossible frames and odd settings are common."""
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    possible = st.sampled_from([1e-8, 0.015625, 0.125, 0.25, 0.375, 0.5])  # any two sum to at most 1, and ties are common
    harsh = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])  # impossible frames: sums above 1, beats of probability 0

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        dtype = draw(st.sampled_from([np.float32, np.float64]))
        smooth = st.floats(2**-10, 0.499755859375, width=32)
        values = draw(st.sampled_from([possible, smooth, possible, smooth, harsh, st.just(0.0), st.just(0.25)]))
        fill = draw(st.sampled_from([st.nothing(), st.just(0.015625), st.just(0.25)]))
        activations = draw(hnp.arrays(dtype, st.tuples(st.integers(0, 120), st.just(2)), elements=values, fill=fill))
        bars = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))

        def one_or_each(value: st.SearchStrategy[Any]) -> Any:
            return draw(st.one_of(value, st.lists(value, min_size=len(bars), max_size=len(bars)).map(tuple)))

        fps = draw(st.sampled_from([5, 10, 12.5, 15, 25, 43.07, 100]))
        return {
            "activations": activations,
            "fps": fps,
            "beats_per_bar": tuple(bars),
            "min_bpm": one_or_each(st.floats(30, 90)),
            "max_bpm": one_or_each(st.floats(90, 300)),
            "num_tempi": one_or_each(st.sampled_from([None, 1, 2, 5, 20, 60])),
            "transition_lambda": one_or_each(st.sampled_from([None, 0.0, 1.0, 10.0, 100.0, 1000.0])),
            "observation_lambda": draw(st.sampled_from([1.5, 2, 4, 8, 16, 33])),
            "threshold": draw(st.sampled_from([None, 0, 0.01, 0.05, 0.25, 0.375, 2])),
            "correct": draw(st.booleans()),
        }

    return inputs()


COMPONENT = Component(
    name="dbn",
    unit=Unit("audio second", 1.0),
    cases=(
        song("clip-30s", seconds=30, quick=True),
        song("odd-settings-20s", seconds=20, settings=ODD, thorough="other parameters for the work of clip-30s"),
        song("fps50-60s", seconds=60, fps=50, thorough="another frame rate for the work of clip-30s"),
        song("song-180s", seconds=180),
        song("song-600s", seconds=600, thorough="ten minutes of audio: memory growth; a call of the reference takes about 8 s"),
    ),
    policy={"beats": Identical(), "path": Identical(), "log_probability": Identical()},
    produced=produced,
    strategy=strategy,
    work=work,
    effects=(Effect("threads", (1, 2), "song-180s", "processes"),),
    description="beats and downbeats decoded from a network's activations with madmom's bar model; inputs: activations (frames, 2) float32 "
    "or float64 = [beat that is no downbeat, downbeat], fps, beats_per_bar, min_bpm, max_bpm, num_tempi, transition_lambda, "
    "observation_lambda, threshold, correct; outputs: beats (n, 2) float64 = [seconds, position in the bar from 1], path (frames between "
    "the first and the last above the threshold,) uint32 states of the best bar length, log_probability (bar lengths,) float64",
)
