"""One measurement at a time: two on one machine would each time the other's work."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator

from harness.files import data_folder
from harness.settings import ConfigurationError

NAME = "measuring.lock"


class Busy(ConfigurationError):
    """Another process of this user measures on this machine."""


@contextlib.contextmanager
def measuring(*, wait: bool = False, tell: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Measure alone. Busy names who else measures; with `wait`, `tell` is told that and the other's end is awaited.

    The system holds the lock for the open file: it goes with the process, however that ends, and no worker inherits it. Where
    the user's data folder cannot be written there is no lock, and `tell` is told so.
    """
    import fcntl  # not on Windows, where nothing is measured

    path = data_folder() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (closed below: what fails here is not what fails inside)
    except OSError as error:
        tell(f"{path}: {error.strerror}: nothing keeps a second run from measuring beside this one")
        yield
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = _who(file.read(4096))
            if not wait:
                raise Busy(f"{holder} measures on this machine; wait for its end (`--wait` does), or end it") from None
            tell(f"waiting for {holder}, which measures on this machine")
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # a full disk: the lock holds, only its note is missing
            file.truncate(0)
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            file.write(json.dumps({"pid": os.getpid(), "command": shlex.join(sys.argv)[:500], "since": now}))
            file.flush()
        yield


def _who(note: str) -> str:
    """The holder in words; its note may be unfinished, or another version's."""
    try:
        found = json.loads(note)
        return f"process {int(found['pid'])} ({found['command']}, since {found['since']})"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another process"
