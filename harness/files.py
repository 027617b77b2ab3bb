"""Where this program keeps what it writes for its user, and how a file is replaced as a whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """The user's data folder of this program on this platform (HARNESS_DATA overrides)."""
    if override := os.environ.get("HARNESS_DATA"):
        return Path(override)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "audio-perf-harness"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "audio-perf-harness"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "audio-perf-harness"


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` as a whole: a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # what was asked for; the other name says nothing to anybody
        raise
    finally:
        temporary.unlink(missing_ok=True)
