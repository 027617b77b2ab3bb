"""GitHub Actions: commands that plugins cannot forge, and the job's summary."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_session import verdicts
from synthetic import MACHINE, launches, parity, plan

from harness import report
from harness.report import github
from harness.report.text import clean
from harness.verdict import judge


def test_errors_are_annotations() -> None:
    lines = github.render(verdicts()).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("::error title=spectrogram.mlx_batched on stems::parity: spectrogram differs at [812, 40]")
    assert lines[1].endswith("%0Areproduce: harness run spectrogram.mlx_batched --only parity --case stems")


def test_open_questions_are_warnings() -> None:
    (line,) = github.render(judge(plan(launches()), launches(n=2), [], (), machine=MACHINE)).splitlines()
    assert line == "::warning title=spectrogram.native on drums::run: less than planned: 2 of 3 launches left a record"


def test_green_says_nothing() -> None:
    assert github.render(judge(plan(launches()), launches(), [], (), machine=MACHINE)) == ""


def test_more_than_github_shows_is_counted() -> None:
    records = [r for number in range(14) for r in launches(f"wrong{number}", parity=[parity(False)])]
    lines = github.render(judge(plan(records), records, [], (), machine=MACHINE)).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "::error title=more::5 more are in the job summary"


@given(st.text(st.characters()), st.text(st.characters()))
def test_nothing_ends_a_command_or_begins_another(title: str, message: str) -> None:
    line = github.annotation("error", title, message)
    assert line.splitlines() == [line]
    head, _, _ = line.removeprefix("::error title=").partition("::")
    assert ":" not in head
    assert "," not in head


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\n")))
def test_a_message_is_read_back_as_it_was(message: str) -> None:
    data = github.annotation("error", "title", message).removeprefix("::error title=title::")
    assert data.replace("%0A", "\n").replace("%25", "%") == clean(message, keep="\n")


def test_the_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    github.write_summary(verdicts(), {"GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text().startswith("before\n**fail")
    github.write_summary(verdicts(), {})


def test_a_summary_that_is_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "SUMMARY_BYTES", 2000)
    path = tmp_path / "summary.md"
    github.write_summary(verdicts(), {"GITHUB_STEP_SUMMARY": str(path)})
    assert 1500 < path.stat().st_size <= 2000
    assert path.read_text().endswith("**Cut here: a job summary holds 1 MiB.**\n")


def test_only_a_github_job_is_told(tmp_path: Path) -> None:
    path, out = tmp_path / "summary.md", io.StringIO()
    github.emit(verdicts(), {"GITHUB_STEP_SUMMARY": str(path)}, out)
    assert (out.getvalue(), path.exists()) == ("", False)
    github.emit(verdicts(), {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(path)}, out)
    assert (out.getvalue(), path.exists()) == (github.render(verdicts()), True)


@pytest.mark.parametrize("kind", ["json", "junit", "markdown"])
def test_each_report_can_be_a_file(kind: report.Kind, tmp_path: Path) -> None:
    report.write(kind, verdicts(), tmp_path / "new" / "folder" / "file")
    module = importlib.import_module(f"harness.report.{kind}")
    assert (tmp_path / "new" / "folder" / "file").read_text() == module.render(verdicts())
