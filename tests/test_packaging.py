"""The sdist and the wheel: what is in them, and that they work outside the checkout, with and without a compiler."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.long


def run(*command, cwd, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CXX", "CC")}
    return subprocess.run(command, cwd=cwd, env={**clean, **environment}, text=True, capture_output=True, check=False, timeout=900)


def checked(*command, cwd, **environment):
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An sdist of the tracked files, and a wheel built from that sdist, as `python -m build` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "checkout"
    # A clean clone: nothing that lies about in the working tree can get into the distribution.
    checked("git", "clone", "-q", str(ROOT), str(source), cwd=folder)
    checked(sys.executable, "-m", "build", "--no-isolation", "-o", str(folder), cwd=source)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture
def outside(tmp_path):
    """A function that unpacks a wheel into a fresh environment that sees the installed dependencies, and gives its python."""

    def install(wheel):
        folder = tmp_path / "venv"
        venv.create(folder, with_pip=False, symlinks=True)
        (site,) = (folder / "lib").glob("python*/site-packages")
        checked(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site), str(wheel), cwd=tmp_path)
        # Dependencies by plain path, after the wheel: the editable install's import hook lives in a .pth and is not executed.
        import numpy

        (site / "dependencies.pth").write_text(str(Path(numpy.__file__).parent.parent))
        return folder / "bin" / "python"

    return install


WORKS = """
import numpy as np, harness, implementations
from harness import registry
assert "site-packages" in harness.__file__, harness.__file__
found = registry.discover()
assert not found.broken, found.broken
names = set(found.components)
native = registry.unavailable(found.implementations("spectrogram")["native"])
print(sorted(names), native)
"""


def test_tests_and_benchmarks_stay_out(built):
    sdist, wheel = built
    inside = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("harness/") for name in inside)
    assert any(name.endswith("targets.toml") for name in inside)
    assert any(name.startswith("harness/profiles/") for name in inside)
    assert "harness/scaffold/templates/component/src/__package__/component.py.in" in inside
    assert any("_native" in name for name in inside)
    assert not [name for name in inside if name.split("/")[0] in ("tests", "benchmarks", "baselines") or name.endswith((".cpp", ".hpp"))]
    with tarfile.open(sdist) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    assert "CMakeLists.txt" in names
    assert "implementations/spectrogram/kernel.cpp" in names
    assert "LICENSE" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "baselines/"))]


def test_the_wheel_works_outside_the_checkout(built, outside, tmp_path):
    python = outside(built[1])
    assert "None" in checked(str(python), "-c", WORKS, cwd=tmp_path)
    listing = checked(str(python), "-m", "harness.cli", "list", cwd=tmp_path)
    assert "spectrogram" in listing
    assert "native" in listing


def test_without_a_compiler_the_install_succeeds_and_says_so(built, outside, tmp_path):
    with tarfile.open(built[0]) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (source,) = (tmp_path / "sdist").iterdir()
    checked(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", str(tmp_path / "bare"), cwd=source, CXX="no-such-compiler")
    (wheel,) = (tmp_path / "bare").glob("*.whl")
    python = outside(wheel)
    assert "native: not built" in checked(str(python), "-c", WORKS, cwd=tmp_path)
    assert "native: not built" in checked(str(python), "-m", "harness.cli", "list", cwd=tmp_path)


def test_a_compile_error_fails_the_install(built, tmp_path):
    with tarfile.open(built[0]) as archive:
        archive.extractall(tmp_path / "sdist", filter="data")
    (source,) = (tmp_path / "sdist").iterdir()
    kernel = source / "implementations" / "spectrogram" / "kernel.cpp"
    kernel.write_text("#error planted\n" + kernel.read_text())
    done = run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", str(tmp_path / "broken"), cwd=source)
    assert done.returncode != 0
    assert "planted" in done.stdout + done.stderr
