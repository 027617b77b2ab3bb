"""Judging what the history holds: the same questions, targets and verdicts as for a session's records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import metrics
from harness.history import naming
from harness.history.files import check_machine, git, left_out, read
from harness.history.points import HistoryError, Key, Point, SeriesName
from harness.history.publish import entry
from harness.history.standing import leading_to
from harness.history.steps import Step, recent
from harness.installed import Installed, few
from harness.metrics import Absent, Value
from harness.record import Plan, Planned
from harness.stats import LEAST_LAUNCHES, Interval
from harness.targets import Target, in_force
from harness.verdict import Answer, Problem, Row, Verdicts, answer_target, applies, broken, unjudged

if TYPE_CHECKING:
    from harness.machine import Machine


class NothingStored(HistoryError):
    """The history of this machine holds nothing to judge: nothing was measured, which is never a pass."""


@dataclass(frozen=True)
class Stored:
    """What the history of one machine holds of one commit, by line of the expected set.

    values: each stored metric; Absent where it failed or was skipped. failing: how many outputs were wrong; a line that is
    missing there was never judged on parity, and has no times that count. contracts: the versions of the component's contract
    that its numbers were stored under. points: what led to it, itself last. damaged: files that were left out.
    """

    machine: str
    commit: str
    date_ms: int
    values: Mapping[metrics.Key, Mapping[str, Value]]
    failing: Mapping[metrics.Key, float]
    contracts: Mapping[metrics.Key, frozenset[str]]
    points: tuple[Point, ...] = ()
    damaged: tuple[str, ...] = ()


def points_for_judging(
    results_dir: Path,
    machine: Machine,
    commit: str | None = None,
    *,
    repository: Path | None = None,
    wanted: Callable[[Key], bool] = lambda _: True,
) -> Stored:
    """What the history says of this machine at a commit: the newest that has results, or the one that `commit` names.

    The newest is HEAD of the repository (default: the one around the history) where it has results, else the last of what
    HEAD grew from. wanted: which series count. Several environments of one commit: the worst counts. HistoryError where the
    folder belongs to another machine, NothingStored where there is nothing.
    """
    check_machine(results_dir, entry(machine))
    repository = results_dir if repository is None else repository
    damaged = left_out(results_dir, machine.name)
    points = [point for point in read(results_dir, machine.name, whole=False) if wanted(point.key)]
    if damaged and not points:
        raise HistoryError(f"nothing of the history can be judged: {'; '.join(damaged)}")
    tip = git(repository, "rev-parse", "--verify", "--quiet", f"{commit or 'HEAD'}^{{commit}}")
    led = leading_to(points, repository, tip or "HEAD")
    at_tip = [point for point in led if point.commit == tip]
    chosen = at_tip or ([point for point in points if point.commit.startswith(commit)] if commit else led)
    if not chosen:
        known = ", ".join(dict.fromkeys(point.commit[:8] for point in points)) or "none"
        raise NothingStored(
            f"{results_dir / machine.name}: no results{f' of commit {commit}' if commit else ''}; commits with results: {known}; "
            "run `harness run --record` on a clean commit, or `asv run`"
        )
    newest = chosen[-1]
    cells: dict[metrics.Key, dict[str, dict[SeriesName, list[Point]]]] = {}
    for point in chosen:
        # What was skipped was not measured: it is missing from its line, as if it had never been tried.
        if point.commit == newest.commit and point.state != "skipped":
            of_line = cells.setdefault(naming.line(point.key), {})
            of_line.setdefault(point.key.metric, {}).setdefault(point.key.series, []).append(point)
    failing: dict[metrics.Key, float] = {}
    contracts = {line: _contracts(of_line) for line, of_line in cells.items()}
    for line, of_line in cells.items():
        wrong = [1.0 if point.value is None else point.value for point in of_line.pop(naming.PARITY, {}).get("upper", [])]
        if wrong:
            failing[line] = max(wrong)
    values = {line: {naming.original_name(name): _value(name, found) for name, found in of_line.items()} for line, of_line in cells.items()}
    last = max((number for number, point in enumerate(led) if point.commit == newest.commit), default=-1)
    return Stored(machine.name, newest.commit, newest.date_ms, values, failing, contracts, tuple(led[: last + 1]), tuple(damaged))


def judge_stored(
    plan: Plan,
    stored: Stored,
    targets: Iterable[Target],
    profiles: Sequence[str],
    *,
    steps: Iterable[Step] = (),
    installed: Installed | None = None,
) -> Verdicts:
    """The verdicts over a history. plan: what should be there; a planned row that the history lacks is missing, never green.

    steps: of what led to the judged commit; a slow-down that is still recent is a regression of its row.
    Planned rows that are stored on further cases (thorough ones) or under further settings (a sweep) are judged there too.
    installed: numbers that were stored under another contract than the installed one are invalid (None: not asked).
    """
    if plan.machine != stored.machine:
        message = f"the history of machine {stored.machine} cannot be judged on {plan.machine}: measure here"
        return Verdicts(plan, (), (Problem("invalid", message),))
    bounds = in_force(targets, profiles)
    expected = {metrics.key(item) for item in plan.planned}
    known = {(item.component, item.row): item for item in plan.planned}
    further = [line for line in stored.values if line not in expected]
    more = [replace(known[line[:2]], case=line[2], settings=json.loads(line[3])) for line in further if line[:2] in known]
    slower: dict[metrics.Key, list[Step]] = {}
    for step in recent(steps):
        slower.setdefault(naming.line(step.key), []).append(step)
    whole = replace(plan, planned=(*plan.planned, *more))
    rows = tuple(_row(item, stored, bounds, slower.get(metrics.key(item), ()), installed) for item in whole.planned)
    empty = [Problem("missing", f"commit {stored.commit[:8]} has nothing of what was planned")] if all(row.missing for row in rows) else []
    strange = sorted({f"{line[0]} {line[1]} on {line[2]}" for line in further if line[:2] not in known})
    notes = [f"in the history, not in the plan, not judged: {few(strange)}"] if strange else []
    damaged = [Problem("missing", f"left out of the history: {text}") for text in stored.damaged]
    return Verdicts(plan, rows, (*broken(plan), *empty, *damaged), (*unjudged(whole, bounds), *notes))


def _contracts(of_line: Mapping[str, Mapping[SeriesName, Sequence[Point]]]) -> frozenset[str]:
    return frozenset(point.version for found in of_line.values() for points in found.values() for point in points)


def _value(stored: str, found: Mapping[SeriesName, Sequence[Point]]) -> Value:
    """The interval behind `upper` and `estimate`: over launches it is symmetric, of what is positive in logarithms."""
    uppers, estimates = found.get("upper", ()), found.get("estimate", ())
    states = {point.state for point in (*uppers, *estimates)}
    if "failed" in states:
        return Absent("stored as failed: it crashed, or its result was wrong")
    ends = [point.value for point in uppers if point.value is not None]
    middles = [point for point in estimates if point.value is not None]
    if not ends or not middles:
        return Absent("an end of its interval is not in the history")
    worst = max(middles, key=lambda point: point.value or 0.0)
    middle, high = worst.value or 0.0, max(ends)
    low = middle * middle / high if middle > 0 and high > 0 else 2 * middle - high
    return naming.from_stored(stored, low, middle, high, max(worst.launches, LEAST_LAUNCHES))


def _row(item: Planned, stored: Stored, targets: Sequence[Target], slower: Sequence[Step], installed: Installed | None) -> Row:
    line = metrics.key(item)
    values, failing = stored.values.get(line, {}), stored.failing.get(line)
    missing = line not in stored.values
    ran = Answer("run", "pass")
    if missing:
        message = f"commit {stored.commit[:8]} has no results of it (unavailable then, or renamed since): measure it"
        ran = Answer("run", "inconclusive", message)
    other = installed.other_contract(item.component, stored.contracts.get(line, ())) if installed else ""
    if other:
        ran = Answer("run", "invalid", f"commit {stored.commit[:8]}: {other}; measure again with `harness run {item.component} --record`")
    same = Answer("parity", "pass")
    if failing is None:
        same = Answer("parity", "inconclusive", "no parity is stored beside its times: they are not judged")
    elif failing:
        same = Answer("parity", "fail", f"{failing:g} outputs were wrong, or the run failed, at commit {stored.commit[:8]}")
    answers = []
    for target in targets:
        if applies(target, item):
            wrong = same.state != "pass" and metrics.about(target.metric).time and item.role != "peer"
            value = values.get(target.metric, Absent("it is not in the history"))
            why = "it is not what is installed now" if other else "parity did not pass" if wrong else ""
            answers.append(answer_target(target, value, unjudged=why))
    launches = max((value.n for value in values.values() if isinstance(value, Interval)), default=0)
    # A peer or the reference that changes is no regression of ours.
    regressed = [_regression(step) for step in slower if item.role == "optimized"]
    return Row(item, (ran, same, *(answers or [Answer("target", "no target")]), *regressed), values, launches=launches, missing=missing)


def _regression(step: Step) -> Answer:
    since = "its newest point alone" if step.points == 1 else f"{step.points} points"
    where = f"at {step.commit[:8]} (after {step.previous_commit[:8]}; {since}, p {step.p:.2g})"
    message = f"{step.key.metric} over the reference's rose by {step.change:.1%} {where}: see what that commit changed"
    return Answer("regression", "fail", message, step.key.metric)
