"""Verdicts as strict JSON (no NaN, no Infinity): the same content for programs, described by SCHEMA."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from harness.metrics import Absent, Value, about
from harness.record import LeftOut
from harness.verdict import Answer, Row, Verdicts, exit_code

VERSION = 1

_NUMBER = {"type": ["number", "string"], "description": "a number, or one of the strings inf, -inf, nan"}
_VALUE = {
    "type": "object",
    "description": "either value (with low, high where there is an interval over launches) or absent, the reason",
    "properties": {
        "unit": {"type": "string"}, "value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "launches": {"type": "integer"},
        "confidence": {"type": "number"}, "no_interval": {"type": "string"}, "absent": {"type": "string"},
    },
    "required": ["unit"],
    "additionalProperties": False,
}  # fmt: skip
_TEXT = {"type": "string"}
_STATE = {"enum": ["pass", "fail", "inconclusive", "invalid", "no target"]}
_LEFT_OUT = {
    "type": "array",
    "items": {"type": "object", "required": ["component", "implementation", "case", "reason"], "additionalProperties": _TEXT},
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "audio-perf-harness report",
    "type": "object",
    "required": ["schema", "exit_code", "session", "rows", "problems", "notes", "unavailable", "left_out"],
    "additionalProperties": False,
    "properties": {
        "schema": {"const": VERSION},
        "exit_code": {"enum": [0, 1, 3, 4, 5]},
        "session": {
            "type": ["object", "null"],
            "required": ["name", "started", "machine", "profile"],
            "additionalProperties": _TEXT,
        },
        "problems": {
            "type": "array",
            "items": {"type": "object", "required": ["state", "message"], "additionalProperties": _TEXT},
        },
        "notes": {"type": "array", "items": _TEXT},
        "unavailable": _LEFT_OUT,
        "left_out": _LEFT_OUT,
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["component", "row", "implementation", "role", "exact", "case", "settings", "state", "counts", "launches",
                             "launches_planned", "answers", "metrics", "parity"],
                "additionalProperties": False,
                "properties": {
                    "component": _TEXT, "row": _TEXT, "implementation": _TEXT, "case": _TEXT, "unit": _TEXT,
                    "role": {"enum": ["reference", "optimized", "peer"]},
                    "exact": {"type": "boolean"}, "counts": {"type": "boolean"},
                    "settings": {"type": "object"},
                    "state": _STATE,
                    "launches": {"type": "integer"}, "launches_planned": {"type": "integer"},
                    "build": {"type": ["object", "null"], "additionalProperties": _TEXT},
                    "floor": {"type": ["object", "null"]},
                    "metrics": {"type": "object", "additionalProperties": _VALUE},
                    "parity": {"type": "array", "items": {"type": "object", "required": ["output", "kind", "passed", "allowed"]}},
                    "notes": {"type": "array", "items": _TEXT},
                    "answers": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["question", "state"],
                            "additionalProperties": False,
                            "properties": {
                                "question": {"enum": ["run", "parity", "target", "regression", "realtime"]},
                                "state": _STATE,
                                "message": _TEXT, "metric": _TEXT, "value": _VALUE, "limit": _NUMBER,
                                "notes": {"type": "array", "items": _TEXT},
                                "target": {"type": "object", "additionalProperties": _TEXT},
                            },
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip


def render(verdicts: Verdicts) -> str:
    """One JSON object, ending with a line break."""
    return json.dumps(body(verdicts), allow_nan=False, indent=2, ensure_ascii=True) + "\n"


def body(verdicts: Verdicts) -> dict[str, Any]:
    """What render() writes, as plain dicts and lists."""
    plan = verdicts.plan
    return {
        "schema": VERSION,
        "exit_code": exit_code(verdicts),
        "session": plan and {"name": plan.session, "started": plan.started, "machine": plan.machine, "profile": plan.profile},
        "problems": [{"state": problem.state, "message": problem.message} for problem in verdicts.problems],
        "notes": list(verdicts.notes),
        "unavailable": [_left_out(item) for item in plan.unavailable] if plan else [],
        "left_out": [_left_out(item) for item in plan.left_out] if plan else [],
        "rows": [_row(row) for row in verdicts.rows],
    }


def number(value: float) -> float | str:
    """The number, or its name where JSON has none for it."""
    return value if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")


def _row(row: Row) -> dict[str, Any]:
    item, build = row.planned, row.build
    return {
        "component": item.component, "row": item.row, "implementation": item.implementation, "role": item.role, "exact": item.exact,
        "case": item.case, "unit": row.unit, "settings": _plain(item.settings), "state": row.state, "counts": bool(row.judged),
        "launches": row.launches, "launches_planned": item.launches,
        "build": build and {"distribution": build.distribution, "version": build.version, "native": build.native},
        "floor": row.floor and {"seconds": number(row.floor.seconds), "ceiling": row.floor.ceiling},
        "notes": list(row.notes),
        "answers": [_answer(answer) for answer in row.answers],
        "metrics": {name: value_of(name, value) for name, value in row.metrics.items()},
        "parity": [
            {"output": r.output, "kind": r.kind, "passed": r.passed, "allowed": r.allowed, "message": r.message, "instead_of": r.instead_of,
             "where": None if r.where is None else list(r.where), "measured": {name: number(v) for name, v in r.measured.items()}}
            for r in row.parity
        ],
    }  # fmt: skip


def _answer(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"question": answer.question, "state": answer.state, "message": answer.message, "notes": list(answer.notes)}
    if answer.metric:
        found["metric"] = answer.metric
    if answer.value is not None:
        found["value"] = value_of(answer.metric, answer.value)
    if answer.limit is not None:
        found["limit"] = number(answer.limit)
    if answer.target is not None:
        named = {name: getattr(answer.target, name) for name in ("kind", "source", "origin", "profile")}
        found["target"] = {"words": answer.target.words, **named}
    return found


def value_of(name: str, value: Value) -> dict[str, Any]:
    unit = about(name).unit
    if isinstance(value, Absent):
        return {"unit": unit, "absent": value.reason}
    found: dict[str, Any] = {"unit": unit, "value": number(value.point), "launches": value.n}
    if value.low is None or value.high is None:
        return {**found, "no_interval": value.reason}
    return {**found, "low": number(value.low), "high": number(value.high), "confidence": value.confidence}


def _left_out(item: LeftOut) -> dict[str, str]:
    return {"component": item.component, "implementation": item.implementation, "case": item.case, "reason": item.reason}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
