"""Built sides on disk: one folder each, whole or absent, the least recently used removed beyond a bound."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_BYTES = 2 << 30
ABANDONED_SECONDS = 3600.0
FACTS = "side.json"

_in_use: dict[Path, int] = {}
"""Folders this process uses, held open under a shared lock: no other process removes them."""


def take(cache: Path, key: str) -> dict[str, Any] | None:
    """The facts about an entry, from now on kept for this process; None where it is absent or not as it was left."""
    entry = cache / key
    if not entry.is_dir():
        return None
    try:
        if entry not in _in_use:
            _in_use[entry] = _lock(entry, shared=True)
    except (FileNotFoundError, BlockingIOError):  # on its way out
        return None
    try:
        facts: dict[str, Any] = json.loads((entry / FACTS).read_text(encoding="utf-8"))
        if facts["files"] != _digests(entry, facts["files"]):
            raise ValueError(f"{entry}: damaged")
        os.utime(entry / FACTS)
    except (OSError, ValueError, KeyError, TypeError):
        _remove(entry)
        return None
    return facts


@contextlib.contextmanager
def workshop(cache: Path) -> Iterator[Path]:
    """A folder to build in, beside the entries and with a path as long as theirs; gone afterwards."""
    folder = cache / f"t{uuid.uuid4().hex[:15]}"
    folder.mkdir(parents=True)
    descriptor = _lock(folder, shared=True)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def keep(cache: Path, key: str, built: Path, facts: dict[str, Any]) -> None:
    """Make a finished folder the entry of that key, unless another process was first; then bound the cache."""
    files = _digests(built)
    size = sum(path.lstat().st_size for path in built.rglob("*"))
    (built / FACTS).write_text(json.dumps({**facts, "files": files, "bytes": size}), encoding="utf-8")
    try:
        os.rename(built, cache / key)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    _bound(cache, but=key)


def _digests(entry: Path, expected: dict[str, str] | None = None) -> dict[str, str]:
    """SHA-256 of each file, target of each link. Compiled modules beyond the expected ones come and go as Python likes."""
    found = {}
    for folder, folders, files in os.walk(entry):
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(folder, name)))]:
            path = os.path.join(folder, name)
            known = os.path.relpath(path, entry)
            if known == FACTS or (expected is not None and known not in expected and os.path.basename(folder) == "__pycache__"):
                continue
            if os.path.islink(path):
                found[known] = f"link to {os.readlink(path)}"
            else:
                with open(path, "rb") as file:
                    found[known] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _bound(cache: Path, *, but: str) -> None:
    """Remove what no process uses: workshops of killed processes, and the entries used longest ago beyond MOST_BYTES."""
    entries = []
    for path in cache.iterdir():
        if re.fullmatch(r"t[0-9a-f]{15}", path.name) and time.time() - _used(path) > ABANDONED_SECONDS:
            _remove_unused(path)
        elif re.fullmatch(r"[0-9a-f]{16}", path.name) and path.name != but:
            entries.append(path)
    total = _bytes(cache / but)
    for path in sorted(entries, key=lambda path: _used(path / FACTS), reverse=True):
        total += _bytes(path)
        if total > MOST_BYTES:
            _remove_unused(path)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _bytes(entry: Path) -> int:
    try:
        return int(json.loads((entry / FACTS).read_text(encoding="utf-8"))["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _remove_unused(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = _lock(path, shared=False)
        try:
            _remove(path)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> None:
    """Out of the way at once, then deleted."""
    if (descriptor := _in_use.pop(path, None)) is not None:
        os.close(descriptor)
    aside = path.with_name(f"t{uuid.uuid4().hex[:15]}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _lock(folder: Path, *, shared: bool) -> int:
    """The folder, open and locked until it is closed or the process ends; BlockingIOError where another holds it otherwise."""
    import fcntl  # absent on Windows, where nothing is measured

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
