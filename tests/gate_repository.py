"""A plugin author's git repository for tests of the gate, and what a worker of a side says when it is run."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

from harness.gate import sides
from harness.measure.process import WorkerProcess, pins

SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
SCIKIT = '[build-system]\nrequires = ["scikit-build-core>=0.10"]\nbuild-backend = "scikit_build_core.build"\n'
SCIKIT_TOOL = '[tool.scikit-build]\nwheel.cmake = false\nwheel.packages = ["src/acme_gain"]\n'
PROJECT = """
[project]
name = "acme-gain"
version = "{version}"

[project.entry-points."harness.components"]
acme_gain = "acme_gain.component:COMPONENT"

[project.entry-points."harness.implementations"]
"acme_gain.reference" = "acme_gain.component:REFERENCE"
"acme_gain.fast" = "acme_gain.fast:IMPLEMENTATION"
"spectrogram.acme" = "acme_gain.fast:SPECTROGRAM"
{more}
"""
COMPONENT = """
from contextlib import contextmanager
import numpy as np
from harness.component import Case, Component, Identical, Implementation, Unit

COMPONENT = Component(
    "acme_gain", Unit("sample"), (Case("short", lambda seed: {{"x": np.arange(3.0)}}, quick=True),),
    {{"y": Identical()}}, lambda inputs, outputs: outputs["y"].size, version={contract},
)

@contextmanager
def load(settings):
    yield lambda inputs: {{"y": inputs["x"] * {gain}}}

REFERENCE = Implementation("acme_gain", "reference", "reference", load)
"""
FAST = """
from contextlib import contextmanager
from harness.component import Implementation, Variant

@contextmanager
def load(settings):
    from acme_gain.kernel import gain
    yield lambda inputs: {"y": gain(inputs["x"])}

IMPLEMENTATION = Implementation(
    "acme_gain", "fast", "optimized", load, clock="cpu", settings=("threads", "precision"),
    variants=(Variant({"precision": "float32"}),),
)
SPECTROGRAM = Implementation("spectrogram", "acme", "optimized", load)
"""


class Repository:
    """A git repository with the distribution acme-gain in it. `folder` is the distribution's."""

    def __init__(self, top, inside="."):
        self.top, self.folder = top, top / inside
        self.folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.write(".gitignore", "*.so\n__pycache__/\nbuild/\n*.egg-info/\n.venv/\n")

    def git(self, *arguments):
        person = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
        done = subprocess.run(["git", "-C", self.top, *person, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def describe(self, gain, *, contract=1, more="", version="1.0", system=SETUPTOOLS, tool=""):
        """The files of a version of the plugin that multiplies by `gain`."""
        self.write("pyproject.toml", system + PROJECT.format(version=version, more=more) + tool)
        self.write("src/acme_gain/__init__.py", "")
        self.write("src/acme_gain/component.py", COMPONENT.format(contract=contract, gain=gain))
        self.write("src/acme_gain/fast.py", FAST)
        self.write("src/acme_gain/kernel.py", f"def gain(x):\n    return x * {gain}\n")

    def commit(self, message="change"):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def side(self, name, ref, cache, note=lambda text: None):
        return sides.build(sides.project_distribution(self.folder), ref, name, cache=cache, note=note)


def ran(side, entry="acme_gain.fast"):
    """(the output for 1.0, the files loaded for it) in a worker of the side."""
    with WorkerProcess(entry, pins(1, {}), paths=side.paths, python=str(side.python)) as worker:
        worker.ask("prepare", inputs={"0": {"x": np.ones(1)}}, seed=1)
        loaded = worker.ask("load", implementation=side.entries[entry].value, settings={})
        output = worker.ask("outputs", seeds=[0])["outputs"][0]["y"]
    assert os.path.realpath(loaded["file"]) in loaded["files"]
    return float(output[0]), loaded["files"]


def main(folder, cache, *named):
    """Build the sides `name=ref` and run them; one line of JSON with what ran where. In a process, for an environment of its own."""
    told = {}
    for name, ref in (one.split("=") for one in named):
        notes = []
        side = sides.build(sides.project_distribution(Path(folder)), ref or None, name, cache=Path(cache), note=notes.append)
        output, files = ran(side)
        told[name] = {"output": output, "files": files, "folder": str(side.folder), "stray": side.stray(files), "notes": notes}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
