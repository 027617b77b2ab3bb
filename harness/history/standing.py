"""How a measured commit stands to what is checked out: what was measured is seldom what is there now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.history.files import git
from harness.history.points import Point


@dataclass(frozen=True)
class Standing:
    """The judged commit, seen from HEAD.

    head: "" where no git repository is around. behind: how many commits of HEAD the judged one lacks, None where git does not
    know it. same: it is the code of HEAD, files of the history aside. changed: the checkout differs from HEAD.
    """

    judged: str
    head: str = ""
    behind: int | None = None
    same: bool = False
    changed: bool = False

    @property
    def problem(self) -> str:
        """Why a verdict over the judged commit says nothing about HEAD; empty where it does, and where there is no HEAD."""
        if not self.head or self.same:
            return ""
        where = "which this clone does not know (is it shallow?)"
        if self.behind is not None:
            where = f"{self.behind} commit{'' if self.behind == 1 else 's'} behind it" if self.behind else "which is not part of it"
        return (
            f"HEAD ({self.head[:8]}) was never measured: what is judged is {self.judged[:8]}, {where}; measure with "
            f"`harness run --record`, or judge that one on purpose with --commit {self.judged[:8]}"
        )

    @property
    def words(self) -> str:
        """Which commit is judged, in one sentence."""
        if not self.head:
            return f"judged is commit {self.judged[:8]}; no git repository here says whether it is the newest"
        named = "HEAD"
        if self.judged != self.head:
            named = f"{'the code of' if self.same else 'not'} HEAD ({self.head[:8]})"
        changed = "; what is changed and not committed was never measured" if self.changed else ""
        return f"judged is commit {self.judged[:8]}, {named}{changed}"


def checkout(results_dir: Path) -> Path:
    """The repository whose HEAD a history is judged for: around the current folder, else around the history."""
    return Path.cwd() if git(Path.cwd(), "rev-parse", "--verify", "--quiet", "HEAD") else results_dir


def leading_to(points: Sequence[Point], folder: Path, tip: str = "HEAD") -> list[Point]:
    """The points of `tip` and of what it grew from: what the repository knows to lie elsewhere is left out.

    All of them where nothing would be left; a commit that git does not know (a shallow clone) stays.
    """
    line = set(git(folder, "rev-list", "--end-of-options", tip, "--").split())
    elsewhere = set(git(folder, "rev-list", "--all", "--").split()) - line if line else set()
    return [point for point in points if point.commit not in elsewhere] or list(points)


def standing(judged: str, folder: Path, histories: Iterable[Path] = ()) -> Standing:
    """How `judged` stands to HEAD of the repository around `folder`. histories: folders whose files are no code."""
    head = git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not head:
        return Standing(judged)
    top = Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    inside = [path.resolve().relative_to(top).as_posix() for path in histories if path.resolve().is_relative_to(top)]
    code = ["--", ":/", *(f":(top,exclude){path}" for path in inside if path != ".")]
    changed = bool(git(folder, "status", "--porcelain", "--untracked-files=no", *code))
    if not git(folder, "rev-parse", "--verify", "--quiet", f"{judged}^{{commit}}"):
        return Standing(judged, head, changed=changed)
    behind = int(git(folder, "rev-list", "--count", f"{judged}..{head}", "--") or 0)
    return Standing(judged, head, behind, not git(folder, "diff", "--name-only", judged, head, *code), changed)
