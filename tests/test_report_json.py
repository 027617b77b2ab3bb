"""The JSON report: strict, and as its schema says."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from report_session import verdicts
from synthetic import MACHINE, launches, parity, plan

from harness.report import json as report
from harness.verdict import Verdicts, judge

TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}


def conforms(value: Any, schema: dict[str, Any], where: str = "$") -> None:
    """The part of JSON Schema that SCHEMA uses; AssertionError names the place."""
    known = {"$schema", "title", "description", "type", "const", "enum", "required", "properties", "additionalProperties", "items"}
    assert set(schema) <= known, f"{where}: this check does not know {set(schema) - known}"
    if "const" in schema:
        assert value == schema["const"], where
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r}"
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    assert not kinds or any(is_a(value, kind) for kind in kinds), f"{where}: {value!r} is no {kinds}"
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value), f"{where}: lacks {set(schema['required']) - set(value)}"
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            assert inner is not False, f"{where}: unexpected {name}"
            conforms(item, inner, f"{where}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            conforms(item, schema.get("items", {}), f"{where}[{number}]")


def is_a(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        return isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def read(of: Verdicts) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"not strict JSON: {name}")

    found = json.loads(report.render(of), parse_constant=refuse)
    conforms(found, report.SCHEMA)
    return found


EMPTY = [
    judge(None, [], [], (), machine=MACHINE),
    judge(plan([]), [], [], (), machine=MACHINE),
    judge(plan(launches()), launches(), [], (), machine="other"),
]


@pytest.mark.parametrize(("of", "code"), list(zip([verdicts(), *EMPTY], [1, 5, 5, 4], strict=True)))
def test_reports_conform_to_the_schema(of: Verdicts, code: int) -> None:
    assert read(of)["exit_code"] == code


def test_what_a_program_finds() -> None:
    found = read(verdicts())
    row = next(row for row in found["rows"] if (row["component"], row["row"]) == ("spectrogram", "native"))
    assert row["metrics"]["speedup_over_madmom"]["value"] == pytest.approx(26.2, abs=0.1)
    assert set(row["metrics"]["rtf"]) == {"unit", "value", "low", "high", "launches", "confidence"}
    assert [answer["state"] for answer in row["answers"]] == ["pass"] * 5
    wrong = next(row for row in found["rows"] if row["row"] == "mlx_batched")
    assert wrong["metrics"]["rtf"] == {"unit": "x", "absent": "withheld: parity did not pass"}
    assert found["unavailable"][0] == {"component": "spectrogram", "implementation": "torch_cuda", "case": "", "reason": "no CUDA device"}


def test_what_is_infinite_has_a_name() -> None:
    perfect = launches(parity=[parity(snr_db=math.inf)], n=1)
    found = read(judge(plan(perfect, launches=1), perfect, [], (), machine=MACHINE))
    assert found["rows"][0]["metrics"]["snr_db"]["value"] == "inf"
    assert found["rows"][0]["parity"][0]["measured"]["snr_db"] == "inf"
    assert [report.number(value) for value in (-math.inf, math.nan, 1.5)] == ["-inf", "nan", 1.5]
