"""The helper that makes the published madmom wheel importable."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from implementations._madmom import madmom_module


@pytest.mark.skipif(find_spec("madmom") is None, reason="madmom is not installed")
def test_it_imports_madmom_in_a_fresh_process_and_leaves_no_path_behind():
    code = (
        "import sys; before = list(sys.path); from implementations._madmom import madmom_module; "
        "assert madmom_module('madmom.features.downbeats').DBNDownBeatTrackingProcessor; "
        "assert madmom_module().__version__; assert sys.path == before, sys.path"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_it_says_what_is_missing(monkeypatch):
    path = list(sys.path)
    for name in [name for name in sys.modules if name.split(".")[0] == "madmom"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "madmom", None)
    with pytest.raises(ImportError, match="madmom"):
        madmom_module("madmom.features")
    assert sys.path == path
