"""memray: what load() and the first call hold at the moment when they hold most, by stack."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from harness.profiling.stacks import CALLS, INSIDE, LOADING, Frame, Profile, Stack


def missing() -> str:
    """Why there is no memory profile here, or ""."""
    if importlib.util.find_spec("memray") is None:
        return "memray is not installed: python -m pip install \"audio-perf-harness[explain]\" (Linux and macOS)"
    return ""


def read(file: Path, name: str, folders: Iterable[str], *, own: str = "") -> Profile:
    """The high-water mark of a file that memray wrote in the worker: bytes by stack, without those of the harness.

    folders: where modules were found; files are named relative to them. own: as of any Profile.
    """
    import memray

    known = sorted({str(Path(folder)) for folder in folders if folder}, key=len, reverse=True)
    found: dict[Stack, float] = {}
    with memray.FileReader(str(file)) as reader:
        for record in reader.get_high_watermark_allocation_records(merge_threads=True):
            inner_first = record.stack_trace()
            stack = [Frame(function, _short(path, known), line) for function, path, line in reversed(inner_first)]
            below = [n for n, one in enumerate(stack) if one.name in (CALLS, LOADING) and one.file.endswith(INSIDE)]
            rest = stack[below[-1] + 1 :] if below else []
            while rest and rest[0].file.endswith("contextlib.py"):  # enters load()
                del rest[0]
            if rest:
                found[tuple(rest)] = found.get(tuple(rest), 0.0) + record.size
    return Profile(name, found, sum(found.values()), 0, own)


def _short(path: str, folders: Iterable[str]) -> str:
    for folder in folders:
        if path.startswith(f"{folder}/"):
            return path[len(folder) + 1 :]
    return path
