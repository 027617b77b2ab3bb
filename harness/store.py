"""Records on disk: one line of JSON each, in one file per session."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness import project
from harness.files import data_folder
from harness.record import SCHEMA, Plan, Record, Samples
from harness.settings import ConfigurationError

PROOFS = "realtime"
"""The folder beside the launches that keeps the real-time proofs: each answers questions of its own, and none becomes history."""


class RecordError(ConfigurationError):
    """A record that cannot be read: from a newer schema, or damaged."""


def to_json(item: Record | Plan) -> str:
    """One line of JSON (infinities as Python's json writes them: a signal-to-noise ratio can be infinite)."""
    body = {"type": "plan" if isinstance(item, Plan) else "record", **dataclasses.asdict(item)}
    return json.dumps(body, allow_nan=True, separators=(",", ":"))


def from_json(line: str, *, where: str = "record") -> Record | Plan:
    """The Record or Plan of one line; RecordError says what is wrong with it and where."""
    with contextlib.suppress(msgspec.MsgspecError, RecursionError, LookupError, ValueError):
        parts = _PARTS.decode(line)
        kind = _KINDS[bytes(parts["type"])]
        inner = _PARTS.decode(parts["samples"]) if kind is Record else ()
        if int(bytes(parts["schema"])) <= SCHEMA and not _unknown(kind, parts) and not _unknown(Samples, inner):
            item: Record | Plan = _DECODERS[kind].decode(line)
            return item
    # What is wrong with it, if anything: infinities are no JSON to others, and are read here.
    try:
        body = json.loads(line)
        name, schema = body.pop("type"), body["schema"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise RecordError(f"{where}: expected one JSON object with type and schema, found {line[:60]!r} ({error})") from None
    if type(schema) is not int or schema > SCHEMA:
        raise RecordError(f"{where}: schema {schema} is newer than the {SCHEMA} this version reads; upgrade audio-perf-harness")
    if name not in ("record", "plan"):
        raise RecordError(f"{where}: expected type record or plan, found {str(name)[:60]!r}")
    kind = Record if name == "record" else Plan
    samples = body.get("samples")
    if unknown := _unknown(kind, body) or _unknown(Samples, samples if isinstance(samples, dict) else ()):
        raise RecordError(f"{where}: damaged {name} (no field {unknown})")
    try:
        return msgspec.convert(body, kind)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise RecordError(f"{where}: damaged {name} ({error})") from None


def _unknown(kind: type[Record | Plan | Samples], names: Iterable[str]) -> list[str]:
    """Names that are no field: where a field has a default, a misspelt one would lose what was measured."""
    return sorted(set(names) - _FIELDS[kind])


_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KINDS: dict[bytes, type[Record | Plan]] = {b'"record"': Record, b'"plan"': Plan}
_DECODERS: dict[type[Record | Plan], msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in (Record, Plan)}
_FIELDS: dict[type, set[str]] = {kind: {"type", *(field.name for field in dataclasses.fields(kind))} for kind in (Record, Plan, Samples)}


class Store:
    """Records on disk: one file of JSON lines per session, appended and flushed the moment a launch ends.

    unsaved: records that could not be written, for the reason in `trouble`; each is tried again when the next is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unsaved: list[Record] = []
        self.trouble = ""

    def append(self, item: Record | Plan) -> None:
        """Write one line and flush it to disk; what prevents it leaves the file as it was. A line that is the last one already stays so."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = (to_json(item) + "\n").encode()
        with open(self.folder / f"{item.session}.jsonl", "ab+", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            if before >= len(line):
                file.seek(-len(line), os.SEEK_END)
                if file.read(len(line)) == line:  # whoever wrote it was interrupted before it was noted
                    return
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(before)
                raise

    def keep(self, record: Record) -> None:
        """Append a record, and those before it that could not be: a full disk must not cost what was measured."""
        self.unsaved.append(record)
        self.settle()

    def settle(self) -> None:
        """Write the records that could not be written, or whose writing was interrupted."""
        try:
            while self.unsaved:
                self.append(self.unsaved[0])
                del self.unsaved[0]
        except OSError as error:
            self.trouble = f"{self.folder / self.unsaved[0].session}.jsonl: {error.strerror or error}"

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
