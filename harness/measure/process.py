"""The parent's side of a worker: start it, ask it, survive it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil

from harness import wire
from harness.record import Outcome, OutcomeKind
from harness.settings import ConfigurationError
from harness.watchdog import WATCHDOG

PRINTED_BYTES = 64 << 10
PATIENCE_SECONDS = 120.0
WAKE_SECONDS = 0.05

Tick = Callable[[int], None]
"""Called with the process id, many times while an answer is awaited."""


class WorkerFailed(Exception):
    """The worker did not answer as it should; `outcome` says how it ended."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.kind}: {outcome.message}")
        self.outcome = outcome


class WorkerProcess:
    """A worker process. It runs only while it is asked something: in between it is stopped, so that what a plugin left
    running (spinning threads, unfinished work) disturbs nobody else and is paid in its own next call.
    """

    def __init__(
        self, name: str, environment: Mapping[str, str], *, paths: Sequence[str] | None = None, python: str | None = None
    ) -> None:
        """paths: of its modules (PYTHONPATH), None for the harness's own. python: its interpreter, None for the harness's own;
        one of its own gets none of the caller's PYTHON* variables.
        """
        if sys.platform == "win32":
            raise ConfigurationError("measuring needs Linux or macOS: on Windows run it inside WSL")
        self.name = name
        self._printed = bytearray()
        self._stopped = self._closed = self._busy = False
        self._waiting = ""
        paths = [os.path.abspath(path) for path in sys.path] if paths is None else paths
        child_in, self._write = _pipe()
        self._read, child_out = _pipe()
        self._output, child_printed = _pipe()
        inherited = os.environ if python is None else without_python()
        command = [python or sys.executable, "-P", "-m", "harness.worker", str(child_in), str(child_out), str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=(child_in, child_out),
                stdin=subprocess.DEVNULL,
                stdout=child_printed,
                stderr=child_printed,
                start_new_session=True,
                env={**inherited, **environment, **WATCHDOG.mark(), "PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": "1"},
            )
        finally:
            for descriptor in (child_in, child_out, child_printed):
                os.close(descriptor)
        for descriptor in (self._read, self._output, self._write):
            os.set_blocking(descriptor, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._read, selectors.EVENT_READ)
        self._selector.register(self._output, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def printed(self) -> str:
        """The last of what the plugin printed."""
        return self._printed.decode(errors="replace")

    def ask(
        self, command: str, patience: float = PATIENCE_SECONDS, tick: Tick | None = None, *, stay: bool = False, **arguments: Any
    ) -> dict[str, Any]:
        """The answer to a command; WorkerFailed when it raised, crashed, ran out of memory or took longer than `patience` seconds.

        stay: do not stop the process after it, for the next command follows at once.
        """
        self.tell(command, patience, **arguments)
        return self.answer(patience, tick, stay=stay)

    def tell(self, command: str, patience: float = PATIENCE_SECONDS, **arguments: Any) -> None:
        """Send a command without waiting for its answer."""
        self._waiting, self._busy = command, True
        self._resume()
        deadline = time.monotonic() + patience
        for buffer in wire.pack({"command": command, **arguments}):
            rest = buffer
            while rest:
                try:
                    rest = rest[os.write(self._write, rest) :]
                except BlockingIOError:
                    self._selector.register(self._write, selectors.EVENT_WRITE)
                    try:
                        self._wait(deadline, patience)
                    finally:
                        if not self._closed:
                            self._selector.unregister(self._write)
                except BrokenPipeError:
                    raise self._gone() from None

    def answer(self, patience: float = PATIENCE_SECONDS, tick: Tick | None = None, *, stay: bool = False) -> dict[str, Any]:
        """The answer to the last command."""
        deadline = time.monotonic() + patience
        try:
            reply = wire.unpack(lambda view: self._fill(view, deadline, patience, tick))
        except (wire.WireError, MemoryError) as error:
            self.kill()
            raise self._failed("crashed", f"{self._doing()} broke the protocol of its worker: {error}") from None
        self._busy = False
        if not stay or "failed" in reply:
            self._pause()
        if "failed" in reply:
            raise self._failed(reply["failed"], f"{self._doing()}: {reply['message']}")
        return reply

    def close(self, patience: float = 10.0) -> str:
        """Leave the load() context, then end the process and all that it started. Returns what went wrong in that, or ""."""
        problem = ""
        if not self._closed and not self._busy and self._process.poll() is None:
            try:
                self.ask("close", patience)
            except WorkerFailed as failure:
                problem = failure.outcome.message
        self.kill()
        return problem

    def kill(self) -> None:
        """End the process and its descendants at once."""
        if self._closed:
            return
        self._closed = True
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(self.pid).children(recursive=True)
        # The group also reaches children whose parent, the worker, has gone; the list those that left the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        self._process.wait()
        self._drain()
        self._selector.close()
        for descriptor in (self._read, self._write, self._output):
            os.close(descriptor)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, view: memoryview, deadline: float, patience: float, tick: Tick | None) -> None:
        ended = False
        while view:
            try:
                count = os.readv(self._read, [view])
            except BlockingIOError:
                if ended:  # and yet no end of file: a child of the worker holds the pipe
                    raise self._gone() from None
                ended = self._process.poll() is not None
                self._wait(deadline, patience, tick)
                continue
            if count == 0:
                raise self._gone()
            view = view[count:]

    def _wait(self, deadline: float, patience: float, tick: Tick | None = None) -> None:
        rest = deadline - time.monotonic()
        if rest <= 0:
            printed = self.printed.strip()[-500:]
            self.kill()
            tail = f"; last printed: {printed}" if printed else ""
            raise self._failed("hung", f"{self._doing()} did not return within {patience:g} s and was killed{tail}")
        if tick is not None:
            tick(self.pid)
        for key, _ in self._selector.select(min(rest, 0.001 if tick else WAKE_SECONDS)):
            if key.fd == self._output and not self._drain():
                self._selector.unregister(self._output)

    def _drain(self) -> bool:
        """Take what was printed, keep its end; False at the end of the output."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                part = os.read(self._output, 1 << 16)
                if not part:
                    return False
                self._printed += part
                del self._printed[:-PRINTED_BYTES]
        return True

    def _gone(self) -> WorkerFailed:
        """The failure of a worker that ended by itself."""
        try:
            code = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._failed("crashed", f"{self._doing()} closed the channel to the harness")
        self.kill()
        printed = self.printed.strip()
        tail = f"; printed: {printed[-2000:]}" if printed else ""
        if code == -signal.SIGKILL:
            how = "was killed by SIGKILL, usually the system's answer to lack of memory"
            return self._failed("out of memory", f"{self._doing()} {how}{tail}")
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended its process with exit code {code}"
        return self._failed("crashed", f"{self._doing()} {how}{tail}")

    def _failed(self, kind: OutcomeKind, message: str) -> WorkerFailed:
        return WorkerFailed(Outcome(kind, message))

    def _doing(self) -> str:
        return f"{self.name}: {_PLACES.get(self._waiting, self._waiting)}"

    def _pause(self) -> None:
        # Elsewhere than on Linux a stopped worker could outlive a killed harness.
        if sys.platform == "linux":
            self._signal(signal.SIGSTOP)
            self._stopped = True

    def _resume(self) -> None:
        if self._stopped:
            self._stopped = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are numbered above the standard streams.

    In a process that has none of those it would get their numbers, and the worker, which is given new streams, none of the pipes.
    """
    from fcntl import F_DUPFD_CLOEXEC, fcntl

    ends = os.pipe()
    if min(ends) > 2:
        return ends
    read, write = (fcntl(end, F_DUPFD_CLOEXEC, 3) for end in ends)
    for end in ends:
        os.close(end)
    return read, write


def without_python() -> dict[str, str]:
    """The caller's variables but those that tell an interpreter where its modules are, and how to run."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def pins(threads: int | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that pin a worker: threads of every BLAS and OpenMP (all usable CPUs where nothing is asked), hash seed."""
    count = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    pools = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
    pinned = {f"{pool}_NUM_THREADS": str(count) for pool in pools}
    return {**pinned, "VECLIB_MAXIMUM_THREADS": str(count), "PYTHONHASHSEED": "0", **environment}


_PLACES = {
    "prepare": "making its inputs",
    "load": "load()",
    "cold": "the first call",
    "outputs": "a call",
    "settle": "a call",
    "block": "a timed call",
    "calls": "a timed call",
    "first_chunks": "a timed call",
    "fresh": "a call on fresh inputs",
    "run": "a call",
    "close": "leaving load()",
}
