"""`harness judge --history`: what of a history is judged, for which commit, and what its trends say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import history, project, registry
from harness.context import Context, installed_of
from harness.history import Key, Trend
from harness.record import Plan
from harness.settings import ConfigurationError
from harness.verdict import Problem, Verdicts


@dataclass(frozen=True)
class Selection:
    """What should be there, and the patterns that chose it (none: everything); `note` where nobody typed them."""

    plan: Plan
    patterns: tuple[str, ...]
    note: str = ""

    def holds(self, key: Key) -> bool:
        """Whether a stored series is about what was chosen; the reference of each component comes along."""
        row = (key.component, re.split(r"[ \[]", key.implementation, maxsplit=1)[0])
        planned = {(item.component, item.implementation) for item in self.plan.planned}
        return not self.patterns or row in planned or registry.matches(self.patterns, *row)


@dataclass(frozen=True)
class Judged:
    """The verdicts over a history, and the trends that lead to them."""

    verdicts: Verdicts
    trends: tuple[Trend, ...]


def selection(context: Context, patterns: Sequence[str]) -> Selection:
    """What the patterns choose; without any, what the distribution of the current folder registers, else everything."""
    name = project.name(project.find())
    own = () if patterns else context.registry.registered_by(name)
    chosen = tuple(patterns) or own
    return Selection(context.plan(chosen), chosen, f"judged is what {name} registers; patterns choose something else" if own else "")


def others(folder: Path, wanted: str | None, here: str) -> list[str]:
    """The other machines whose trends are wanted: a name, or `all`."""
    known = history.machines(folder)
    if wanted not in (None, "all", here, *known):
        raise ConfigurationError(f"--machine: no machine {wanted!r} in {folder}; known: all, {', '.join(known) or 'no one'}")
    return [name for name in known if name != here and wanted in ("all", name)]


def trends_of(folder: Path, machine: str, what: Selection, commit: str | None) -> list[Trend]:
    """The trends of a machine up to a commit (default: HEAD)."""
    points = [point for point in history.read(folder, machine) if what.holds(point.key)]
    points = history.leading_to(points, history.checkout(folder), commit or "HEAD")
    return history.trends(points, history.steps(points))


def judge(context: Context, folder: Path, what: Selection, commit: str | None) -> Judged:
    """The verdicts over what this machine's history holds of a commit (default: the newest that led to HEAD).

    Less than planned was measured where HEAD never was, unless `commit` says which one is meant.
    """
    repository = history.checkout(folder)
    stored = history.points_for_judging(folder, context.machine, commit, repository=repository, wanted=what.holds)
    steps = history.steps(stored.points)
    targets, installed = context.targets(what.plan), installed_of(context.registry)
    verdicts = history.judge_stored(what.plan, stored, targets, context.profile.lineage, steps=steps, installed=installed)
    stands = history.standing(stored.commit, repository, [folder])
    stale = [Problem("missing", stands.problem)] if stands.problem and commit is None else []
    notes = (stands.words, *([what.note] if what.note else []), *verdicts.notes)
    found = replace(verdicts, problems=(*stale, *verdicts.problems), notes=notes)
    return Judged(found, tuple(history.trends(stored.points, steps)))
