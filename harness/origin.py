"""Whose code computes: what an implementation says it needs and never imports, and other implementations that it calls."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.component import Implementation


def attribute(value: str) -> Any:
    """The object of an entry point's value, `package.module:NAME`, imported."""
    module, _, name = value.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def unused(names: Sequence[str]) -> list[str]:
    """Of these modules those that were not imported in this process."""
    return [name for name in names if name not in sys.modules]


def native_hash(module: str) -> str:
    """The hash of the sources a native module was built from, or "" where it carries none."""
    try:
        return str(getattr(importlib.import_module(module), "SOURCE_HASH", ""))
    except ImportError:
        return ""


def files(package: str) -> list[str]:
    """Real paths of the files behind the modules of a top-level package that are loaded now."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == package]
    return sorted({os.path.realpath(file) for module in modules if (file := getattr(module, "__file__", None))})


def borrowed(call: Callable[[], object], own: Implementation, others: Sequence[str]) -> str:
    """The first of the other implementations (`package.module:NAME`) whose own code runs inside `call`, or "".

    Own code is what is written inside its load(); helpers at module level may be shared.
    """
    mine = {id(code) for code in _code(own)}
    owners = {id(code): other for other in others for code in _code(_loaded(other)) if id(code) not in mine}
    found: list[str] = []

    def look(frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call" and id(frame.f_code) in owners:
            found.append(owners[id(frame.f_code)])

    if not owners:
        return ""
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found[0] if found else ""


def _loaded(value: str) -> Implementation | None:
    """The implementation of that entry point if its module is imported: else it cannot have run."""
    module, _, name = value.partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, Implementation) else None


def _code(implementation: Implementation | None) -> Iterator[types.CodeType]:
    """The code of its load() and all functions written inside."""
    code = getattr(inspect.unwrap(implementation.load), "__code__", None) if implementation is not None else None
    waiting = [code] if code is not None else []
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
