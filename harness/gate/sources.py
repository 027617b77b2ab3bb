"""The distribution that is gated, and its files at a commit or in the working tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import project
from harness.measure.commit import HISTORY
from harness.settings import ConfigurationError

HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
"""Set inside a git hook: they would point git at another tree than the one that is asked about."""


@dataclass(frozen=True)
class Distribution:
    """A distribution in a git repository. root: the folder of its pyproject.toml. top: that of the repository."""

    name: str
    root: Path
    top: Path


@dataclass(frozen=True)
class Source:
    """Files to build from: those of `commit`, or, where `dirty`, those of the working tree on it.

    identity: equal for equal files. pyproject: its text, "" where there is none. notes: what a build from it leaves out.
    """

    commit: str
    dirty: bool
    identity: str
    pyproject: str
    notes: tuple[str, ...] = ()


def project_distribution(start: Path | None = None) -> Distribution:
    """The distribution whose pyproject.toml is in the current folder, or the nearest above; ConfigurationError where there is none."""
    path = project.find(start)
    if path is None:
        raise ConfigurationError(f"{start or Path.cwd()}: expected a pyproject.toml here or above, found none; run where it is")
    described = project.read_toml(path).get("project")
    name = described.get("name") if isinstance(described, dict) else None
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{path}: expected the name of the distribution in [project], found {name!r}")
    root = path.parent.resolve()
    return Distribution(name, root, Path(git(root, "rev-parse", "--show-toplevel").rstrip("\n")).resolve())


def at(distribution: Distribution, ref: str) -> Source:
    """The files of a commit; ConfigurationError where `ref` names none."""
    top = distribution.top
    try:
        commit = git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except ConfigurationError:
        hint = "a shallow clone holds none but its own: fetch more" if (_git_folder(top) / "shallow").exists() else "see git log"
        raise ConfigurationError(f"{ref!r}: expected a commit of {top}, found none ({hint})") from None
    path = (distribution.root / "pyproject.toml").relative_to(distribution.top).as_posix()
    found = git(top, "ls-tree", "-z", "--name-only", commit, "--", path)
    pyproject = git(top, "show", f"{commit}:{path}") if found else ""
    modes = git(top, "ls-tree", "-r", "-z", commit).split("\0")
    return Source(commit, False, commit, pyproject, _left_out(top, commit, [line.partition("\t")[::2] for line in modes if line]))


def working_tree(distribution: Distribution) -> Source:
    """The files of the working tree that git tracks or does not ignore; those of its commit where they are the same."""
    top = distribution.top
    head = at(distribution, "HEAD")
    if not git(top, "status", "--porcelain", "--untracked-files=all", "--", ":/", f":(top,exclude){HISTORY}"):
        return head
    path = distribution.root / "pyproject.toml"
    pyproject = path.read_text(encoding="utf-8") if path.is_file() else ""
    return Source(head.commit, True, _content(top, _files(top)), pyproject, head.notes)


def unpack(distribution: Distribution, source: Source, folder: Path) -> Path:
    """Write the files of a source into `folder`, which must be absent; the place of pyproject.toml's folder in it."""
    if source.dirty:
        files = _files(distribution.top)
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(distribution.top / name, folder / name, follow_symlinks=False)
        if _content(folder, files) != source.identity:
            raise ConfigurationError(f"{distribution.top}: files changed while they were copied; run it again")
    else:
        # Through an index of its own, not `git archive`: that leaves out what export-ignore names.
        index = folder.with_name(f"{folder.name}.index")
        git(distribution.top, "read-tree", source.commit, index=index)
        git(distribution.top, "checkout-index", "--all", f"--prefix={folder}/", index=index)
        index.unlink()
    return folder / distribution.root.relative_to(distribution.top)


def _files(top: Path) -> list[str]:
    listed = git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return sorted(name for name in set(listed) if name and os.path.lexists(top / name) and not _is_folder(top / name))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()  # a submodule, or a repository inside this one


def _content(top: Path, files: list[str]) -> str:
    """Digest of names, kinds and bytes."""
    digest = hashlib.sha256()
    for name in files:
        path = top / name
        mode = path.lstat().st_mode
        link = stat.S_ISLNK(mode)
        body = os.fsencode(os.readlink(path)) if link else path.read_bytes()
        kind = "link" if link else "program" if mode & stat.S_IXUSR else "file"
        digest.update(f"{kind} {len(body)} ".encode() + os.fsencode(name) + b"\0" + body)
    return digest.hexdigest()


def _left_out(top: Path, commit: str, listed: list[tuple[str, str]]) -> tuple[str, ...]:
    """What git keeps elsewhere. listed: (mode and object, path)."""
    notes = []
    modules = [path for about, path in listed if about.startswith("160000")]
    if modules:
        notes.append(f"submodules are left out of the build: {', '.join(modules)}")
    attributes = [path for _, path in listed if path.rpartition("/")[2] == ".gitattributes"]
    if any("filter=lfs" in git(top, "show", f"{commit}:{path}") for path in attributes):
        notes.append("files kept by git LFS are built as this git checks them out, in base perhaps as pointers")
    return tuple(notes)


def _git_folder(top: Path) -> Path:
    return top / git(top, "rev-parse", "--git-common-dir").strip()


def git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    """What git says in a folder, whatever repository a hook's variables name; ConfigurationError where it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True, env=environment, timeout=600)
    except FileNotFoundError:
        raise ConfigurationError("git: not found; the gate needs it to read base") from None
    except subprocess.CalledProcessError as error:
        said = os.fsdecode(error.stderr).strip() or f"exit code {error.returncode}"
        raise ConfigurationError(f"{folder}: git {arguments[0]} failed: {said}") from None
    return os.fsdecode(done.stdout)
