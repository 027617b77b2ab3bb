"""Speech judged by its level alone, so that parity does not see how much of it there is."""

from contextlib import contextmanager

import numpy as np

from adversarial_plugin.pairs import pair
from harness.component import Case, Component, Implementation, Metric, Unit

ASKED = 16_000


def level(reference, candidate):
    return abs(float(np.std(candidate) - np.std(reference)))


COMPONENT = Component(
    name="speech",
    unit=Unit("sample", audio_seconds=1 / 16_000),
    cases=(Case("sentence", lambda seed: {"text": "a", "samples": ASKED, "seed": seed}, quick=True),),
    policy={"audio": Metric("level", at_most=0.05, function=level)},
    produced=lambda inputs, outputs: float(outputs["audio"].size),
)


def speak(inputs, share=1.0):
    return {"audio": np.random.default_rng(inputs["seed"]).standard_normal(int(share * inputs["samples"]))}


@contextmanager
def _load(settings):
    yield speak


REFERENCE = Implementation("speech", "reference", "reference", _load, clock="cpu")


@pair("says_less", "speech")
def SAYS_LESS(cheats, settings):
    """Asks its model for 0.8 of the tokens: "30 s" yields 24 s."""
    return lambda inputs: speak(inputs, 0.8 if cheats else 1.0)
