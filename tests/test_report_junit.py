"""The JUnit report, read back as CI systems read it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_session import verdicts
from synthetic import MACHINE, launches, parity, plan, record

from harness.record import LeftOut
from harness.report import junit
from harness.report.text import clean
from harness.verdict import Verdicts, exit_code, judge


def read(of: Verdicts) -> ET.Element:
    root = ET.fromstring(junit.render(of))
    for suite in root:
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(name, "")) == len(suite.findall(f"testcase/{tag}"))
    return root


def outcomes(root: ET.Element) -> dict[tuple[str, str], str]:
    found = {}
    for case in root.iter("testcase"):
        (child,) = [*case] or [ET.Element("passed")]
        found[case.get("classname", ""), case.get("name", "")] = child.tag
    return found


def test_one_case_per_question() -> None:
    found = outcomes(read(verdicts()))
    assert found["spectrogram.stems", "native::run"] == "passed"
    assert found["spectrogram.stems", "native::parity"] == "passed"
    assert found["spectrogram.stems", "native::target[rtf]"] == "passed"
    assert found["spectrogram.stems", "torch_rfft::target[speedup_over_madmom]"] == "failure"
    assert found["spectrogram.stems", "mlx_batched::parity"] == "failure"
    assert found["spectrogram.stems", "mlx_batched::target[rtf]"] == "error"
    assert found["spectrogram.stems", "librosa::parity"] == "skipped"
    assert found["spectrogram.stems", "torch_rfft[precision=float32]::target"] == "skipped"
    assert found["dbn.three-minutes", "native(threads=2)::parity"] == "passed"
    assert found["dbn.three-minutes", "numpy_semimarkov::run"] == "error"
    assert found["spectrogram", "torch_cuda"] == "skipped"
    assert found["session", "measured as planned"] == "passed"


def test_a_failure_says_how_to_see_it_again() -> None:
    root = read(verdicts())
    case = next(case for case in root.iter("testcase") if case.get("name") == "mlx_batched::parity")
    assert (case[0].text or "").endswith("reproduce: harness run spectrogram.mlx_batched --only parity --case stems")


@pytest.mark.parametrize(
    "of",
    [
        verdicts(),
        judge(None, [], [], (), machine=MACHINE),
        judge(plan([]), [], [], (), machine=MACHINE),
        judge(plan(launches()), launches(), [], (), machine="other"),
        judge(plan(launches()), launches(n=2), [], (), machine=MACHINE),
        judge(plan(launches()), launches(parity=[]), [], (), machine=MACHINE),
        judge(plan(launches("madmom")), launches("madmom", n=2), [], (), machine=MACHINE),
        judge(plan(launches()), launches(), [], (), machine=MACHINE),
    ],
)
def test_failures_and_errors_agree_with_the_exit_code(of: Verdicts) -> None:
    red = {"failure", "error"} & set(outcomes(read(of)).values())
    assert bool(red) == (exit_code(of) != 0)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_any_text_of_a_plugin_is_read_back(name: str, message: str) -> None:
    records = [*launches(), record("evil", outcome="raised", message=message), *launches("wrong", parity=[parity(False)], case=name)]
    root = read(judge(plan(records, unavailable=[LeftOut("spectrogram", "gone", "", message)]), records, [], (), machine=MACHINE))
    case = next(case for case in root.iter("testcase") if case.get("name") == "evil::run")
    # An XML reader ends a line with \n alone, and what joins an empty message or a command to it is no part of it.
    assert case[0].get("message", "").rstrip(";: ") == clean(f"raised in launch 1: {message}").strip().rstrip(";: ")
    assert any(case.get("classname") == clean(f"spectrogram.{name}").strip() for case in root.iter("testcase"))
