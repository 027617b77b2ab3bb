"""Verdicts for GitHub Actions: annotations on the run, and the Markdown report as the job's summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from harness.report import markdown, view
from harness.report.text import clean
from harness.verdict import Verdicts

MOST_ANNOTATIONS = 10
"""What GitHub shows of each kind per step; the rest would vanish without a word."""

SUMMARY_BYTES = 1024 * 1024


def active(environ: Mapping[str, str]) -> bool:
    """True inside a GitHub Actions job."""
    return environ.get("GITHUB_ACTIONS") == "true"


def render(verdicts: Verdicts) -> str:
    """Workflow commands, one per line: an error per failure, a warning per open question."""
    lines: list[str] = []
    for kind, states in (("error", ("invalid", "fail")), ("warning", ("inconclusive",))):
        notes = [note for note in view.notes(verdicts) if note.state in states]
        most = MOST_ANNOTATIONS if len(notes) <= MOST_ANNOTATIONS else MOST_ANNOTATIONS - 1
        for note in notes[:most]:
            command = f"\nreproduce: {note.command}" if note.command else ""
            lines.append(annotation(kind, note.where, f"{note.message}{command}"))
        if notes[most:]:
            lines.append(annotation(kind, "more", f"{len(notes) - most} more are in the job summary"))
    return "".join(line + "\n" for line in lines)


def emit(verdicts: Verdicts, environ: Mapping[str, str], out: TextIO) -> None:
    """Inside a GitHub Actions job: the annotations to `out`, the report into the job's summary. Elsewhere nothing."""
    if active(environ):
        out.write(render(verdicts))
        write_summary(verdicts, environ)


def write_summary(verdicts: Verdicts, environ: Mapping[str, str]) -> None:
    """Append the Markdown report to the job's summary, where there is one."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if path:
        text = markdown.render(verdicts).encode()
        if len(text) > SUMMARY_BYTES:
            text = text[: SUMMARY_BYTES - 200].rpartition(b"\n")[0] + b"\n\n**Cut here: a job summary holds 1 MiB.**\n"
        with Path(path).open("ab") as file:
            file.write(text)


def annotation(kind: str, title: str, message: str) -> str:
    """One workflow command; nothing in title or message can end it or begin another."""
    return f"::{kind} title={_property(clean(title))}::{_data(clean(message, keep=chr(10)))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
