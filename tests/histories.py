"""Histories made by hand: sessions of a machine, ratio series, a repository whose commits they belong to."""

import dataclasses
import math
import subprocess
from pathlib import Path

import numpy as np
from synthetic import launches, record

from harness import history
from harness.machine import Core, Machine
from harness.targets import Target

HERE = Machine(
    system="linux", architecture="x86_64", brand="Example CPU", cores=(Core("genuine", 143, 2, 6),), physical_cores=1, logical_cores=2,
    caches=(), memory_gib=24.0, instruction_sets=("avx2",),
)  # fmt: skip
COMMITS = [f"{number:02d}" * 20 for number in range(1, 60)]
RTF = Target("spectrogram", "any", "rtf", "the issue", "stated", at_most=0.1)
FASTER = Target("spectrogram", "any", "speedup_over_reference", "the issue", "stated", at_least=2.0)
TARGETS = (RTF, FASTER)


def session(number=0, *, native=0.010, reference=0.100, name="s", **fields):
    """Three launches of reference and native at a clean commit."""
    common = {
        "machine": HERE.name, "commit": COMMITS[number], "commit_date_ms": 1_700_000_000_000 + number * 86_400_000, "dirty": False,
        "session": f"{name}{number:03d}", "environment": {"python": "3.11.7", "packages": "mlx+torch", "numpy": "2.4"},
    }  # fmt: skip
    return launches("reference", reference, **{**common, **fields}) + launches("native", native, **{**common, **fields})


def find(points, metric, series, implementation="native"):
    found = [p for p in points if (p.key.metric, p.key.series, p.key.implementation) == (metric, series, implementation)]
    assert len(found) == 1, found
    return found[0]


def with_fault(item, **fault):
    if "outcome" in fault:
        return record(item.implementation, outcome=fault["outcome"], message=fault["message"], **identity(item))
    return dataclasses.replace(item, parity=tuple(fault["parity"]))


def identity(item):
    names = ("launch", "machine", "commit", "commit_date_ms", "dirty", "session", "environment")
    return {name: getattr(item, name) for name in names}


def ratios(values, key=None, start=0):
    key = key or history.Key("spectrogram", "seconds_per_call", "ratio", "native", "drums")
    return [history.Point(key, f"{start + i:040x}", i * 1000, float(value)) for i, value in enumerate(values)]


def noise(generator, count, level, heavy):
    return np.exp(level * (generator.standard_t(4, count) / math.sqrt(2) if heavy else generator.normal(size=count)))


def git(folder, *arguments):
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder):
    """Make the folder a repository with the project's asv configuration and five commits with history of this machine."""
    git(folder, "init", "-q", "-b", "main")
    (folder / "asv.conf.json").write_text((Path(__file__).parent.parent / "asv.conf.json").read_text())
    git(folder, "add", ".")
    records = []
    for number in range(5):
        git(folder, "commit", "-q", "--allow-empty", "-m", str(number))
        commit = git(folder, "rev-parse", "HEAD")
        records += [dataclasses.replace(r, commit=commit) for r in session(number)]
    history.project(records, folder / "baselines", HERE, TARGETS)
    return folder
