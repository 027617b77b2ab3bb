"""From source files to the unpacked wheel, with the build back-end that is installed, without a network."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.gate import environment
from harness.measure.process import without_python

PATIENCE_SECONDS = 1800.0
LAST_LINES = 30
BUILD_VARIABLES = re.compile("CC|CXX|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|(CMAKE|SKBUILD)_.*")
"""What a caller may set that changes what comes out of the compiler."""

_HOOK = """
import importlib, json, sys
backend, paths, folder = json.loads(sys.argv[1])
sys.path[:0] = paths
module, _, attribute = backend.partition(":")
found = importlib.import_module(module)
for part in filter(None, attribute.split(".")):
    found = getattr(found, part)
found.build_wheel(folder)
"""


class BuildFailed(Exception):
    """A side that cannot be built, or does not run from its own folder; the gate is invalid for this reason."""


def tools(pyproject: str) -> list[str]:
    """What a build depends on beside its sources: versions of the installed build requirements, compiler, flags."""
    versions = [f"{name} {_version(name) or 'missing'}" for name in _requirements(pyproject)]
    flags = sorted(f"{name}={value}" for name, value in os.environ.items() if BUILD_VARIABLES.fullmatch(name))
    return [*versions, *flags, _compiler()]


def build(source: Path, output: Path, python: Path, *, version: str) -> Path:
    """The wheel of a source tree, built with the interpreter of an environment that sees the build requirements.

    version: for back-ends that would ask git. BuildFailed: with the end of what the build said.
    """
    pyproject = source / "pyproject.toml"
    if not pyproject.is_file():
        raise BuildFailed("there is no pyproject.toml in it")
    text = pyproject.read_text(encoding="utf-8", errors="replace")
    system = _system(text)
    missing = [name for name in _requirements(text) if _version(name) is None]
    if missing:
        raise BuildFailed(f"its build requirements are not installed here: {', '.join(missing)}")
    paths = [str(source / folder) for folder in system.get("backend-path", [])]
    backend = system.get("build-backend", "setuptools.build_meta:__legacy__")
    output.mkdir()
    _run([str(python), "-P", "-c", _HOOK, json.dumps([backend, paths, str(output)])], source, _variables(version), output / "log")
    wheels = list(output.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildFailed(f"{backend} was expected to leave one wheel, found {len(wheels)}")
    return wheels[0]


def unpack(wheel: Path, folder: Path) -> None:
    """Install a wheel into the environment in `folder`: packages and data, no scripts."""
    site = environment.site_packages(folder)
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            path = Path(archive.extract(item, site))
            if mode := item.external_attr >> 16 & 0o777:
                path.chmod(mode | 0o600 | (0o100 if path.is_dir() else 0))
    for data in site.glob("*.data"):
        for kind, place in (("purelib", site), ("platlib", site), ("data", folder)):
            if (data / kind).is_dir():
                shutil.copytree(data / kind, place, dirs_exist_ok=True)
        shutil.rmtree(data)


def _system(pyproject: str) -> dict[str, Any]:
    try:
        found = tomllib.loads(pyproject).get("build-system", {})
    except tomllib.TOMLDecodeError as error:
        raise BuildFailed(f"its pyproject.toml cannot be read: {error}") from None
    return found if isinstance(found, dict) else {}


def _requirements(pyproject: str) -> list[str]:
    """Names of the build requirements; one with a marker may be for another system and is left to the back-end."""
    asked = _system(pyproject).get("requires", ["setuptools"])
    return [found.group() for text in asked if ";" not in text and (found := re.match(r"[A-Za-z0-9._-]+", text.strip()))]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _compiler() -> str:
    command = shlex.split(os.environ.get("CXX") or "c++")
    found = shutil.which(command[0])
    if found is None:
        return "no compiler"
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False, timeout=60)
    return f"{found} {done.stdout}"


def _variables(version: str) -> dict[str, str]:
    # Beside the environment's own programs those of the packages that it shares: ninja, cmake.
    programs = [sysconfig.get_path("scripts"), os.path.dirname(os.path.realpath(sys.executable))]
    search = os.pathsep.join([*programs, os.environ.get("PATH", os.defpath)])
    # The unpacked files are no git checkout any more.
    return {"SETUPTOOLS_SCM_PRETEND_VERSION": version, **without_python(), "PATH": search}


def _run(command: list[str], folder: Path, variables: Mapping[str, str], log: Path) -> None:
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        code = process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"its build did not end within {PATIENCE_SECONDS:g} s") from None
    finally:
        # Also when interrupted: no compiler goes on alone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LAST_LINES:]
        raise BuildFailed("\n".join([f"its build ended with exit code {code}; the last it said:", *said]))
