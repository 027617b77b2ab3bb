"""The child process that runs one implementation: `python -m harness.worker <in fd> <out fd> <parent pid>`.

It answers the commands of a Runner on its own pipe; what a plugin prints goes elsewhere and cannot disturb them.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from harness import wire
from harness.runner import MESSAGE_CHARACTERS, Runner
from harness.watchdog import die_with


def _read_into(descriptor: int, view: memoryview) -> None:
    while view:
        count = os.readv(descriptor, [view])
        if count == 0:
            os._exit(0)  # the harness has gone
        view = view[count:]


def _write(descriptor: int, message: Mapping[str, Any]) -> None:
    for buffer in wire.pack(message):
        rest = buffer
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def main(arguments: list[str]) -> None:
    """Answer commands until the harness ends this process, or has gone."""
    incoming, outgoing, parent = map(int, arguments)
    die_with(parent)
    for descriptor in (incoming, outgoing):
        os.set_inheritable(descriptor, False)
    runner = Runner()
    while True:
        request = wire.unpack(lambda view: _read_into(incoming, view))
        command = request.pop("command")
        try:
            answer = getattr(runner, command)(**request)
        except MemoryError as error:
            answer = {"failed": "out of memory", "message": f"MemoryError: {error}"}
        except BaseException as error:  # a plugin may raise SystemExit or KeyboardInterrupt: its own failure, not the end
            answer = {"failed": "raised", "message": _story(error)}
        _write(outgoing, answer)


def _story(error: BaseException) -> str:
    """The error first, then the end of its traceback."""
    lines = traceback.format_exception(error)
    text = f"{type(error).__name__}: {error}"[:1000]
    return text + "\n" + "".join(lines)[-(MESSAGE_CHARACTERS - len(text)) :]


if __name__ == "__main__":
    main(sys.argv[1:])
