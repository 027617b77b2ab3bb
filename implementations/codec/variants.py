"""The rows beside the plain one, and what they are held to: bounds, against the reference under the row's own steps and guidance.

Ten steps and five are 20 dB apart, and so are ten and nine, or two codecs of which one leaves a codebook out: no bound against ten steps
tells a right row from a broken one. Against the reference at five steps a right row is exact, and a broken one is not.

Bounds are those of the narrowest precision, for a row may have both: 3 dB below the least that was measured on the cases and on adversarial
inputs (2026-11-25), twice the most for shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any

import numpy as np

from harness.component import Approximate, Inputs, Metric, Outputs, Variant
from implementations._comparing import snr_db

_BOUNDS: Mapping[str, Mapping[str, float]] = {
    "bfloat16": {"latents": 43.0, "levels": 0.11, "wave": 31.0, "song": 28.0},
    "float16": {"latents": 58.0, "levels": 0.022, "wave": 48.0},
}
"""By precision: the least signal-to-noise ratios in dB, of a decoder's wave and of a song's, and the largest share of flipped levels."""

NARROWEST = "bfloat16"


def variants(component: str, precisions: tuple[str, ...], *, solver: bool) -> tuple[Variant, ...]:
    """Narrower precisions, and with a solver other steps and no guidance."""
    found = [Variant({"precision": name}, _parity(component, name, f"weights and products in {name}", {})) for name in precisions]
    if solver:
        own: list[tuple[dict[str, Any], str]] = [({"steps": steps}, f"{steps} Euler steps end elsewhere than 10") for steps in (5, 20)]
        own.append(({"mode": "lightweight"}, "without guidance, for half the work"))
        found += [Variant(settings, _parity(component, NARROWEST, reason, settings)) for settings, reason in own]
    return tuple(found)


def flipped_share(reference: np.ndarray, candidate: np.ndarray) -> float:
    """The share of levels that are not the reference's."""
    return float(np.mean(reference != candidate)) if reference.shape == candidate.shape else 1.0


def _parity(component: str, precision: str, reason: str, settings: Mapping[str, Any]) -> dict[str, Approximate]:
    """settings: those under which the reference answers; none where its plain outputs do."""
    bounds = _BOUNDS[precision]

    def held(output: str, name: str, judge: Any, **bound: Any) -> Approximate:
        if not settings:
            return Approximate(Metric(name, function=judge, **bound), reason)
        asked = partial(_as_asked, component, output, tuple(settings.items()), judge)
        return Approximate(Metric(f"{name}_as_asked", function=asked, of_inputs=True, **bound), reason)

    if component == "codec_decoder":
        return {"wave": held("wave", "snr_db", snr_db, at_least=bounds["wave"])}
    found = {
        "latents": held("latents", "snr_db", snr_db, at_least=bounds["latents"]),
        "levels": held("levels", "flipped_share", flipped_share, at_most=bounds["levels"]),
    }
    return found | ({"wave": held("wave", "snr_db", snr_db, at_least=bounds["song"])} if component == "codec" else {})


@dataclass(frozen=True)
class _Question:
    """Inputs under other settings; known by their content, for one call is judged output by output."""

    component: str
    settings: tuple[tuple[str, Any], ...]
    content: bytes
    inputs: Inputs = field(compare=False)


def _as_asked(component: str, output: str, settings: tuple[tuple[str, Any], ...], judge: Any, *values: Any) -> float:
    """`judge` between the reference under `settings` and the candidate: values are those of a metric of inputs."""
    _, candidate, inputs = values
    content = sha256()
    for name, value in sorted(inputs.items()):
        array = np.ascontiguousarray(value)
        content.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    found: float = judge(_answer(_Question(component, settings, content.digest(), inputs))[output], candidate)
    return found


@lru_cache(maxsize=1)
def _answer(question: _Question) -> Outputs:
    """What the reference gives."""
    from harness.settings import Settings
    from implementations.codec import reference

    (row,) = (row for row in (reference.FLOW, reference.DECODER, reference.SONG) if row.component == question.component)
    with row.load(Settings(**dict(question.settings))) as run:
        found = run(question.inputs)
        if isinstance(found, Mapping):
            return found
        chunks = list(found)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
