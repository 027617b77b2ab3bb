"""Nothing that a measurement started outlives the harness, however the harness ends.

A worker dies with it (`die_with`). What a plugin forked is another matter: the system tells it nothing, and it may have left
its group and its parents. So a worker carries a mark in its environment, which its descendants inherit, and a process of its
own, the watchdog, waits on a pipe that the harness alone holds: once that is closed it kills whatever bears the mark (Linux).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

NAME = "HARNESS_WORKER_OF"
MOST_SWEEPS, SWEEP_SECONDS = 500, 0.01
END_SECONDS = 5.0


def die_with(parent: int) -> None:
    """End this process when its parent, of that number, ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    else:
        threading.Thread(target=_watch_parent, args=(parent, os.getppid, time.sleep), daemon=True).start()
    if os.getppid() != parent:
        _end()


def _watch_parent(parent: int, getppid: Any, sleep: Any) -> None:
    while getppid() == parent:
        sleep(1)
    _end()


def _end() -> None:
    """End this process, and the group that it leads (a worker does)."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


class Watchdog:
    """The watchdog of this process; it runs from the first worker on, and leaves when this process ends."""

    def __init__(self) -> None:
        self._mark = os.urandom(8).hex()
        self._process: subprocess.Popen[bytes] | None = None
        self._of = os.getpid()

    def mark(self) -> dict[str, str]:
        """What the environment of each worker must hold; nothing where the system does not show a process's environment."""
        if sys.platform != "linux":
            return {}
        if self._of != os.getpid():  # forked since: that pipe is the parent's
            self._mark, self._process, self._of = os.urandom(8).hex(), None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={},
            )
            atexit.register(self.end)
        return {NAME: self._mark}

    def end(self) -> None:
        """Have everything swept up that bears the mark."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and self._of == os.getpid():
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)


WATCHDOG = Watchdog()


def sweep(mark: str) -> None:
    """Kill what bears the mark, until nothing does: what is killed may just have forked."""
    for _ in range(MOST_SWEEPS):
        found = _marked(f"{NAME}={mark}".encode())
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(SWEEP_SECONDS)


def _marked(mark: bytes) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has gone, or belongs to somebody else
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


if __name__ == "__main__":
    while os.read(0, 1):  # nothing is ever sent: this waits for the end of the harness
        pass
    sweep(sys.argv[1])
