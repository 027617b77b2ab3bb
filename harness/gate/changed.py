"""Which rows run the very code of base: every file that they can reach is the same, byte for byte.

What a module can reach are the modules of its distribution that it imports, at any depth and at any time, and what lies beside
those that is not Python: native builds (they are reproducible), weights, tables, targets. A string that spells the name of a module
counts as an import of it. Of a package that is only on the way to a module, what it imports when it is imported itself.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.gate.sides import Side
from harness.record import Planned


def same_code(row: Planned, head: Side, base: Side) -> bool:
    """Whether a row of head, the component that it answers to and that component's reference are base's own."""
    mine, before = _reached(row, head), _reached(row, base)
    return bool(mine) and mine == before


def _reached(row: Planned, side: Side) -> dict[str, bytes]:
    """The files by their path in the side, with their digests; none where the side lacks the row, or has it from elsewhere."""
    names = {f"{row.component}.{row.implementation}", row.component}
    if not names <= side.entries.keys():
        return {}
    names |= {name for name, entry in side.entries.items() if entry.role == "reference" and name.partition(".")[0] == row.component}
    modules = frozenset(side.entries[name].value.partition(":")[0] for name in names)
    return _files(side.folder, modules) if modules <= _known(side.folder).keys() else {}


@functools.lru_cache
def _files(root: Path, entries: frozenset[str]) -> dict[str, bytes]:
    modules: dict[str, Path] = {}
    done: set[tuple[str, bool]] = set()
    waiting = {(name, True) for name in entries}
    while waiting:
        name, whole = one = waiting.pop()
        done.add(one)
        if file := _known(root).get(name):
            modules[name] = file
            names = _imported(root, name, file, whole=whole)
        else:
            names = frozenset()
        above = name.rpartition(".")[0]
        waiting |= ({(found, True) for found in names} | ({(above, False)} if above else set())) - done
    folders = {file.parent for file in modules.values()} - {root}  # where the modules of every distribution lie
    files = {*modules.values(), *(data for folder in folders for data in _data(folder))}
    return {str(file.relative_to(root)): _digest(file) for file in sorted(files)}


@functools.lru_cache
def _known(root: Path) -> dict[str, Path]:
    """The modules of a site-packages folder written in Python, by name."""
    found = {}
    for file in root.rglob("*.py"):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@functools.lru_cache(maxsize=4096)
def _imported(root: Path, name: str, file: Path, *, whole: bool) -> frozenset[str]:
    """The distribution's modules that a module imports. whole: also those that its functions import, and those that it names."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(file.read_bytes())
    found: set[str] = set()
    for node in ast.walk(tree) if whole else _at_import(tree.body):
        if isinstance(node, ast.Import):
            found |= {name for alias in node.names for name in (alias.name, *([] if alias.asname else [alias.name.partition(".")[0]]))}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            # A module of a package is not the package: that one is only on the way.
            found |= {inner if (inner := f"{module}.{alias.name}") in _known(root) else module for alias in node.names}
        elif whole and isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value.partition(":")[0])
    return frozenset(found & _known(root).keys())


def _at_import(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The statements that run when their module is imported."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            yield from _at_import(statement.orelse)
            continue
        yield statement
        yield from _at_import(ast.iter_child_nodes(statement))


def _data(folder: Path) -> Iterator[Path]:
    """What is not Python in a package and below it, other packages left out: those that are reached come by themselves."""
    for path in folder.iterdir():
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            yield path
        elif path.is_dir() and path.name != "__pycache__" and not any(path.glob("*.py")):
            yield from _data(path)


@functools.lru_cache(maxsize=4096)
def _digest(file: Path) -> bytes:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "blake2b").digest()
