"""Error rates of the gate: counted from a file that grows and is resumed."""

import dataclasses
import json

import pytest

from harness.gate import quality
from harness.gate.quality import SLOWER, Verdict, rates, read, wrong
from harness.report import errors


def verdict(**fields):
    values = {"machine": "here", "when": "2025-01-02T03:04:05+00:00", "case": "1ms", "slower": 0.0, "busy": False, "state": "pass",
              "other": "pass", "seconds": 2.0, "launches": 3, **fields}  # fmt: skip
    return Verdict(**values)


def test_rates_are_counted_by_cell_with_exact_intervals():
    found = rates([*[verdict()] * 9, verdict(state="fail", seconds=4.0), verdict(slower=0.05, state="fail"), verdict(busy=True)])
    assert [(one.busy, one.slower, one.n) for one in found] == [(False, 0.0, 10), (False, 0.05, 1), (True, 0.0, 1)]
    share, low, high = found[0].states["fail"]
    assert share == pytest.approx(0.1)
    assert low == pytest.approx(0.0025, abs=1e-3)
    assert high == pytest.approx(0.445, abs=1e-3)
    assert found[0].median_seconds == 2.0


def test_what_the_gate_must_never_do_is_wrong():
    assert wrong(rates([verdict(state="fail")])[0])
    assert wrong(rates([verdict(other="fail")])[0])
    assert wrong(rates([verdict(slower=0.05)])[0])
    assert not wrong(rates([verdict(slower=0.03)])[0])
    assert not wrong(rates([verdict(state="inconclusive")])[0])
    assert not wrong(rates([verdict(slower=0.1, state="fail")])[0])


def test_a_file_is_read_to_its_last_whole_line_and_for_this_machine_alone(tmp_path):
    file = tmp_path / "quality.jsonl"
    lines = [json.dumps(dataclasses.asdict(one)) for one in (verdict(), verdict(machine="there"), verdict(state="fail"))]
    file.write_text("\n".join(lines) + "\n" + lines[0][:20])
    assert [one.state for one in read(file, "here")] == ["pass", "fail"]
    assert read(tmp_path / "none", "here") == []


def test_the_page_names_machine_and_every_rate():
    page = errors.markdown(rates([verdict(slower=one) for one in SLOWER]), "some|machine")
    assert "some\\|machine" in page
    assert page.count("\n| 1ms | idle |") == len(SLOWER)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_run_goes_on_where_it_stopped_and_sees_ten_percent(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "CASES", {"1ms": 100})
    monkeypatch.setattr(quality, "SLOWER", (0.0, 0.10))
    file = tmp_path / "quality.jsonl"
    for n in (1, 2):
        found = quality.run(file, n, machine="here", profile="any", note=lambda *_: None)
        assert {one.n for one in found} == {n}
    assert len(read(file, "here")) == 8
    assert not any(wrong(one) for one in found)
