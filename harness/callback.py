"""The real-time contract: what an audio thread calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Callback:
    """What an audio thread calls, as addresses of C functions (harness/realtime/callback.h declares them).

    function: a `harness_callback`: one block of mono float32 in [-1, 1] in and out; must not allocate, lock or block.
    results: a `harness_results`: the result that the last block used; 0 for a callback that uses none. state: what both are given.
    latency: samples by which the output lags behind the input, as a host would be told. flags: what each bit of a result's flags
    says of its fallback, lowest first.
    """

    function: int
    state: int
    latency: int
    results: int = 0
    flags: tuple[str, ...] = ()
