"""A block in other frameworks: what cannot run says why, what was measured is told."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

PROGRAM = """
import sys
import torch
from implementations import _frameworks

def runs(module, inputs, threads):
    return lambda: module(*inputs).detach().numpy()

def fails(module, inputs, threads):
    raise ImportError("no such framework")

_frameworks.FRAMEWORKS = {frameworks}
block = lambda: _frameworks.Block(torch.nn.Linear(4, 4), (torch.ones(1, 4),), {{}})
sys.exit(_frameworks.main("peers", None, (), block, {{"MNN": "speedup_framework"}}))
"""


@pytest.mark.parametrize(
    ("frameworks", "code", "told"), [('{"other": fails, "MNN": runs}', 0, ["speedup_framework"]), ('{"MNN": fails}', 1, [])]
)
def test_what_runs_is_told_and_what_does_not_says_why(frameworks, code, told, tmp_path):
    (tmp_path / "peers.py").write_text(PROGRAM.format(frameworks=frameworks))
    figures = tmp_path / "figures"
    environment = {**os.environ, "HARNESS_FIGURES": str(figures), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "peers", "--rounds", "2"], env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    assert "ImportError: no such framework" in done.stdout
    assert ("the reference [" in done.stdout) == bool(told)
    found = [json.loads(line) for line in figures.read_text().splitlines()] if figures.exists() else []
    assert [one["metric"] for one in found] == told
    assert all(one["low"] <= one["value"] <= one["high"] for one in found)
