"""What counts as the code of a row: what it can reach, and nothing else."""

import pytest

from harness.gate.changed import _digest, _files, _imported, _known, same_code
from harness.gate.inventory import Entry
from harness.gate.sides import Side
from harness.record import Planned

FILES = {
    "lib/__init__.py": "HOMES = {'gain': 'lib.gain', 'other': 'lib.other'}\ndef door():\n    import lib.other\n",
    "lib/shared.py": "",
    "lib/lazy.py": "",
    "lib/named.py": "",
    "lib/gain/__init__.py": "from lib.atimport import X\n",
    "lib/atimport.py": "X = 1\n",
    "lib/gain/component.py": "",
    "lib/gain/reference.py": "from . import tables\n",
    "lib/gain/tables.py": "",
    "lib/gain/native.py": "from ..shared import x\nNAME = 'lib.named:OBJECT'\ndef load():\n    from lib import lazy\n",
    "lib/gain/_native.so": "binary",
    "lib/gain/weights/deep/w.bin": "1",
    "lib/gain/targets.toml": "",
    "lib/gain/peer.py": "",
    "lib/gain/tools/__init__.py": "",
    "lib/gain/tools/data.bin": "",
    "lib/other/__init__.py": "",
    "lib/other/data.bin": "",
    "lib-1.dist-info/METADATA": "",
}
REACHED = [
    "lib/__init__.py", "lib/shared.py", "lib/lazy.py", "lib/named.py", "lib/gain/__init__.py", "lib/atimport.py", "lib/gain/component.py",
    "lib/gain/reference.py", "lib/gain/tables.py", "lib/gain/native.py", "lib/gain/_native.so", "lib/gain/weights/deep/w.bin",
    "lib/gain/targets.toml",
]  # fmt: skip
ROW = Planned("gain", "native", "optimized", {}, {}, "one", 3)
ENTRIES = (
    Entry("gain", "lib.gain.component:COMPONENT", "component"),
    Entry("gain.reference", "lib.gain.reference:IMPLEMENTATION", "implementation", role="reference"),
    Entry("gain.native", "lib.gain.native:IMPLEMENTATION", "implementation", role="optimized"),
    Entry("gain.peer", "lib.gain.peer:IMPLEMENTATION", "implementation", role="peer"),
)


@pytest.fixture
def side(tmp_path):
    """A function: name, files that differ -> a side."""

    def made(name, **changed):
        folder = tmp_path / name
        for path, text in {**FILES, **changed.get("files", {})}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        entries = {entry.name: entry for entry in changed.get("entries", ENTRIES)}
        return Side(name, "c", False, folder, (), folder, entries)

    for cached in (_files, _known, _imported, _digest):
        cached.cache_clear()
    return made


def test_equal_files_are_the_same_code(side):
    assert same_code(ROW, side("head"), side("base"))


@pytest.mark.parametrize("path", FILES)
def test_a_change_matters_where_the_row_can_reach_it(side, path):
    head = side("head", files={path: FILES[path] + "\n# changed\n"})
    assert same_code(ROW, head, side("base")) == (path not in REACHED)


def test_a_new_file_beside_a_module_matters(side):
    assert not same_code(ROW, side("head", files={"lib/gain/more.bin": ""}), side("base"))


def test_another_entry_point_is_other_code(side):
    entries = (*ENTRIES[:2], Entry("gain.native", "lib.gain.tables:IMPLEMENTATION", "implementation", role="optimized"))
    assert not same_code(ROW, side("head", entries=entries), side("base"))


@pytest.mark.parametrize("missing", ["gain", "gain.native"])
def test_what_a_side_lacks_is_never_the_same(side, missing):
    entries = tuple(entry for entry in ENTRIES if entry.name != missing)
    assert not same_code(ROW, side("head", entries=entries), side("base", entries=entries))


def test_code_from_elsewhere_than_the_side_is_never_the_same(side):
    entries = (*ENTRIES[:2], Entry("gain.native", "elsewhere.native:IMPLEMENTATION", "implementation", role="optimized"))
    assert not same_code(ROW, side("head", entries=entries), side("base", entries=entries))
