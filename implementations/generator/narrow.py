"""What a narrower precision must reach: its codes may part from the reference's where two are nearly as good, its logits may not before."""

from __future__ import annotations

import math

import numpy as np

from harness.component import Approximate, Inputs, Metric, Variant
from implementations._comparing import snr_db
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
    return snr_db(reference[:count][same], candidate[:count][same])


def _in_range(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float:
    """Share of codes that are codes; 0 of another number of frames than the reference's, unless a code may end the song."""
    vocabulary = flavour_of(inputs["flavour"]).vocabulary
    frames = slice(None) if inputs.get("end", vocabulary) >= vocabulary else slice(1)
    if candidate[frames].shape != reference[frames].shape or candidate.dtype != reference.dtype:
        return 0.0
    return float(np.mean((candidate >= 0) & (candidate < vocabulary)))


def nats(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean surprise at the labels (frames, 8), in nats a code, of logits (frames, 8, vocabulary)."""
    wide = logits.astype(np.float64)
    most = wide.max(axis=-1, keepdims=True)
    whole = most[..., 0] + np.log(np.exp(wide - most).sum(axis=-1))
    return float((whole - np.take_along_axis(wide, labels[..., None], axis=-1)[..., 0]).mean())


def nats_lost(reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> float | None:
    """By how many nats a code a song surprises the candidate more than the reference; None where nobody knows what came next."""
    if "labels" not in inputs:
        return None
    return nats(candidate, inputs["labels"]) - nats(reference, inputs["labels"])


def _lost(at_most: float) -> Metric:
    return Metric("nats_lost_per_code", at_most=at_most, function=nats_lost, of_inputs=True)


_NARROW = {
    "bfloat16": ("weights, caches and all between them of 8 significant bits", 26.0),
    "float16": ("weights, keys and values of 11 significant bits; products and sums in float32", 50.0),
    "int8": ("weights of 8 bits", 26.0),
}
"""By precision the reason and the least signal-to-noise ratio of logits in dB: a layer left out, or a wrong scale, gives below 15."""


def precision_variant(component: str, precision: str) -> Variant:
    """The row of another precision. Its codes may differ from where two are nearly as good: the logits up to there say how near it is."""
    reason, bound = _NARROW[precision]
    of_logits = Metric("logits_snr_db", at_least=bound, function=until_parted, of_inputs=True)
    if component == "generator_backbone":
        metric = Metric("snr_db", at_least=bound)
        return Variant({"precision": precision}, {"hidden": Approximate(metric, reason), "logits": Approximate(metric, reason)})
    codes = Approximate(Metric("codes_in_range", at_least=1.0, function=_in_range, of_inputs=True), reason)
    also = (_lost(0.05),) if component == "generator" else ()
    return Variant({"precision": precision}, {"codes": codes, "logits": Approximate(of_logits, reason, also=also)})


_OTHER = "another model, half as deep, of `small` the draft"
LIGHTWEIGHT = Variant(
    {"mode": "lightweight"},
    {
        "codes": Approximate(Metric("codes_in_range", at_least=1.0, function=_in_range, of_inputs=True), _OTHER),
        "logits": Approximate(
            Metric("logits_snr_db", at_least=-60.0, function=until_parted, of_inputs=True),
            f"{_OTHER}: no bound holds but on a song it was trained for",
            also=(_lost(0.5),),
        ),
    },
)
"""The row of the document's lightweight mode, compared with the reference at full size."""
