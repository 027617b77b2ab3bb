"""A result file of asv (JSON, version 2): its name, its rows as points, points as its rows. The only place that knows the format.

A benchmark is `<component>.<metric>.track_<series>` with the parameters implementation and case: the name asv itself gives
what benchmarks/ generates, so that both ways of writing feed one history. asv has no direction: every stored number is
less-is-better. In a stored list null means failed, NaN means skipped.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.history.points import Damaged, HistoryError, Key, Point

VERSION = 2
MACHINE_VERSION = 1
PARAMETERS = ("implementation", "case")
COLUMNS = (
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25", "stats_q_75",
    "stats_number", "stats_repeat", "samples", "profile",
)  # fmt: skip
NAME = re.compile(r"(?P<component>\w+)\.(?P<metric>\w+)\.track_(?P<series>upper|estimate|ratio)")
MOST_CELLS = 100_000


def file_name(commit: str, env_name: str) -> str:
    """As asv names it: eight digits of the commit, and a hash in place of an environment name that is too long."""
    if re.search(r"[/\\\0]|^\.", commit + env_name):
        raise HistoryError(f"expected a commit and an environment that can name a file, found {commit[:40]!r} and {env_name[:80]!r}")
    if len(env_name) >= 128:
        env_name = "env-" + hashlib.md5(env_name.encode(), usedforsecurity=False).hexdigest()
    return f"{commit[:8]}-{env_name}.json"


def load(path: Path, version: int) -> dict[str, Any]:
    """What a file of asv holds, without its version; HistoryError, or Damaged, names the file and what is wrong with it."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HistoryError(f"{path}: expected JSON, found {_short(error)}; remove or restore it") from None
    except (ValueError, RecursionError) as error:
        raise Damaged(path, f"expected JSON, found {_short(error)}; remove or restore it") from None
    if not isinstance(body, dict):
        raise Damaged(path, f"expected asv's format version {version}, found {type(body).__name__!r}; remove or restore it")
    if body.get("version") != version:
        found = repr(body.get("version"))[:60]
        raise HistoryError(f"{path}: expected asv's format version {version}, found {found}; run `asv update`, or restore the file")
    return {name: value for name, value in body.items() if name != "version"}


def read_file(path: Path, machine: str) -> list[Point]:
    """All points of a result file of that machine; Damaged where it is none."""
    body = load(path, VERSION)
    points = []
    try:
        if body["params"]["machine"] != machine:
            raise HistoryError(f"{path}: expected a result of machine {machine!r}, found one of {body['params']['machine']!r}")
        commit, date, environment = str(body["commit_hash"]), int(body["date"]), str(body["env_name"])
        for name, row in body["results"].items():
            match = NAME.fullmatch(name)
            if match is None:
                continue
            for (implementation, case), cell in _cells(path, name, row, body["result_columns"]).items():
                key = Key(match["component"], match["metric"], match["series"], implementation, case)  # type: ignore[arg-type]
                points.append(_point(key, commit, date, environment, cell))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        if isinstance(error, HistoryError):
            raise
        found = _short(error)
        raise Damaged(path, f"expected an asv result file (version {VERSION}), found {found}; remove or restore it") from None
    return points


def with_points(path: Path, machine: Mapping[str, str], python: str, env_name: str, points: Sequence[Point]) -> str:
    """What a result file is to hold: what it holds now, if it is there, with the cells of `points`, which are of one commit."""
    commit = points[0].commit
    body = load(path, VERSION) if path.is_file() else _empty(machine, python, env_name, points[0])
    if body.get("commit_hash") != commit:
        raise HistoryError(f"{path}: expected commit {commit}, found {body.get('commit_hash')!r}; remove the file and project again")
    for name, of_benchmark in grouped(points, lambda point: point.key.benchmark).items():
        body["results"][name] = _row(_cells(path, name, body["results"].get(name), body["result_columns"]), of_benchmark)
    return json.dumps({**body, "result_columns": list(COLUMNS), "version": VERSION})


def grouped(points: Iterable[Point], of: Callable[[Point], str]) -> dict[str, list[Point]]:
    """Points by what `of` says of them, in the order given."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(of(point), []).append(point)
    return found


def _point(key: Key, commit: str, date_ms: int, environment: str, cell: Mapping[str, Any]) -> Point:
    value = cell["result"]
    low, high = cell.get("stats_ci_99_a"), cell.get("stats_ci_99_b")
    return Point(
        key, commit, date_ms,
        None if value is None or math.isnan(value) else float(value),
        "failed" if value is None else "skipped" if math.isnan(value) else "measured",
        None if low is None or high is None else (float(low), float(high)),
        int(cell.get("stats_repeat") or 0), str(cell["version"]), environment=environment,
    )  # fmt: skip


def _cells(path: Path, name: str, row: Sequence[Any] | None, columns: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """What a stored row holds: (implementation, case) -> its columns."""
    if row is None:
        return {}
    try:
        stored = dict(zip(columns, row, strict=False))
        if math.prod(map(len, stored["params"])) > MOST_CELLS or max(map(len, itertools.chain(*stored["params"])), default=0) > 1000:
            raise ValueError(f"more than {MOST_CELLS} cells, or a parameter of over 1000 characters")
        keys = [tuple(ast.literal_eval(text) for text in combination) for combination in itertools.product(*stored["params"])]
        lists = {column: value for column, value in stored.items() if isinstance(value, list) and column != "params"}
        shared = {column: value for column, value in stored.items() if column not in lists and column != "params"}
        wrong = [column for column, value in lists.items() if len(value) != len(keys) and column not in ("samples", "profile")]
        if wrong or len(stored["params"]) != len(PARAMETERS) or not all(isinstance(part, str) for key in keys for part in key):
            raise ValueError(f"parameters {stored['params']!r}" + (f" with {wrong} of another length" if wrong else ""))
        # asv writes one null when every cell of the benchmark failed.
        return {
            (key[0], key[1]): {"result": None, **shared, **{c: v[i] for c, v in lists.items() if len(v) == len(keys)}}
            for i, key in enumerate(keys)
        }
    except (KeyError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        expected = f"{name} over {' x '.join(PARAMETERS)}"
        raise Damaged(path, f"expected {expected}, found {_short(error)}; remove or restore the file") from None


def _row(cells: dict[tuple[str, str], dict[str, Any]], points: Sequence[Point]) -> list[Any]:
    """The stored row after replacing the cells of `points`; cells of another contract version are dropped, asv keeps one."""
    version = points[-1].version
    cells = {key: cell for key, cell in cells.items() if str(cell.get("version")) == version}
    for point in points:
        low, high = point.interval or (None, None)
        cells[point.key.implementation, point.key.case] = {
            "result": math.nan if point.state == "skipped" else point.value,
            "stats_ci_99_a": low, "stats_ci_99_b": high, "stats_q_25": low, "stats_q_75": high,
            # All of a cell's statistics or none: asv reads the quartiles of any cell that has one.
            "stats_number": None if low is None else 1, "stats_repeat": None if low is None else point.launches,
        }  # fmt: skip
    axes = [list(dict.fromkeys(key[axis] for key in cells)) for axis in range(len(PARAMETERS))]
    # The product holds pairs that nobody measured: they are skipped, not failed.
    ordered = [cells.get((row, case), {"result": math.nan}) for row, case in itertools.product(*axes)]
    row: list[Any] = [[cell.get("result") for cell in ordered], [[repr(value) for value in axis] for axis in axes], version, None, None]
    for column in COLUMNS[len(row) : COLUMNS.index("samples")]:
        values = [cell.get(column) for cell in ordered]
        row.append(None if all(value is None for value in values) else values)
    while row[-1] is None:
        row.pop()
    return row


def _empty(machine: Mapping[str, str], python: str, env_name: str, point: Point) -> dict[str, Any]:
    return {
        "commit_hash": point.commit, "env_name": env_name, "date": point.date_ms, "params": {**machine, "python": python},
        "python": python, "requirements": {}, "env_vars": {}, "result_columns": list(COLUMNS), "results": {}, "durations": {},
    }  # fmt: skip


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
