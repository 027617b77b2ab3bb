"""Which commit a file belongs to."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

HISTORY = "baselines"
"""Writing the history of a commit does not make that commit's code dirty."""


@dataclass(frozen=True)
class Commit:
    """`name` is empty where the file is not tracked by git (an installed wheel, a new file); then it counts as dirty."""

    name: str = ""
    date_ms: int | None = None
    dirty: bool = True


@functools.lru_cache(maxsize=64)
def commit_of(file: str) -> Commit:
    """The commit of the checkout that tracks `file`, and whether anything tracked there, the history aside, differs from it."""
    folder = Path(file).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", Path(file).name)
        name, date = _git(folder, "show", "-s", "--format=%H %ct", "HEAD").split()
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/", f":(top,exclude){HISTORY}")
        return Commit(name, int(date) * 1000, bool(changed))
    except (OSError, ValueError, subprocess.SubprocessError):
        return Commit()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
