"""Verdicts whose right answer is known: kept in a file that only grows, and counted with exact intervals.

Files of several machines may be joined: verdicts of one gate count together, wherever they were given.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import stats
from harness.gate import selftest
from harness.gate.peers import PEERS
from harness.gate.trial import GATE, Specimen
from harness.settings import ConfigurationError

CASES = tuple(selftest.CASES)
STATES = ("fail", "pass", "inconclusive", "invalid", "error")
ORDER = (GATE, *(tool for tools in PEERS.values() for tool in tools))


@dataclass(frozen=True)
class Verdict:
    """One verdict over a specimen. slower: the share by which head's calls take longer. busy: beside a process that uses a CPU.

    state: of seconds per call, "error" where the tool gave none. other: the worst state of its other metrics that are equal
    on both sides. found: the slow-down that the tool read. seconds, cpu_seconds: it took; budget_seconds: a peer was given to sample in.
    neighbour: CPU seconds of the busy process per second. code: fingerprint of the gate.
    """

    machine: str
    when: str
    case: str
    slower: float
    busy: bool
    state: str
    other: str
    seconds: float
    launches: int | None
    tool: str = GATE
    found: float | None = None
    cpu_seconds: float | None = None
    budget_seconds: float | None = None
    neighbour: float | None = None
    reason: str = ""
    code: str = ""
    commit: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Rate:
    """The verdicts of one cell: a tool on a case and a slow-down, idle or busy. states: share, low, high (Clopper and Pearson).

    others: how often the worst of the other metrics had a state. found: the median slow-down read.
    """

    tool: str
    case: str
    slower: float
    busy: bool
    n: int
    states: Mapping[str, tuple[float, float, float]]
    others: Mapping[str, int]
    median_seconds: float
    median_cpu_seconds: float | None
    found: float | None

    @property
    def false_alarms(self) -> int:
        return self.others.get("fail", 0)


def read(file: Path, code: str | None = None) -> list[Verdict]:
    """The verdicts that a file holds, of any machine; of this gate, or of all. An unfinished last line is left out."""
    return [Verdict(**line) for line in _lines(file, code) if "state" in line]


def specimens(file: Path, machine: str, code: str) -> list[Specimen]:
    """The slow-downs as they were built and measured on a machine; of each the latest."""
    names = [field.name for field in dataclasses.fields(Specimen)]
    lines = [line for line in _lines(file, code) if "share" in line and line["machine"] == machine]
    found = [Specimen(**{name: line[name] for name in names}) for line in lines]
    return list({(one.case, one.slower): one for one in found}.values())


def rates(found: Iterable[Verdict]) -> list[Rate]:
    """Error rates by cell; those of tools and slow-downs side by side."""
    cells: dict[tuple[bool, int, float, int], list[Verdict]] = {}
    for one in found:
        cells.setdefault((one.busy, _place(CASES, one.case), one.slower, _place(ORDER, one.tool)), []).append(one)
    return [_rate(cell) for _, cell in sorted(cells.items())]


def wrong(rate: Rate) -> bool:
    """Whether a cell holds an error that the gate must never make."""
    if rate.tool != GATE:
        return False
    if rate.states["error"][0]:
        return True
    if not rate.slower:
        return rate.states["fail"][0] > 0 or rate.false_alarms > 0
    return rate.slower >= 0.05 and rate.states["pass"][0] > 0


def _rate(cell: Sequence[Verdict]) -> Rate:
    states, first = {}, cell[0]
    for state in STATES:
        interval = stats.proportion(sum(one.state == state for one in cell), len(cell))
        states[state] = (interval.point, interval.low or 0.0, interval.high if interval.high is not None else 1.0)
    return Rate(
        first.tool,
        first.case,
        first.slower,
        first.busy,
        len(cell),
        states,
        Counter(one.other for one in cell),
        stats.median([one.seconds for one in cell]),
        _median(one.cpu_seconds for one in cell),
        _median(one.found for one in cell),
    )


def append(file: Path, *lines: Mapping[str, Any]) -> None:
    """Add lines that belong together."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def _lines(file: Path, code: str | None) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    found = []
    for number, text in enumerate(file.read_bytes().split(b"\n")[:-1], 1):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"{file}, line {number}: expected a verdict as JSON, found {error}; mend or remove the line") from None
        if code in (None, line.get("code", "")):
            found.append(line)
    return found


def mend(file: Path) -> None:
    """Cut off a last line that an interruption left unfinished, or the next one would become a part of it."""
    whole = file.read_bytes().rpartition(b"\n") if file.exists() else (b"", b"", b"")
    if whole[2]:
        os.truncate(file, len(whole[0] + whole[1]))


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return stats.median(known) if known else None
