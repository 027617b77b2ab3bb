"""The Record: one launch of one implementation on one case, all that was measured, raw; and the Plan, what was to be measured.

Everything before a Record touches the machine; everything after it is pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from harness.parity import ParityResult
from harness.played import Played
from harness.settings import Settings, label

SCHEMA = 1

OutcomeKind = Literal["measured", "raised", "crashed", "hung", "out of memory", "not finite", "empty output", "untrusted", "unavailable"]
"""`untrusted`: an independent check contradicts what the implementation's process reported (replayed outputs, inputs
changed by a call, clocks that disagree)."""


@dataclass(frozen=True)
class Timing:
    """One timed region, in seconds."""

    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Block:
    """Consecutive calls timed together. Blocks with equal `round` in one session and launch are neighbours in time: they pair.

    quiet: the calibration kernel beside this round ran at its usual speed; blocks that are not quiet are rejected and counted.
    steady_seconds: on the wall, of a call in the fastest nine tenths of the block, which interruptions have spared; None where the
    block was not divided, or other threads worked in it for a row that is judged on processor time.
    """

    round: int
    calls: int
    wall_seconds: float
    cpu_seconds: float
    quiet: bool
    steady_seconds: float | None = None


@dataclass(frozen=True)
class Samples:
    """What one launch measured. A field that is None was not measured; `missing` in the record says why.

    load: the load() context. cold: the first call in the fresh process; cold_chunks: seconds from its start to each chunk. calls:
    wall seconds of single warm calls, in order (percentiles); slices: how many of them each turn of the row gave, neighbours in time
    of the same turns of the other rows. chunks: per call, seconds from the start to each chunk.
    chunk_seconds: per such call, how much audio each chunk is, where the output is audio. first_chunks: seconds to the first chunk
    of further calls that were left there. memory: (timed calls so far, RSS then). peak_bytes: peak RSS of the process over the first
    call. base_bytes: RSS before load. produced: units of work found in the output of one call. weight_bytes: what the
    implementation says its weights take.
    """

    load: Timing | None = None
    cold: Timing | None = None
    cold_chunks: tuple[float, ...] = ()
    blocks: tuple[Block, ...] = ()
    calls: tuple[float, ...] = ()
    slices: tuple[int, ...] = ()
    chunks: tuple[tuple[float, ...], ...] = ()
    chunk_seconds: tuple[tuple[float, ...], ...] = ()
    first_chunks: tuple[float, ...] = ()
    memory: tuple[tuple[int, int], ...] = ()
    peak_bytes: int | None = None
    base_bytes: int | None = None
    loaded_bytes: int | None = None
    device_peak_bytes: int | None = None
    produced: float | None = None
    weight_bytes: int | None = None

    @cached_property
    def wall_by_round(self) -> Mapping[int, float]:
        """Wall seconds per call in each quiet round; asked for ten times per record."""
        return seconds_by_round(self.blocks, "wall")

    @cached_property
    def cpu_by_round(self) -> Mapping[int, float]:
        """Processor seconds per call in each quiet round."""
        return seconds_by_round(self.blocks, "cpu")


def seconds_by_round(blocks: Iterable[Block], clock: Literal["wall", "cpu"] = "wall") -> dict[int, float]:
    """Seconds per call in each quiet round of one launch; several blocks of one round count as one long block."""
    blocks = tuple(blocks)
    if len({block.round for block in blocks}) == len(blocks):  # as measured
        times = [block.wall_seconds for block in blocks] if clock == "wall" else [block.cpu_seconds for block in blocks]
        return {b.round: time / b.calls for b, time in zip(blocks, times, strict=True) if b.quiet and time > 0 and b.calls > 0}
    seconds: dict[int, float] = {}
    calls: dict[int, int] = {}
    spoiled = set()
    for block in blocks:
        number = block.round
        seconds[number] = seconds.get(number, 0.0) + (block.wall_seconds if clock == "wall" else block.cpu_seconds)
        calls[number] = calls.get(number, 0) + block.calls
        if not block.quiet:
            spoiled.add(number)
    # A clock too coarse for a block reads 0: that is no time.
    return {number: total / calls[number] for number, total in seconds.items() if total > 0 and calls[number] > 0 and number not in spoiled}


def mean_cpu_seconds(blocks: Iterable[Block]) -> float | None:
    """Processor seconds of a call, the mean over all calls of the quiet rounds; None where there are none.

    What comes in bursts (a buffer that is flushed, a cache that is built again every thousand calls) is in no quantile of blocks, but here.
    """
    quiet = [block for block in blocks if block.quiet and block.calls > 0]
    return sum(block.cpu_seconds for block in quiet) / sum(block.calls for block in quiet) if quiet else None


@dataclass(frozen=True)
class Outcome:
    """How the launch ended. `message` says what happened, where, and what to do; empty when measured."""

    kind: OutcomeKind = "measured"
    message: str = ""


@dataclass(frozen=True)
class Build:
    """Where the code came from: distribution and version, hash of the native sources (empty without), file that ran."""

    distribution: str = ""
    version: str = ""
    native: str = ""
    file: str = ""


@dataclass(frozen=True)
class Floor:
    """The least time the machine's ceilings allow for this call, and which ceiling bounds it.

    operations, bytes: of the least work a call can do, where the component says them.
    """

    seconds: float
    ceiling: str
    operations: float | None = None
    bytes: float | None = None


@dataclass(frozen=True)
class Record:
    """One launch. `settings` are those the implementation honours; `variant` those of them that make its row.

    played: what an audio thread saw, where that was the launch; then there are no samples.
    """

    session: str
    launch: int
    component: str
    contract: int
    implementation: str
    role: str
    case: str
    unit: str
    unit_audio_seconds: float | None
    clock: str
    settings: Mapping[str, Any]
    variant: Mapping[str, Any]
    build: Build
    machine: str
    profile: str
    state: Mapping[str, Any]
    started: str
    samples: Samples
    outcome: Outcome = Outcome()
    parity: tuple[ParityResult, ...] = ()
    exact: bool = True
    floor: Floor | None = None
    commit: str = ""
    commit_date_ms: int | None = None
    dirty: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    control: str = ""
    played: Played | None = None
    schema: int = SCHEMA

    @property
    def row(self) -> str:
        """The implementation with its variant: `native[precision=float32]`."""
        return label(self.implementation, self.variant)

    @property
    def series(self) -> tuple[str, str, str, str, str]:
        """Key of a series: component, row, case, settings digest, machine."""
        return (self.component, self.row, self.case, Settings(**_tuples(self.settings)).digest(), self.machine)

    @cached_property
    def settings_text(self) -> str:
        """The settings in canonical JSON; asked for four times per record."""
        return _canonical(self.settings)


@dataclass(frozen=True)
class Planned:
    """One thing that a session set out to measure: a row under its settings on a case, `launches` times."""

    component: str
    implementation: str
    role: str
    variant: Mapping[str, Any]
    settings: Mapping[str, Any]
    case: str
    launches: int
    exact: bool = True

    @property
    def row(self) -> str:
        return label(self.implementation, self.variant)

    @cached_property
    def settings_text(self) -> str:
        """The settings in canonical JSON."""
        return _canonical(self.settings)


@dataclass(frozen=True)
class LeftOut:
    """What exists but is not measured in this session, and why.

    implementation, case: "" where it is all of them. broken: it should work here, and its plugin raised.
    """

    component: str
    implementation: str
    case: str
    reason: str
    broken: bool = False


@dataclass(frozen=True)
class Origin:
    """What a session was begun with, beside its rows: what must be the same when it is resumed.

    settings: merged from profile, environment and command line. code: a fingerprint by name, of each implementation and of
    what runs them.
    """

    settings: Mapping[str, Any]
    code: Mapping[str, str]
    thorough: bool = False


@dataclass(frozen=True)
class Plan:
    """The expected set of a session: what is missing from its records later was not measured, and that is never green."""

    session: str
    started: str
    machine: str
    profile: str
    planned: tuple[Planned, ...]
    unavailable: tuple[LeftOut, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    origin: Origin | None = None
    schema: int = SCHEMA


def _canonical(settings: Mapping[str, Any]) -> str:
    return json.dumps(dict(settings), sort_keys=True)


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
