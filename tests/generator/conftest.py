"""One thread: two that share products this small wait for each other, and on a busy machine that takes most of the time."""

import importlib
import json
import sys

import pytest

from harness.claims import load
from harness.figures import FILE, Figure


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def told_by(tmp_path, monkeypatch):
    """What the program of this name tells, by metric: exactly what claims.toml expects of the command without arguments."""

    def run(name, *arguments):
        command, path = f"python -m {name}", tmp_path / "figures"
        monkeypatch.setenv(FILE, str(path))
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        importlib.import_module(name).main()
        figures = [Figure(**json.loads(line)) for line in path.read_text().splitlines()]
        expected = sorted({claim.metric for claim in load() if claim.shown_by == command})
        assert sorted(figure.metric for figure in figures) == expected
        assert expected, f"no claim is shown by {command}"
        return {figure.metric: figure for figure in figures}

    return run
