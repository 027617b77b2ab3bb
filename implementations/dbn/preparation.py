"""From a beat network's two probabilities to the activations that the DBN decodes (mir-aidj/all-in-one)."""

from __future__ import annotations

from implementations.dbn.arrays import Array, check_finite, namespace


def combine_activations(beat: Array, downbeat: Array) -> Array:
    """Probabilities (frames,) of a beat and of a downbeat -> activations (frames, 2), of their library, device and dtype.

    Columns: a beat that is no downbeat, and a downbeat; with the third case, neither, scaled to sum to 1.
    """
    check_finite("beat", beat, 1)
    check_finite("downbeat", downbeat, 1)
    if beat.shape != downbeat.shape or beat.dtype != downbeat.dtype:
        found = " and ".join(f"{tuple(array.shape)} {array.dtype}" for array in (beat, downbeat))
        raise ValueError(f"beat, downbeat: expected equal shapes and dtypes, found {found}")
    xp = namespace(beat)
    only_beat = xp.maximum(beat - downbeat, xp.zeros_like(beat) + 1e-8)
    neither = ((1.0 - beat) + (1.0 - downbeat)) / 2.0
    total = only_beat + downbeat + neither
    return xp.stack([only_beat / total, downbeat / total], -1)
