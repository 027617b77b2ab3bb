"""What the rows of an audio thread say in numbers, pure: one callback over all its windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.played import Figures, Results


def of(answer: Mapping[str, Any], flags: tuple[str, ...] = (), *, results: bool = True) -> Figures:
    """The figures of a Stage's answer."""
    everything, granted = answer["columns"], answer["granted"]
    timed = everything["window"] >= 0
    columns = {name: column[timed] for name, column in everything.items()}
    windows = [columns["window"] == number for number in range(int(columns["window"].max()) + 1)]
    missed, late = columns["late_ns"] > 0, columns["wake_ns"] / 1e9
    total = {name: int(columns[name].sum()) for name in ("voluntary", "involuntary", "faults")}
    return Figures(
        callbacks=len(missed),
        seconds=len(missed) * answer["frames"] / answer["rate"],
        misses=int(missed.sum()),
        woken_late=int((missed & (late >= answer["frames"] / answer["rate"])).sum()),
        missed_windows=tuple(bool(missed[window].any()) for window in windows),
        run=_quantiles(columns["run_ns"] / 1e9, 0.5, 0.99, 0.999, 1.0),  # type: ignore[arg-type]
        wake=_quantiles(late, 0.5, 0.99, 1.0),  # type: ignore[arg-type]
        wakes=tuple(float(np.quantile(late[window], 0.99)) for window in windows),
        **total,
        allocations=int(everything["allocations"].sum()),
        locks=int(everything["locks"].sum()),
        latencies=tuple(answer["latencies"]),
        results=_results(columns, everything, flags) if results else None,
        realtime=granted["realtime"],
        watched=granted["watched"],
        why=granted["why"],
    )


def _results(columns: Mapping[str, np.ndarray], everything: Mapping[str, np.ndarray], flags: tuple[str, ...]) -> Results:
    settled = columns["settled"]
    sequence, window = columns["sequence"][settled], columns["window"][settled]
    # Within a window: between two of them the callback is not called, and what comes then is no gap.
    steps = np.where(np.diff(window) == 0, np.diff(sequence), 0)
    used = sequence > 0
    ages = columns["age_ns"][settled][used] / 1e9
    bits = columns["flags"][settled]
    known = [*flags, *(f"bit {number}" for number in range(len(flags), 32))]
    shares = {name: float(((bits >> number) & 1).mean()) for number, name in enumerate(known)} if len(bits) else {}
    return Results(
        seen=int(np.count_nonzero(steps)) + int(used.any()),
        skipped=int(np.maximum(steps - 1, 0).sum()),
        gaps=int((steps > 1).sum()),
        dropped=max(0, int(everything["dropped"].max(initial=0))),
        torn=int(everything["torn"].sum()),
        unfinite=int(everything["unfinite"].sum()),
        ages=_quantiles(ages, 0.5, 0.99, 1.0) if len(ages) else None,  # type: ignore[arg-type]
        flagged={name: share for name, share in shares.items() if share},
    )


def _quantiles(values: np.ndarray, *shares: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, shares))
