"""A fresh virtual environment that sees this checkout and what is installed here, for tests that install."""

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PERSON = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "A"), ("EMAIL", "a@example.org"))}


def environment(folder):
    """Make one in `folder`; the variables of a user who has activated it."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "here.pth").write_text("\n".join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]))
    for name in ("python", "python3"):
        assert (folder / "bin" / name).exists()
    script = folder / "bin" / "harness"
    script.write_text(f'#!/bin/sh\nexec {folder / "bin" / "python"} -m harness.cli "$@"\n')
    script.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "HARNESS_", "GITHUB_"))}
    own |= {"VIRTUAL_ENV": str(folder), "HARNESS_DATA": str(folder / "data"), "HARNESS_CACHE_FOLDER": str(folder / "cache"), **PERSON}
    return {**own, "PATH": f"{folder / 'bin'}{os.pathsep}{own['PATH']}"}


def run(command, folder, variables, seconds=280):
    """(exit code, all that was said)."""
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout + done.stderr
