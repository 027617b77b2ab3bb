"""Proxies for what listeners would say: STOI and PESQ. They are measured on trained weights only; neither is an opinion score.

STOI (Taal et al., 2011), 0 to 1, says how much could be understood; it saturates. PESQ (ITU-T P.862.2, wide band), 1.04 to 4.64, was made
for telephone lines; of a narrower kernel beside its reference, both against the same recording, its relative drop is the most honest number
without listeners. Both need the extra `quality`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from harness.component import Inputs, Metric
from implementations.tts.mel import SAMPLE_RATE


def stoi(recording: np.ndarray, wave: np.ndarray) -> float:
    """How much of it could be understood, 0 to 1; both (samples,) at SAMPLE_RATE, in time with each other."""
    _alike(recording, wave)
    found: float = _package("pystoi").stoi(recording.astype(np.float64), wave.astype(np.float64), SAMPLE_RATE)
    return float(found)


def pesq(recording: np.ndarray, wave: np.ndarray) -> float:
    """Wide-band PESQ, 1.04 to 4.64; both (samples,) at SAMPLE_RATE, in time with each other. PESQ refuses what has no speech in it."""
    from scipy.signal import resample_poly

    _alike(recording, wave)
    wide = [resample_poly(one.astype(np.float64), 320, 441) for one in (recording, wave)]
    return float(_package("pesq").pesq(16_000, *wide, "wb"))


def pesq_relative_drop(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float | None:
    """By which share PESQ falls from the reference's wave to the candidate's, both against `inputs["recording"]`; None without one."""
    if "recording" not in inputs:
        return None
    recording = inputs["recording"]
    return 1 - pesq(recording, candidate) / pesq(recording, reference)


def proxies() -> tuple[Metric, ...]:
    """What a narrower vocoder has to keep on trained weights, where the extra `quality` is installed: PESQ within 2 %."""
    return (Metric("pesq_relative_drop", at_most=0.02, function=pesq_relative_drop, of_inputs=True),) if find_spec("pesq") else ()


def _alike(recording: np.ndarray, wave: np.ndarray) -> None:
    if recording.shape != wave.shape or recording.ndim != 1:
        raise ValueError(f"expected two waves (samples,) of one length, found {recording.shape} and {wave.shape}")


def _package(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{name}: not installed; pip install 'audio-perf-harness[quality]'") from error
