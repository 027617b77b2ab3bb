"""What every command prints with: the console, progress of long work, and plain pairs of label and value."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.text import clean


class _Console(Console):
    """A console whose reader may leave (`| head`): the command goes on, and its reports are still written."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


LINE = "\n"


class Progress(Protocol):
    """Says what is being done now, and which share of the whole is done (0 to 1, None where unknown)."""

    def __call__(self, note: str, share: float | None = None) -> None: ...


LINE_SECONDS = 10.0
"""Without a terminal (CI logs) progress is a line now and then."""


def console(width: int | None = None) -> Console:
    """The console on standard output. A log file or pipe has no width of its own: it gets one that the table fits in."""
    probe = _Console(width=width, highlight=False)
    return probe if probe.is_terminal or width else _Console(width=140, highlight=False)


def say(message: str) -> None:
    """A line on standard error, whatever the text is made of."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"harness: {clean(message, keep=LINE)}\n")


def quote(line: str) -> None:
    """A line of another program's output, on standard error."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"    {clean(line)}\n")


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Show progress of long work on standard error: call it with a note and the share done (0 to 1, None where unknown)."""
    error = _Console(stderr=True, highlight=False)
    started = last = time.monotonic()

    def line(note: str, share: float | None) -> str:
        done = "" if share is None else f" {share:4.0%}"
        return f"{what}{done}  {time.monotonic() - started:3.0f} s  {clean(note)}"

    if error.is_terminal:
        with error.status(what) as status:

            def at_once(note: str, share: float | None = None) -> None:
                status.update(Text(line(note, share)))

            yield at_once
        return

    def now_and_then(note: str, share: float | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS or share == 1:
            last = time.monotonic()
            error.print(Text(line(note, share)))

    yield now_and_then


def render_pairs(pairs: Iterable[tuple[str, str]], console: Console) -> None:
    """Print labels and values in two columns."""
    table = Table.grid(padding=(0, 2))
    for label, value in pairs:
        table.add_row(Text(clean(label)), Text(clean(value), overflow="fold"))  # a path is of no use without its end
    console.print(table)
