"""Records on disk: one line of JSON each, in one file per session."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from harness import project
from harness.files import data_folder
from harness.record import SCHEMA, Plan, Record
from harness.settings import ConfigurationError


class RecordError(ConfigurationError):
    """A record that cannot be read: from a newer schema, or damaged."""


def to_json(item: Record | Plan) -> str:
    """One line of JSON (infinities as Python's json writes them: a signal-to-noise ratio can be infinite)."""
    body = {"type": "plan" if isinstance(item, Plan) else "record", **dataclasses.asdict(item)}
    return json.dumps(body, allow_nan=True, separators=(",", ":"))


def from_json(line: str, *, where: str = "record") -> Record | Plan:
    """The Record or Plan of one line; RecordError says what is wrong with it and where."""
    try:
        body = json.loads(line)
        kind, schema = body.pop("type"), body["schema"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise RecordError(f"{where}: expected one JSON object with type and schema, found {line[:60]!r} ({error})") from None
    if not isinstance(schema, int) or schema > SCHEMA:
        raise RecordError(f"{where}: schema {schema} is newer than the {SCHEMA} this version reads; upgrade audio-perf-harness")
    if kind not in ("record", "plan"):
        raise RecordError(f"{where}: expected type record or plan, found {str(kind)[:60]!r}")
    if kind not in _DECODERS:
        _DECODERS[kind] = _decoder(Record if kind == "record" else Plan)
    try:
        return typing.cast("Record | Plan", _DECODERS[kind](body))
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise RecordError(f"{where}: damaged {kind} ({error})") from None


class Store:
    """Records on disk: one file of JSON lines per session, appended and flushed the moment a launch ends.

    unsaved: records that could not be written, for the reason in `trouble`; each is tried again when the next is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unsaved: list[Record] = []
        self.trouble = ""

    def append(self, item: Record | Plan) -> None:
        """Write one line and flush it to disk; OSError leaves the file as it was."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rest = memoryview((to_json(item) + "\n").encode())
        with open(self.folder / f"{item.session}.jsonl", "ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise

    def keep(self, record: Record) -> None:
        """Append a record, and those before it that could not be: a full disk must not cost what was measured."""
        self.unsaved.append(record)
        try:
            while self.unsaved:
                self.append(self.unsaved[0])
                del self.unsaved[0]
        except OSError as error:
            self.trouble = f"{self.folder / record.session}.jsonl: {error.strerror or error}"

    def mend(self, session: str) -> None:
        """Cut off the unfinished last line that a killed run left, so that the next line does not join it."""
        with open(self.folder / f"{session}.jsonl", "rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)

    def sessions(self) -> list[str]:
        """Session names, oldest first (names begin with the time)."""
        return sorted(path.stem for path in self.folder.glob("*.jsonl"))

    def read(self, session: str) -> tuple[Plan | None, list[Record]]:
        """The plan and the records of a session. An unfinished last line (a killed run) is left out; other damage is an error."""
        path = self.folder / f"{session}.jsonl"
        # Asked for by name: a session is a file here, never a way out of the folder.
        if session not in self.sessions():
            known = ", ".join(self.sessions()[-5:]) or "none"
            raise RecordError(f"no session {session!r} in {self.folder}; latest: {known}")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"{path}: expected lines of JSON, found {error}; delete the file or restore it") from None
        plan, records = None, []
        collecting = gc.isenabled()
        gc.disable()  # a million objects, none of them garbage: looking for some takes as long as reading
        try:
            for number, line in enumerate(_whole_lines(text), 1):
                item = from_json(line, where=f"{path}:{number}")
                if isinstance(item, Plan):
                    if plan is not None:
                        raise RecordError(f"{path}:{number}: expected one plan, found a second: a session's expected set never changes")
                    plan = item
                else:
                    records.append(item)
        finally:
            if collecting:
                gc.enable()
        return plan, records


def default_folder(start: Path | None = None) -> Path:
    """`.harness/records` of the project around `start` (its nearest pyproject.toml), else the platform's data folder."""
    path = project.find(start)
    return data_folder() / "records" if path is None else path.parent / ".harness" / "records"


def _whole_lines(text: str) -> Iterator[str]:
    complete, _, _ = text.rpartition("\n")
    return (line for line in complete.split("\n") if line)


def _decoder(kind: Any) -> Callable[[Any], Any]:
    """Makes a value of that type (dataclasses, nested, with tuples) of what json.loads gave; TypeError or ValueError says what is wrong."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(kind)
    if origin is tuple:
        return _many(_decoder(arguments[0]), arguments[0])
    if origin in (typing.Union, types.UnionType):
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        decode = _decoder(inner)
        return lambda value: None if value is None else decode(value)
    if origin is Literal:
        return lambda value: _expect(value, type(value) is str and value in arguments, f"one of {', '.join(arguments)}")
    if origin is not None or kind is Any:
        return lambda value: _expect(value, kind is Any or type(value) is dict, "an object")
    if kind is float:
        return lambda value: value if type(value) is float else float(_expect(value, type(value) is int, "a number"))
    return lambda value: value if type(value) is kind else _expect(value, False, kind.__name__)


def _expect(value: Any, right: bool, what: str) -> Any:
    if not right:
        raise TypeError(f"expected {what}, found {type(value).__name__} {str(value)[:40]!r}")
    return value


def _object(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    decoders = {name: _decoder(hint) for name, hint in hints.items()}
    exact = {name: hint for name, hint in hints.items() if hint in (int, float, bool, str)}
    fields = dataclasses.fields(kind)
    needed = {f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING}
    # A frozen dataclass sets its fields one by one, at a microsecond each: a session has a million of them.
    plain = all(f.default_factory is dataclasses.MISSING for f in fields) and not hasattr(kind, "__post_init__")
    defaults = {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}
    # Most of them are blocks: of plain numbers, and as they were written. What was read is then their very content.
    names, simple = list(hints), tuple(hints.values()) if plain and set(hints.values()) <= {int, float, bool, str} else None

    def decode(value: Any) -> Any:
        if simple is not None and type(value) is dict and tuple(map(type, value.values())) == simple and list(value) == names:
            made = object.__new__(kind)
            object.__setattr__(made, "__dict__", value)
            return made
        if type(value) is not dict:
            raise TypeError(f"expected an object for {kind.__name__}, found {type(value).__name__}")
        if not value.keys() <= decoders.keys():
            raise TypeError(f"{kind.__name__} has no field {sorted(value.keys() - decoders.keys())}")
        if not needed <= value.keys():
            raise TypeError(f"{kind.__name__} lacks {', '.join(sorted(needed - value.keys()))}")
        found = {name: item if type(item) is exact.get(name) else decoders[name](item) for name, item in value.items()}
        if not plain:
            return kind(**found)
        made = object.__new__(kind)
        made.__dict__.update({**defaults, **found})
        return made

    return decode


def _many(decode: Callable[[Any], Any], kind: Any) -> Callable[[Any], Any]:
    def decode_all(value: Any) -> Any:
        if type(value) is not list:
            raise TypeError(f"expected a list, found {type(value).__name__}")
        if kind is float and set(map(type, value)) <= {float}:
            return tuple(value)
        return tuple(map(decode, value))

    return decode_all


_DECODERS: dict[str, Callable[[Any], Any]] = {}
