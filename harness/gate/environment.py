"""An environment of its own for a side: an interpreter that sees its wheel first, the shared dependencies after it, no import hooks."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

from harness.settings import ConfigurationError

OURS = "audio-perf-harness"
PROGRAM, LIBRARY = "harness", "implementations"

_SEARCH = """
import json, site, sys
standard = list(sys.path)
site.main()
print("\\n" + json.dumps([[path for path in sys.path if path not in standard], site.getsitepackages()]))
"""


def make(folder: Path, shared: Sequence[str]) -> None:
    """A virtual environment without pip in `folder`. shared: folders that it searches after its own site-packages."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    # Folders named in a .pth file are searched, but .pth files inside them are not read: no editable install comes to life.
    (site_packages(folder) / "shared.pth").write_text("".join(f"{path}\n" for path in shared), encoding="utf-8")


def interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def site_packages(folder: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def shared_folders(root: Path) -> tuple[str, ...]:
    """Where the running interpreter finds installed packages: never by PYTHONPATH or in the user's site, and never in the
    tree of the distribution itself (`root`), but for a virtual environment that lies there.
    """
    search, sites = _search()
    return tuple(path for path in search if path in sites or not Path(path).resolve().is_relative_to(root))


def exposed(cache: Path, distribution: str) -> str:
    """A folder that holds the running `harness` package and nothing else; for another's distribution also the
    implementations that come with it.
    """
    names = (PROGRAM,) if is_ours(distribution) else (PROGRAM, LIBRARY)
    beside = Path(__file__).resolve().parents[2]
    links = {name: str(beside / name) for name in names if (beside / name).is_dir()}
    known = json.dumps([str(cache), links])
    folder = cache / f"h{hashlib.blake2b(known.encode(), digest_size=8).hexdigest()[1:]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, where in links.items():
        link = folder / name
        if not link.is_symlink() or os.readlink(link) != where:
            temporary = folder / f".{name}.{os.getpid()}"
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(where)
            os.replace(temporary, link)
    return str(folder)


def is_ours(distribution: str) -> bool:
    return distribution.replace("_", "-").replace(".", "-").lower() == OURS


@functools.cache
def _search() -> tuple[list[str], list[str]]:
    # A fresh interpreter in isolated mode: sys.path of this one may hold the script's folder and anything a plugin put there.
    command = [sys.executable, "-I", "-S", "-c", _SEARCH]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise ConfigurationError(f"{sys.executable}: cannot say where its packages are: {done.stderr.strip()[-500:]}")
    search, sites = json.loads(done.stdout.strip().splitlines()[-1])
    return [path for path in search if os.path.isdir(path)], sites
