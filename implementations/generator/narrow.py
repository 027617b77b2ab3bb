"""What a narrower precision must reach: its codes may part from the reference's where two are nearly as good, its logits may not before."""

from __future__ import annotations

import math

import numpy as np

from harness.component import Approximate, Inputs, Metric, Variant
from implementations.generator.component import depth_request_of, request_of
from implementations.generator.flavours import CODEBOOKS, flavour_of
from implementations.generator.sampling import choose


def until_parted(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float:
    """Signal-to-noise ratio in dB of the logits up to the first code that is chosen otherwise: what follows it has another past.

    Under `forced` codes all of them have the same past. Logits: (frames, 8, vocabulary), or seven codebooks of a depth decoder.
    """
    if reference.shape[1:] != candidate.shape[1:] or not len(candidate):
        return -math.inf
    count = min(len(reference), len(candidate))
    same = np.ones((count, reference.shape[1]), bool)
    if "forced" not in inputs:
        _, request = request_of(inputs) if "text" in inputs else depth_request_of(inputs)
        skipped = CODEBOOKS - reference.shape[1]
        chosen = [
            [[choose(row, request, frame, skipped + book) for book, row in enumerate(rows)] for frame, rows in enumerate(logits[:count])]
            for logits in (reference, candidate)
        ]
        parted = np.flatnonzero(np.not_equal(*map(np.array, chosen)))
        if len(parted):
            same.flat[parted[0] + 1 :] = False
    return _snr(reference[:count][same], candidate[:count][same])


def _snr(reference: np.ndarray, candidate: np.ndarray) -> float:
    signal, noise = (float(np.square(values, dtype=np.float64).sum()) for values in (reference, candidate - reference))
    return 10 * math.log10(signal / noise) if noise else math.inf


def _in_range(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float:
    """Share of codes that are codes: 1 where the candidate is of as many frames as the reference."""
    if candidate.shape != reference.shape or candidate.dtype != reference.dtype:
        return 0.0
    return float(np.mean((candidate >= 0) & (candidate < flavour_of(inputs["flavour"]).vocabulary)))


_NARROW = {"bfloat16": ("weights, caches and all between them of 8 significant bits", 26.0), "int8": ("weights of 8 bits", 26.0)}
"""By precision the reason and the least signal-to-noise ratio of logits in dB: a layer left out, or a wrong scale, gives below 15."""


def precision_variant(component: str, precision: str) -> Variant:
    """The row of another precision. Its codes may differ from where two are nearly as good: the logits up to there say how near it is."""
    reason, bound = _NARROW[precision]
    of_logits = Metric("logits_snr_db", at_least=bound, function=until_parted, of_inputs=True)
    if component == "generator_backbone":
        metric = Metric("snr_db", at_least=bound)
        return Variant({"precision": precision}, {"hidden": Approximate(metric, reason), "logits": Approximate(metric, reason)})
    codes = Approximate(Metric("codes_in_range", at_least=1.0, function=_in_range, of_inputs=True), reason)
    return Variant({"precision": precision}, {"codes": codes, "logits": Approximate(of_logits, reason)})
