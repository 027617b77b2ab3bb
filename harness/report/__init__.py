"""Reports: verdicts for people (terminal, Markdown, a page), for programs (JSON, JUnit) and for GitHub Actions. One render() each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.verdict import Verdicts

Kind = Literal["json", "junit", "markdown"]


def write(kind: Kind, verdicts: Verdicts, path: Path) -> None:
    """Write the verdicts as a file of that kind, as a whole or not at all."""
    # Imported here: `harness list` needs this package, but neither verdicts nor XML.
    from harness.files import write_atomically
    from harness.report import json, junit, markdown

    render = {"json": json.render, "junit": junit.render, "markdown": markdown.render}[kind]
    write_atomically(path, render(verdicts))
