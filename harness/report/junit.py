"""Verdicts as JUnit XML: one test case per component, case, row and question.

A miss is a <failure>; what did not run, was not decided or is invalid is an <error>; what is unavailable, has no target, or is
an outside peer's own trouble is <skipped> with the reason. So a reader that counts failures and errors agrees with the exit code.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from harness.metrics import Absent
from harness.report.text import clean, measured, sentence
from harness.report.view import told
from harness.stats import Interval
from harness.verdict import Answer, Row, Verdicts


def render(verdicts: Verdicts) -> str:
    """The XML document, ending with a line break."""
    root = ET.Element("testsuites", name="audio-perf-harness")
    plan = verdicts.plan
    session = _suite(root, "session", [])
    case = ET.SubElement(session, "testcase", classname="session", name="measured as planned", time="0")
    for problem in verdicts.problems:
        _child(case, "error", problem.state, problem.message)
    for component in dict.fromkeys(row.planned.component for row in verdicts.rows):
        rows = [row for row in verdicts.rows if row.planned.component == component]
        suite = _suite(root, component, rows)
        for row in rows:
            _row(suite, row)
    for item in (*plan.unavailable, *plan.left_out) if plan else ():
        name = _text(f"{item.implementation} {item.case}".strip() or item.component)
        gone = ET.SubElement(session, "testcase", classname=_text(item.component), name=name, time="0")
        _child(gone, "skipped", "not measured", item.reason)
    for suite in root.iter("testsuite"):
        _count(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, name: str, rows: Iterable[Row]) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=_text(name))
    metrics = [(row, name, value) for row in rows for name, value in row.metrics.items() if isinstance(value, Interval)]
    if metrics:
        properties = ET.SubElement(suite, "properties")
        for row, metric, value in metrics:
            name = f"{row.planned.case}::{row.planned.row}::{metric}"
            ET.SubElement(properties, "property", name=_text(name), value=_text(measured(metric, value)))
    return suite


def _row(suite: ET.Element, row: Row) -> None:
    item = row.planned
    seen: dict[str, int] = {}
    settings = ",".join(f"{name}={value}" for name, value in sorted(item.settings.items()) if name not in item.variant)
    for answer in row.answers:
        question = answer.question + (f"[{answer.metric}]" if answer.metric else "")
        seen[question] = seen.get(question, 0) + 1
        name = f"{item.row}{f'({settings})' if settings else ''}::{question}" + (f"#{seen[question]}" if seen[question] > 1 else "")
        seconds = row.metrics.get("seconds_per_call")
        time = f"{seconds.point:.9f}" if answer.question == "run" and isinstance(seconds, Interval) else "0"
        case = ET.SubElement(suite, "testcase", classname=_text(f"{item.component}.{item.case}"), name=_text(name), time=time)
        _outcome(case, row, answer)
        beside = [*(row.notes if answer.question == "run" else ()), *(answer.notes if answer.state == "pass" else ())]
        if beside:
            ET.SubElement(case, "system-out").text = "\n".join(map(sentence, beside))


def _outcome(case: ET.Element, row: Row, answer: Answer) -> None:
    text, command = told(row, answer)
    if answer.state == "pass":
        return
    if answer.state == "no target":
        _child(case, "skipped", "no target", "no target")
    elif row.missing and answer.question == "run":
        _child(case, "error", "less than planned", text)
    elif answer not in row.judged:
        _child(case, "skipped", "peer", f"a peer, for information: {text}")
    elif answer.state == "fail" and answer.question != "run":
        again = f"\nreproduce: {command}" if command else ""
        value = f"\nmeasured: {measured(answer.metric, answer.value)}" if answer.value and not isinstance(answer.value, Absent) else ""
        _child(case, "failure", answer.question, text, text + value + again)
    else:
        _child(case, "error", answer.state if answer.state != "fail" else "did not run", text)


def _child(case: ET.Element, tag: str, kind: str, message: str, body: str = "") -> None:
    child = ET.SubElement(case, tag, type=kind, message=_text(message))
    child.text = clean(body or message, keep="\n")


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))


def _text(text: str) -> str:
    return clean(text).strip()
