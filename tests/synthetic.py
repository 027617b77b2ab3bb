"""Records made by hand: what a launch would have measured, in a few arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.parity import ParityResult
from harness.record import Block, Floor, LeftOut, Outcome, OutcomeKind, Plan, Planned, Record, Samples, Timing
from harness.record import Build as BuildOf

MACHINE = "x86_64-genuine-6-143-2c-a1b2c3"
SESSION = "20250102-030405-abc"


def parity(passed: bool = True, difference: float = 3.6e-7, *, kind: str = "close", instead_of: str = "", **more: float) -> ParityResult:
    message = "" if passed else f"spectrogram differs at [812, 40]: 0.31 vs 0.30 by {difference:.3g} (allowed <= 1e-06)"
    return ParityResult(
        "spectrogram", kind, passed, {"max_abs_difference": difference, **more}, "<= 1e-06 (float64 reference)",  # type: ignore[arg-type]
        (812, 40), message, instead_of,
    )  # fmt: skip


def blocks(seconds: float, *, rounds: int = 20, calls: int = 1, noise: float = 0.0, quiet: float = 1.0, seed: int = 0) -> tuple[Block, ...]:
    """Rounds of one block each; `noise` is common to equal rounds and seeds (a shared machine), `quiet` the share not rejected."""
    slow = 1 + noise * np.random.default_rng(seed).random(rounds)
    wall = seconds * calls * slow
    return tuple(Block(i, calls, float(wall[i]), 0.98 * float(wall[i]), i < quiet * rounds) for i in range(rounds))


def record(
    implementation: str = "native",
    seconds: float = 0.010,
    *,
    launch: int = 0,
    role: str = "",
    case: str = "drums",
    component: str = "spectrogram",
    settings: Mapping[str, Any] | None = None,
    variant: Mapping[str, Any] | None = None,
    parity: Sequence[ParityResult] | None = None,
    outcome: OutcomeKind = "measured",
    message: str = "",
    calls: int = 120,
    quiet: float = 1.0,
    produced: float | None = 180.0,
    floor: float | None = None,
    peak: int | None = 300_000_000,
    audio: float | None = 1.0,
    jitter: float = 0.01,
    **fields: Any,
) -> Record:
    """One launch; a measured one carries passing parity unless told otherwise."""
    role = role or {"reference": "reference", "madmom": "peer", "librosa": "peer"}.get(implementation, "optimized")
    # Launches differ by memory layout.
    seconds *= 1 + jitter * launch
    samples = Samples(
        load=Timing(0.2, 0.2),
        cold=Timing(3 * seconds, 3 * seconds),
        blocks=blocks(seconds, quiet=quiet, seed=launch),
        calls=tuple(seconds * (1 + 0.001 * (i % 50)) for i in range(calls)),
        peak_bytes=peak,
        base_bytes=80_000_000,
        loaded_bytes=100_000_000,
        produced=produced,
    )
    values = {
        "session": SESSION, "launch": launch, "component": component, "contract": 1, "implementation": implementation, "role": role,
        "case": case, "unit": "audio second", "unit_audio_seconds": audio, "clock": "cpu",
        "settings": {**(settings or {}), **(variant or {})}, "variant": variant or {},
        "build": BuildOf("audio-perf-harness", "0.1.0", "", f"{implementation}.py"), "machine": MACHINE, "profile": "x86-64-avx512",
        "state": {}, "started": "2025-01-02T03:04:05+00:00", "samples": samples if outcome == "measured" else Samples(),
        "outcome": Outcome(outcome, message), "parity": _parity(role, parity, outcome),
        "floor": None if floor is None else Floor(floor, "memory bandwidth"), **fields,
    }  # fmt: skip
    return Record(**values)


def _parity(role: str, given: Sequence[ParityResult] | None, outcome: str) -> tuple[ParityResult, ...]:
    if given is not None:
        return tuple(given)
    return () if role == "reference" or outcome != "measured" else (parity(),)


def launches(implementation: str = "native", seconds: float = 0.010, *, n: int = 3, **arguments: Any) -> list[Record]:
    return [record(implementation, seconds, launch=launch, **arguments) for launch in range(n)]


def in_chunks(records: Sequence[Record]) -> list[Record]:
    """The same, of 60 calls in three chunks: the first after 80 to 92 ms, the second 3 ms beside its usual time, the last too late; cold
    after 2.4 s."""
    firsts = [0.080 + 0.0002 * number for number in range(60)]
    chunks = tuple((first, first + 0.05 + 0.006 * (number % 2), first + 0.9) for number, first in enumerate(firsts))
    audio = ((0.1, 0.2, 0.4),) * len(chunks)
    more = {"chunks": chunks, "chunk_seconds": audio, "cold_chunks": (2.4, 2.9, 3.8)}
    return [replace(item, samples=replace(item.samples, **more)) for item in records]


def planned(records: Sequence[Record], launches: int = 3) -> tuple[Planned, ...]:
    """What a session that left these records had set out to measure."""
    found = {}
    for r in records:
        item = Planned(r.component, r.implementation, r.role, r.variant, r.settings, r.case, launches, r.exact)
        found[item.component, item.row, item.case, str(sorted(item.settings.items()))] = item
    return tuple(found.values())


def plan(
    records: Sequence[Record], *, launches: int = 3, unavailable: Sequence[LeftOut] = (), left_out: Sequence[LeftOut] = (), **fields: Any
) -> Plan:
    values = {"session": SESSION, "started": "2025-01-02T03:04:05+00:00", "machine": MACHINE, "profile": "x86-64-avx512", **fields}
    return Plan(planned=planned(records, launches), unavailable=tuple(unavailable), left_out=tuple(left_out), **values)
