"""Lines for what is no verdict of a measured row: fuzzed inputs, flipped settings, refused records, asv."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.gate.selftest import Checked
from harness.history import Published, Refused, Registration
from harness.measure import Flip, Fuzzed
from harness.report.text import clean

Pair = tuple[str, str]

_NUMBER = re.compile(r"[0-9]+")


def fuzzed(found: Iterable[Fuzzed]) -> list[Pair]:
    """One line per row: how many inputs agreed, or the smallest that does not and where it is kept."""
    lines = []
    for one in found:
        name = f"{one.row.component}.{one.row.row}"
        if one.failure is None:
            lines.append((name, f"fuzzed: {one.examples} adversarial inputs, all as the reference"))
        else:
            kept = f"smallest input kept in {one.failure.path}, tried first next time"
            lines.append((name, f"fuzzed: DIFFERS: {clean(one.failure.message)}; {kept}"))
    return lines


def flips(found: Sequence[Flip]) -> list[Pair]:
    """One line per setting of each implementation: what turning it showed, or that it is dead; then the sum."""
    lines: list[Pair] = []
    dead: list[str] = []
    for flip in found:
        name = f"{flip.component}.{flip.implementation}".rstrip(".")
        message = clean(flip.message.removeprefix(f"{name}, "))
        if flip.shown:
            lines.append((name, message))
        else:
            lines.append((name, f"DEAD {message}"))
            dead.append(f"{flip.setting} of {name}")
    if not lines:
        return []
    total = f"{len(lines) - len(dead)} of {len(lines)} show when turned"
    return [*lines, ("settings", f"{total}; dead: {', '.join(dead)}" if dead else total)]


def self_tested(found: Sequence[Checked]) -> list[Pair]:
    """One line per defect: the exit code it gave, or what was wrong with the gate; then the sum."""
    lines = []
    for one in found:
        word = f"NOT AS IT SHOULD BE: {clean(one.problem)}" if one.problem else f"exit code {one.code}, as it should"
        lines.append((one.check.name, f"{word} ({one.seconds:.1f} s)"))
    wrong = sum(bool(one.problem) for one in found)
    return [*lines, ("the gate", f"{len(found) - wrong} of {len(found)} right" + ("" if wrong else ": it can be red and green here"))]


def refused(found: Mapping[Refused, int]) -> list[Pair]:
    """One line per reason for which records did not become history; reasons that differ in their numbers alone share one."""
    alike: dict[str, Counter[str]] = {}
    for one, count in found.items():
        alike.setdefault(_NUMBER.sub("", one.reason), Counter())[one.reason] += count
    return [("not in the history", _counted(reasons)) for reasons in alike.values()]


def _counted(reasons: Counter[str]) -> str:
    count, more = reasons.total(), ", and the like" if len(reasons) > 1 else ""
    return f"{count} record{'s' if count > 1 else ''}: {clean(next(iter(reasons)))}{more}"


def registration(done: Registration) -> list[Pair]:
    """Where asv now finds this machine."""
    return [("asv", f"machine {done.name} registered in {done.path}"), *([("note", clean(done.note))] if done.note else [])]


def published(done: Published, server: str = "asv preview") -> list[Pair]:
    """Where the dashboards are, and what is not on them. server: the command that shows them: a browser opens no part of them as a file."""
    lines = [("site", f"{done.html}; look at it with `{server}`")]
    lines += [("renamed", f"{path}: its environment named a path") for path in done.renamed]
    if done.dropped:
        commits = ", ".join(commit[:8] for commit in done.dropped)
        lines.append(("not shown", f"{commits}: on no branch that asv.conf.json names"))
    return lines
