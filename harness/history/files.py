"""asv's files (JSON, version 2), read and written: the only place that knows the format.

    <results>/benchmarks.json                      what is tracked: name, parameters, unit, version
    <results>/<machine>/machine.json               whose times these are
    <results>/<machine>/<commit8>-<env_name>.json  one commit in one environment

A benchmark is `<component>.<metric>.track_<series>` with the parameters implementation and case: the name asv itself gives
what benchmarks/ generates, so that both ways of writing feed one history. asv has no direction: every stored number is
less-is-better. In a stored list null means failed, NaN means skipped.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import itertools
import json
import math
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.files import write_atomically
from harness.settings import ConfigurationError

VERSION = 2
MACHINE_VERSION = 1
PARAMETERS = ("implementation", "case")
COLUMNS = (
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25", "stats_q_75",
    "stats_number", "stats_repeat", "samples", "profile",
)  # fmt: skip

SeriesName = Literal["upper", "estimate", "ratio"]
State = Literal["measured", "failed", "skipped"]
NAME = re.compile(r"(?P<component>\w+)\.(?P<metric>\w+)\.track_(?P<series>upper|estimate|ratio)")


class HistoryError(ConfigurationError):
    """A history that cannot be read, or must not be written: damaged, or of another machine."""


class NoHistory(HistoryError):
    """There is no history yet: no project of asv around, or no measured commit in it."""


class Damaged(HistoryError):
    """A file that is not what asv or we write: `path` says which."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


@dataclass(frozen=True)
class Key:
    """What a series is about. metric: the stored name. implementation: with its settings, `native[precision=float32,threads=2]`."""

    component: str
    metric: str
    series: SeriesName
    implementation: str
    case: str

    @property
    def benchmark(self) -> str:
        """The name that asv shows."""
        return f"{self.component}.{self.metric}.track_{self.series}"


@dataclass(frozen=True)
class Point:
    """One stored number of one commit, less is better; `value` is None unless measured.

    interval: of an estimate or a ratio, where it is known. launches: behind it, 0 where the file does not say. version: of
    the component's contract; points of different versions are not comparable.
    """

    key: Key
    commit: str
    date_ms: int
    value: float | None
    state: State = "measured"
    interval: tuple[float, float] | None = None
    launches: int = 0
    version: str = "1"
    unit: str = "seconds"
    environment: str = ""


CORRUPT = ".corrupt"
MOST_CELLS = 100_000


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that nothing overwrites what may still be saved of it; where it lies now."""
    names = itertools.chain([path.name + CORRUPT], (f"{path.name}{CORRUPT}-{number}" for number in itertools.count(2)))
    target = next(target for target in map(path.with_name, names) if not target.exists())
    path.rename(target)
    return target


def set_aside_damaged(results_dir: Path, machine: str) -> list[Path]:
    """Set aside what could not be read of the files that a projection reads and replaces; where each lies now."""
    folder, moved = results_dir / machine, []
    checks: list[tuple[Path, Any]] = [(path, lambda path: _read_results(path, machine)) for path in result_files(folder)]
    checks += [(folder / "machine.json", lambda path: load(path, MACHINE_VERSION)), (results_dir / "benchmarks.json", _check_benchmarks)]
    for path, check in checks:
        try:
            if path.is_file():
                check(path)
        except Damaged:
            moved.append(set_aside(path))
    return moved


def _check_benchmarks(path: Path) -> None:
    for name, body in load(path, VERSION).items():
        params = body.get("params", [[], []]) if isinstance(body, dict) else None
        right = isinstance(params, list) and len(params) == len(PARAMETERS) and all(isinstance(axis, list) for axis in params)
        if NAME.fullmatch(name) and not right:
            raise Damaged(path, f"expected parameters of {name}, found {str(body)[:60]!r}; remove or restore it")


def left_out(results_dir: Path, machine: str) -> list[str]:
    """Files of this machine's history that were set aside, or that cannot be read: what is judged without them is not the whole."""
    folder = results_dir / machine
    found = [f"{path}: set aside as damaged; restore it under its name, or delete it" for path in sorted(folder.glob(f"*.json{CORRUPT}*"))]
    for path in result_files(folder):
        try:
            _read_results(path, machine)
        except Damaged as damage:
            found.append(str(damage))
    return found


def read(results_dir: Path, machine: str, *, whole: bool = True) -> list[Point]:
    """All points of one machine, oldest commit first; benchmarks whose names are not ours are left alone.

    whole: a damaged file is an error; otherwise it is left out, and `left_out` names it.

    The order is that of the repository around the folder, where it knows every commit (a rebase gives a whole branch one
    date), else that of the dates. HistoryError names the file that is damaged.
    """
    points: list[Point] = []
    for path in result_files(results_dir / machine):
        try:
            points += _read_results(path, machine)
        except Damaged:
            if whole:
                raise
    commits = git(results_dir, "rev-list", "--topo-order", "--reverse", "--all", "HEAD").split()
    place = {commit: number for number, commit in enumerate(commits)}
    known = all(point.commit in place for point in points)
    return sorted(points, key=lambda point: (place[point.commit] if known else point.date_ms, point.commit))


def series(points: Iterable[Point]) -> dict[Key, list[Point]]:
    """Points by what they are about, in the order given."""
    grouped: dict[Key, list[Point]] = {}
    for point in points:
        grouped.setdefault(point.key, []).append(point)
    return grouped


def write(results_dir: Path, machine: Mapping[str, str], python: str, env_name: str, points: Sequence[Point]) -> list[Path]:
    """Write points into asv's files: a cell that is given replaces what was stored, every other stays; returns the result files.

    machine: the entry of machine.json. HistoryError where the folder belongs to another machine.
    """
    check_machine(results_dir, machine)
    folder = results_dir / machine["machine"]
    if not (folder / "machine.json").is_file():
        write_atomically(folder / "machine.json", json.dumps({**machine, "version": MACHINE_VERSION}, indent=4, sort_keys=True) + "\n")
    written = []
    for commit, of_commit in _by(points, lambda point: point.commit).items():
        path = folder / file_name(commit, env_name)
        body = load(path, VERSION) if path.is_file() else _empty(machine, python, env_name, of_commit[0])
        if body.get("commit_hash") != commit:
            raise HistoryError(f"{path}: expected commit {commit}, found {body.get('commit_hash')!r}; remove the file and project again")
        for name, of_benchmark in _by(of_commit, lambda point: point.key.benchmark).items():
            body["results"][name] = _row(_cells(path, name, body["results"].get(name), body["result_columns"]), of_benchmark)
        body["result_columns"] = list(COLUMNS)
        write_atomically(path, json.dumps({**body, "version": VERSION}))
        written.append(path)
    if points:
        _write_benchmarks(results_dir / "benchmarks.json", points)
    return written


def result_files(folder: Path) -> list[Path]:
    """The result files of one machine's folder."""
    return sorted(path for path in folder.glob("*.json") if path.name != "machine.json")


def check_machine(results_dir: Path, machine: Mapping[str, str]) -> None:
    """HistoryError when the folder's machine.json describes another machine than `machine`; silence where there is none yet."""
    path = results_dir / machine["machine"] / "machine.json"
    if not path.is_file():
        return
    found = load(path, MACHINE_VERSION)
    differing = [name for name in sorted({*found, *machine} - {"version"}) if found.get(name) != machine.get(name)]
    if differing:
        details = "; ".join(f"{name}: here {machine.get(name)!r}, in the file {found.get(name)!r}" for name in differing)
        raise HistoryError(
            f"{path}: machine.json differs from this machine ({details}); times of another machine are never compared: "
            "move that folder away, or run `harness machine --asv` and measure again"
        )


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder; nothing where there is no git, no repository or no answer."""
    with contextlib.suppress(OSError):
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False).stdout.strip()
    return ""


def file_name(commit: str, env_name: str) -> str:
    """As asv names it: eight digits of the commit, and a hash in place of an environment name that is too long."""
    if re.search(r"[/\\\0]|^\.", commit + env_name):
        raise HistoryError(f"expected a commit and an environment that can name a file, found {commit[:40]!r} and {env_name[:80]!r}")
    if len(env_name) >= 128:
        env_name = "env-" + hashlib.md5(env_name.encode(), usedforsecurity=False).hexdigest()
    return f"{commit[:8]}-{env_name}.json"


def _read_results(path: Path, machine: str) -> list[Point]:
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


def _write_benchmarks(path: Path, points: Sequence[Point]) -> None:
    """Add what `points` tracks to benchmarks.json; parameters already listed stay, so that older commits remain visible."""
    body = load(path, VERSION) if path.is_file() else {}
    for name, of_benchmark in _by(points, lambda point: point.key.benchmark).items():
        known = body.get(name, {}).get("params", [[], []])
        found = [[repr(point.key.implementation) for point in of_benchmark], [repr(point.key.case) for point in of_benchmark]]
        point = of_benchmark[-1]
        body[name] = {
            "name": name, "type": "track", "unit": point.unit, "version": point.version, "param_names": list(PARAMETERS),
            "params": [list(dict.fromkeys([*old, *new])) for old, new in zip(known, found, strict=True)],
            "code": f"# {point.key.component}: {point.key.metric}, projected from records", "timeout": 3600,
        }  # fmt: skip
    write_atomically(path, json.dumps({**body, "version": VERSION}, indent=4, sort_keys=True) + "\n")


def load(path: Path, version: int) -> dict[str, Any]:
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


def _by(points: Iterable[Point], of: Any) -> dict[str, list[Point]]:
    grouped: dict[str, list[Point]] = {}
    for point in points:
        grouped.setdefault(of(point), []).append(point)
    return grouped


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
