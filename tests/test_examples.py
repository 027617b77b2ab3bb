"""The packages under examples/: installed as distributions of their own, they register, pass their tests, are judged by their targets."""

from pathlib import Path

import fresh
import pytest

EXAMPLES = sorted(path.parent for path in (Path(__file__).parent.parent / "examples").glob("*/pyproject.toml"))
pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.name)
def installed(request, tmp_path_factory):
    """(name of its component, a copy of the package, variables of an environment in which it is installed)."""
    folder = tmp_path_factory.mktemp("example")
    variables = fresh.environment(folder / "venv")
    fresh.run(["cp", "-r", str(request.param), "package"], folder, variables)
    command = ["python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "./package"]
    code, said = fresh.run(command, folder, variables)
    assert code == 0, said
    return request.param.name, folder / "package", variables


def test_it_is_listed(installed):
    name, folder, variables = installed
    code, said = fresh.run(["harness", "list", name], folder, variables)
    assert code == 0, said
    assert "optimized" in said
    assert "broken" not in said
    assert "at import time" not in said


def test_it_passes_its_own_tests(installed):
    _, folder, variables = installed
    code, said = fresh.run(["python", "-m", "pytest", "-q", "tests"], folder, variables)
    assert code == 0, said


def test_it_is_measured_and_its_targets_are_judged(installed):
    name, folder, variables = installed
    code, said = fresh.run(["harness", "run", name, "--case", "quick"], folder, variables)
    assert code in (0, 3), said  # 3: this machine is busy
    assert "of 2 targets" in said
