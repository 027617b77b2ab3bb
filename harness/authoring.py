"""`harness new`: a plugin package that installs, registers and passes its own parity test; with --install it is seen to."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path

USUAL = "a plugin package of your own: it installs, registers and passes its parity test as it is"


def new(options: argparse.Namespace) -> int:
    """Write the package; install and try it where that is asked for, else say how."""
    from harness import registry, scaffold
    from harness.report.console import console, render_pairs

    make = scaffold.component if options.kind == "component" else scaffold.implementation
    found = make(options.name, registry.discover())
    folder = options.output or Path(found.package)
    files = scaffold.write(found, folder)
    render_pairs([("written", str(path)) for path in files], console())
    if options.install:
        return _run(_steps(folder, found.pattern))
    place = shlex.quote(str(folder))
    sys.stdout.write(f"next: python -m pip install -e {place} && harness list {found.pattern} && pytest {place}\n")
    return 0


def _steps(folder: Path, pattern: str) -> list[list[str]]:
    """Install, list, test."""
    # What is installed builds it: no network is needed, nor a second copy of the build tool.
    offline = ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
    return [
        [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--editable", str(folder)],
        [sys.executable, "-m", "harness.cli", "list", pattern],
        [sys.executable, "-m", "pytest", "-q", str(folder)],
    ]


def _run(steps: list[list[str]]) -> int:
    """The steps in processes of their own, which see what the one before installed."""
    from harness.report.console import say

    for step in steps:
        sys.stdout.flush()
        code = subprocess.run(step, check=False).returncode
        if code:
            say(f"{shlex.join(step)}: ended with exit code {code}; the package stays as it was written")
            return 1
    return 0
