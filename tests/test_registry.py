import importlib.metadata
import sys
import textwrap

import pytest

from harness import registry
from harness.component import Requires

PLUGIN = """
from contextlib import contextmanager
import numpy as np
from harness.component import Case, Component, Identical, Implementation, Requires, Unit

COMPONENT = Component(
    name="gain", unit=Unit("sample"), cases=(Case("one", lambda seed: {"x": np.ones(4)}, quick=True),),
    policy={"y": Identical()}, produced=lambda inputs, outputs: float(len(outputs["y"])),
)

@contextmanager
def load(settings):
    yield lambda inputs: {"y": inputs["x"] * 2}

REFERENCE = Implementation("gain", "reference", "reference", load)
NEEDY = Implementation("gain", "needy", "optimized", load, requires=Requires(packages=("no_such_package_here",)))
STRANGER = Implementation("unheard_of", "reference", "reference", load)
NUMBER = 7
"""


BUSY = "until = time.process_time() + 0.06\nwhile time.process_time() < until: pass\n"


@pytest.fixture
def points(tmp_path, monkeypatch):
    """A function (name, value) -> entry point into a fresh plugin package; further modules by keyword."""

    def write(**modules):
        for name, text in {"gain_plugin": PLUGIN, **modules}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))

    monkeypatch.syspath_prepend(tmp_path)
    write()

    def make(name, value, **modules):
        write(**modules)
        group = registry.IMPLEMENTATIONS if "." in name else registry.COMPONENTS
        return importlib.metadata.EntryPoint(name, value, group)

    yield make
    for name in [n for n in sys.modules if n.startswith("gain_")]:
        del sys.modules[name]


def test_discover_finds_components_and_orders_implementations(points):
    found = registry.discover(
        [
            points("gain.needy", "gain_plugin:NEEDY"),
            points("gain", "gain_plugin:COMPONENT"),
            points("gain.reference", "gain_plugin:REFERENCE"),
        ]
    )
    assert not found.broken
    assert list(found.implementations("gain")) == ["reference", "needy"]
    assert found.reference("gain").name == "reference"
    assert found.entry("gain").folder is not None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gain.number", "gain_plugin:NUMBER", "expected a harness.component.Implementation, found int"),
        ("gain.other", "gain_plugin:REFERENCE", "calls itself 'gain.reference'"),
        ("unheard_of.reference", "gain_plugin:STRANGER", "'unheard_of' is not registered"),
        ("gain.absent", "gain_plugin:ABSENT", "raised AttributeError"),
        ("gain.missing", "gain_no_such_module:X", "raised ModuleNotFoundError"),
    ],
)
def test_a_wrong_entry_is_broken_with_the_reason_and_the_others_live(points, name, value, message):
    found = registry.discover(
        [points("gain", "gain_plugin:COMPONENT"), points("gain.reference", "gain_plugin:REFERENCE"), points(name, value)]
    )
    (broken,) = found.broken
    assert broken.name == name
    assert message in broken.error
    assert "reference" in found.implementations("gain")


@pytest.mark.parametrize("body", ["raise RuntimeError('boom')", "import sys; sys.exit(3)", "1 / 0"])
def test_a_plugin_that_raises_at_import_is_broken(points, body):
    found = registry.discover([points("gain.bad", "gain_bad:X", gain_bad=body)])
    assert "raised" in found.broken[0].error


def test_a_plugin_that_prints_or_is_slow_or_imports_a_framework_is_named(points, capsys):
    body = "import time, sys, types\nprint('hello')\nsys.modules['numba'] = types.ModuleType('numba')\n" + BUSY + PLUGIN
    sys.modules.pop("numba", None)
    try:
        found = registry.discover([points("gain", "gain_rude:COMPONENT", gain_rude=body)])
    finally:
        sys.modules.pop("numba", None)
    notes = " ".join(found.entries[0].notes)
    assert "imports numba" in notes
    assert "ms of CPU time to import; keep it under 50 ms" in notes
    assert "prints at import time: 'hello'" in notes
    assert capsys.readouterr().out == ""


def test_a_plugin_that_only_had_to_wait_is_not_called_slow(points):
    found = registry.discover([points("gain", "gain_waits:COMPONENT", gain_waits="import time\ntime.sleep(0.1)\n" + PLUGIN)])
    assert found.entries[0].notes == ()


def test_a_name_registered_twice_counts_once(points):
    entries = [points("gain", "gain_plugin:COMPONENT"), points("gain.reference", "gain_plugin:REFERENCE")]
    found = registry.discover([*entries, points("gain.reference", "gain_plugin:REFERENCE")])
    assert "registered twice" in found.broken[0].error
    assert len(found.implementations("gain")) == 1


def test_select_is_never_silently_empty(points):
    found = registry.discover([points("gain", "gain_plugin:COMPONENT"), points("gain.reference", "gain_plugin:REFERENCE")])
    assert set(found.select(["gain"])) == {"gain"}
    assert set(found.select(["gain.ref*"])) == {"gain"}
    with pytest.raises(registry.RegistryError, match=r"nothing matches 'spectogram'.*known: gain"):
        found.select(["gain", "spectogram"])


def test_a_component_without_a_reference_is_an_error(points):
    found = registry.discover([points("gain", "gain_plugin:COMPONENT"), points("gain.needy", "gain_plugin:NEEDY")])
    with pytest.raises(registry.RegistryError, match="exactly one implementation with role 'reference', found none"):
        found.reference("gain")


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        (Requires(), None),
        (Requires(packages=("numpy",)), None),
        (Requires(packages=("no_such_package_here",)), "no_such_package_here: not installed"),
        (Requires(cpu_flags=("a_flag_nobody_has",)), "this CPU lacks a_flag_nobody_has"),
        (Requires(native="harness._no_such_kernel"), "native: not built"),
        (Requires(why_not=lambda: "not on Sundays"), "not on Sundays"),
        (Requires(why_not=lambda: 1 / 0), "raised ZeroDivisionError"),
    ],
)
def test_unavailability_has_a_reason(points, requires, reason):
    import dataclasses

    item = registry.discover([points("gain", "gain_plugin:COMPONENT"), points("gain.reference", "gain_plugin:REFERENCE")])
    found = registry.unavailable(dataclasses.replace(item.reference("gain"), requires=requires))
    assert found == reason or (reason is not None and reason in (found or ""))


def test_a_stale_native_build_is_told_from_a_current_one(tmp_path):
    import hashlib
    import types

    (tmp_path / "kernel.cpp").write_text("int one() { return 1; }")
    digest = hashlib.sha256((tmp_path / "kernel.cpp").read_bytes()).hexdigest()
    built = types.SimpleNamespace(SOURCE_HASH=hashlib.sha256(digest.encode()).hexdigest(), SOURCE_LIST="kernel.cpp")
    assert not registry._stale(built, [tmp_path])
    (tmp_path / "kernel.cpp").write_text("int one() { return 2; }")
    assert registry._stale(built, [tmp_path])
    (tmp_path / "kernel.cpp").unlink()
    assert not registry._stale(built, [tmp_path]), "an installed wheel carries no sources and is never stale"
