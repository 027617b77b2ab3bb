"""Did every detector see its own control? Pure; a detector that did not makes the whole session invalid.

A malloc counter that is not really in front of malloc reads 0, like a callback that never allocates: only a deliberate
allocation tells them apart. So each control does what its detector is for, a known number of times, and the empty one does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.played import Figures, Results
from harness.realtime import figures

NOTHING = "nothing"


@dataclass(frozen=True)
class Controlled:
    """One detector on its control: how often the control did it, how often the detector saw it. problem: "" where it is right."""

    detector: str
    deliberate: int
    seen: int
    problem: str = ""


def check(answer: Mapping[str, Any]) -> tuple[Controlled, ...]:
    """Each detector on its control, and all that count exactly on the empty callback."""
    found = []
    for kind, one in answer["controls"].items():
        played = figures.of(one, ("control",), results=kind in _OF_RESULTS)
        if kind == NOTHING:
            found += [Controlled(f"{name} (empty callback)", 0, count, _false(name, count)) for name, count in _exact(played)]
            continue
        seen, deliberate = _SEEN[kind](played), int(one["deliberate"])
        found.append(Controlled(kind, deliberate, seen, _missed(kind, deliberate, seen)))
        if kind == "misses":
            found += [Controlled(name, deliberate, late, _missed(name, deliberate, late)) for name, late in _overrun(one)]
    return tuple(found)


def _exact(played: Figures) -> list[tuple[str, int]]:
    return [(name, getattr(played, name)) for name in ("voluntary", "allocations", "locks")]


def _overrun(one: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What two blocks of spinning do beside missing the deadline: the call is so long, and the next one begins late."""
    block, columns = one["frames"] / one["rate"] * 1e9, one["columns"]
    return [("run time", int((columns["run_ns"] >= 2 * block).sum())), ("wake jitter", int((columns["wake_ns"] >= block / 2).sum()))]


def _false(name: str, count: int) -> str:
    return f"the detector of {name} counted {count} in a callback that does nothing" if count else ""


def _missed(kind: str, deliberate: int, seen: int) -> str:
    if not deliberate:
        return f"the control of {kind} did nothing: it is no control"
    exact = kind in _EXACTLY
    if (seen == deliberate) if exact else (seen >= deliberate * _LEAST_SHARE):
        return ""
    hint = "; is _watch.so preloaded, and the C library glibc?" if kind in ("allocations", "locks") else ""
    return f"the detector of {kind} saw {seen} of {deliberate} deliberate ones{hint}"


def _results(count: Callable[[Results], int]) -> Callable[[Figures], int]:
    return lambda played: count(played.results) if played.results is not None else 0


_EXACTLY = {"allocations", "locks", "latency", "torn", "unfinite", "dropped"}

_LEAST_SHARE = 0.5
"""Of what the system has a part in: a block may be preempted twice or not at all, a page may have come beforehand."""

_OLD_SECONDS = 0.4

_SEEN: Mapping[str, Callable[[Figures], int]] = {
    "misses": lambda played: played.misses,
    "voluntary": lambda played: played.voluntary,
    "involuntary": lambda played: played.involuntary,
    "faults": lambda played: played.faults,
    "allocations": lambda played: played.allocations,
    "locks": lambda played: played.locks,
    "latency": lambda played: played.latencies[0],
    "torn": _results(lambda results: results.torn),
    "unfinite": _results(lambda results: results.unfinite),
    "gaps": _results(lambda results: results.gaps),
    "dropped": _results(lambda results: results.dropped),
    "age": _results(lambda results: round(10 * (results.ages is not None and results.ages[2] > _OLD_SECONDS))),
    "flagged": _results(lambda results: round(sum(results.flagged.values()) * 100)),
}
_OF_RESULTS = {"torn", "unfinite", "gaps", "dropped", "age", "flagged"}
