"""Sides: built from a commit or the working tree, and nothing but what was built runs in their workers."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import psutil
import pytest
from gate_repository import SCIKIT, SCIKIT_TOOL, SETUPTOOLS, Repository, ran

from harness.gate import cache as store
from harness.gate import door, inventory, sides, wheel
from harness.gate.environment import shared_folders
from harness.gate.session import Sides
from harness.gate.sides import BuildFailed, Side
from harness.measure.process import WorkerProcess, pins
from harness.settings import ConfigurationError

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Base multiplies by 2 (contract 1), head by 3 (contract 2)."""
    made = Repository(tmp_path_factory.mktemp("acme"))
    made.describe(2.0)
    made.base = made.commit()
    made.describe(3.0, contract=2)
    made.head = made.commit()
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("data") / "built sides"  # a space, as in macOS's data folder


@pytest.fixture(scope="module")
def built(repository, cache):
    """base, head, copy."""
    return {name: repository.side(name, ref, cache) for name, ref in (("base", repository.base), ("head", None), ("copy", repository.base))}


@pytest.fixture
def own(tmp_path):
    """A repository of the test's own, with one commit that multiplies by 2."""
    made = Repository(tmp_path / "acme")
    made.describe(2.0)
    made.base = made.commit()
    return made


def asked(*command, **variables):
    return subprocess.run(command, check=True, capture_output=True, env={**os.environ, **variables}).stdout


def inside(side, files):
    return bool(files) and all(Path(file).is_relative_to(side.folder.resolve()) for file in files)


# What runs.


def test_each_side_runs_its_own_files(built):
    outputs = {}
    for name, side in built.items():
        outputs[name], files = ran(side)
        assert inside(side, files)
        assert {Path(file).name for file in files} == {"__init__.py", "fast.py", "kernel.py"}
        assert side.stray(files) == []
    assert outputs == {"base": 2.0, "head": 3.0, "copy": 2.0}
    assert len({side.folder for side in built.values()}) == 3


def test_sides_of_any_number_of_entries_reach_the_program_inside(built, monkeypatch):
    """A variable of the environment holds 128 KiB on Linux; this project's three sides take more."""
    head = built["head"]
    (name, entry) = next(iter(head.entries.items()))
    many = {f"{name}{number}": dataclasses.replace(entry, broken="x" * 1000) for number in range(300)}
    given = Sides(dataclasses.replace(head, entries={**head.entries, **many}), built["base"], built["copy"])
    assert door.enter(given, ["--help"]) == 0
    read = []

    class Inside:
        def __init__(self, command, env):
            monkeypatch.setenv(door.SIDES, env[door.SIDES])
            read.append(door.given_sides())

        def wait(self):
            return 0

    monkeypatch.setattr(door, "die_with", lambda parent: None)
    monkeypatch.setattr(door.subprocess, "Popen", Inside)
    assert door.enter(given, []) == 0
    assert read == [given]


def test_paths_of_all_sides_are_equally_long(built):
    assert len({len(str(side.folder)) for side in built.values()}) == 1
    assert len({len(str(side.python)) for side in built.values()}) == 1
    assert len({side.paths for side in built.values()}) == 1


def test_sides_name_their_commit_and_version(built, repository):
    assert built["base"].commit == built["copy"].commit == repository.base
    assert built["head"].commit == repository.head
    assert not any(side.dirty for side in built.values())
    assert built["head"].version == "1.0"


def test_contract_and_rows_are_read_in_the_sides_own_interpreter(built):
    base, head = built["base"].entries, built["head"].entries
    assert (base["acme_gain"].version, head["acme_gain"].version) == (1, 2)
    assert (base["acme_gain"].kind, base["acme_gain"].cases, base["acme_gain"].quick) == ("component", ("short",), "short")
    fast = head["acme_gain.fast"]
    assert (fast.role, fast.clock, fast.settings) == ("optimized", "cpu", ("threads", "precision"))
    assert fast.variants == ({"precision": "float32"},)
    assert fast.broken == fast.unavailable == ""


def test_an_outsiders_implementation_of_our_component_is_a_side_like_any(built):
    assert built["head"].entries["spectrogram.acme"].broken == ""
    assert ran(built["head"], "spectrogram.acme")[0] == 3.0
    assert set(built["head"].entries) == {"acme_gain", "acme_gain.reference", "acme_gain.fast", "spectrogram.acme"}


def test_what_is_installed_beside_us_registers_nothing_in_a_side(built):
    assert not any(entry.value.startswith("implementations") for entry in built["base"].entries.values())


def test_base_and_head_of_one_commit_share_no_file(repository, cache, built):
    same = repository.side("head", repository.base, cache)
    assert same.folder != built["base"].folder
    assert ran(same)[0] == 2.0


# What must not fool it.


def test_variables_of_the_caller_and_the_folder_it_stands_in_change_nothing(built, repository, cache, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(repository.folder / "src", elsewhere)
    (elsewhere / "acme_gain" / "kernel.py").write_text("def gain(x):\n    return x * 99\n")
    user = tmp_path / "user" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    shutil.copytree(elsewhere, user)
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "user"))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONSTARTUP", str(elsewhere / "acme_gain" / "kernel.py"))
    monkeypatch.chdir(elsewhere)
    again = repository.side("base", repository.base, cache)
    assert again == built["base"]
    output, files = ran(again)
    assert output == 2.0
    assert inside(again, files)


@pytest.mark.parametrize(
    ("system", "tool", "options"),
    [
        (SETUPTOOLS, "", []),
        (SETUPTOOLS, "", ["--config-settings", "editable_mode=strict"]),
        (SCIKIT, SCIKIT_TOOL, []),
    ],
    ids=["setuptools-path", "setuptools-strict", "scikit-build-core"],
)
def test_an_editable_install_of_head_changes_nothing(tmp_path, system, tool, options):
    repository = Repository(tmp_path / "acme")
    repository.describe(2.0, system=system, tool=tool)
    late = "try:\n    import acme_late as late\nexcept ImportError:\n    late = None\n"
    repository.write("src/acme_gain/kernel.py", late + "def gain(x):\n    return x * (99 if late else 2)\n")
    base = repository.commit()
    repository.describe(3.0, system=system, tool=tool)
    repository.write("src/acme_late/__init__.py", "")
    repository.commit()
    installed, seen = tmp_path / "venv", [*shared_folders(ROOT), str(ROOT)]
    venv.EnvBuilder(symlinks=True).create(installed)
    (next(installed.glob("lib/*/site-packages")) / "shared.pth").write_text("\n".join(seen))
    python = [str(installed / "bin" / "python")]
    pip = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation", *options, "-e", str(repository.folder)]
    subprocess.run([*python, *pip], check=True, capture_output=True)
    script = ["-m", "gate_repository", str(repository.folder), str(tmp_path / "sides"), f"base={base}", "head="]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run([*python, *script], check=False, capture_output=True, text=True, env=variables, cwd=repository.folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # The trap is armed: in that environment base by PYTHONPATH, as asv and others do it, or by no path at all, is head.
    where = subprocess.run([*python, "-c", "import acme_gain.kernel as k; print(k.gain(1))"], check=True, capture_output=True, text=True)
    assert where.stdout == "3.0\n"
    assert {name: side["output"] for name, side in told.items()} == {"base": 2.0, "head": 3.0}
    for side in told.values():
        assert side["stray"] == []
        assert all(file.startswith(f"{os.path.realpath(side['folder'])}{os.sep}") for file in side["files"])


def test_what_a_stale_build_left_in_the_tree_is_not_built_in(own, tmp_path):
    left = own.write("build/lib/acme_gain/left_behind.py", "")
    own.write("src/acme_gain/_native.cpython-311-x86_64-linux-gnu.so", "stale")
    own.write("src/acme_gain/kernel.py", "def gain(x):\n    return x * 4.0\n")
    head = own.side("head", None, tmp_path / "sides")
    assert left.exists()
    assert head.dirty
    assert sorted(path.name for path in (head.folder / "acme_gain").glob("*.*")) == ["__init__.py", "component.py", "fast.py", "kernel.py"]
    assert ran(head)[0] == 4.0


def test_a_module_that_comes_from_elsewhere_is_seen(built, repository, tmp_path):
    shutil.copytree(repository.folder / "src" / "acme_gain", tmp_path / "acme_gain")
    side = built["base"]
    with WorkerProcess("fooled", pins(1, {}), paths=[str(tmp_path), *side.paths], python=str(side.python)) as worker:
        files = worker.ask("load", implementation="acme_gain.fast:IMPLEMENTATION", settings={})["files"]
    assert side.stray(files) == files != []


def test_strays_are_told_from_neighbours_in_a_namespace():
    about = {"name": "base", "commit": "", "dirty": False, "python": Path("/p"), "paths": (), "entries": {}}
    side = Side(folder=Path("/side/site-packages"), packages=("acme/dsp", "acme_one.py"), shared=("/home/acme/dsp/venv",), **about)
    neighbour, own = "/home/acme/dsp/venv/acme/core/x.py", "/side/site-packages/acme/dsp/x.py"
    assert side.stray([neighbour, own, "/home/acme/dsp/venv/numpy/__init__.py"]) == []
    strays = ["/home/acme/dsp/venv/acme/dsp/x.py", "/tree/src/acme/dsp/__init__.py", "/tree/acme_one.py"]
    assert side.stray(strays) == strays


def test_an_import_that_reaches_out_of_the_build_fails_the_side(own, tmp_path):
    other = tmp_path / "other" / "acme_late.py"
    other.parent.mkdir()
    other.write_text("LATE = 1\n")
    own.write("src/acme_late/__init__.py", "")
    own.write("src/acme_gain/fast.py", f"import sys\nsys.path.insert(0, {str(other.parent)!r})\nimport acme_late\n")
    (tmp_path / "other" / "acme_late").mkdir()
    (tmp_path / "other" / "acme_late" / "__init__.py").write_text("")
    own.commit()
    with pytest.raises(BuildFailed, match=r"from elsewhere than its own build: .*other/acme_late/__init__\.py"):
        own.side("head", None, tmp_path / "sides")


# What is built from.


def test_a_head_with_changes_is_kept_by_its_content(own, tmp_path):
    cache, notes = tmp_path / "sides", []
    clean = own.side("head", None, cache)
    own.write("src/acme_gain/kernel.py", "def gain(x):\n    return x * 5.0\n")
    changed = own.side("head", None, cache, notes.append)
    own.write("src/acme_gain/extra.py", "")
    untracked = own.side("head", None, cache, notes.append)
    assert len({clean.folder, changed.folder, untracked.folder}) == 3
    assert (clean.dirty, changed.dirty, untracked.dirty) == (False, True, True)
    assert (ran(clean)[0], ran(changed)[0]) == (2.0, 5.0)
    assert (untracked.folder / "acme_gain" / "extra.py").exists()
    (own.folder / "src/acme_gain/extra.py").unlink()
    own.write("build/ignored.py", "")
    assert own.side("head", None, cache, notes.append) == changed
    assert len(notes) == 2
    assert all("building head" in note and "with changes" in note for note in notes)


def test_a_distribution_in_a_folder_of_its_repository(tmp_path):
    repository = Repository(tmp_path / "many", "packages/acme")
    repository.describe(2.0)
    repository.commit()
    repository.write("src/acme_gain/kernel.py", "def gain(x):\n    return x * 3.0\n")
    assert ran(repository.side("base", "HEAD", tmp_path / "sides"))[0] == 2.0
    assert ran(repository.side("head", None, tmp_path / "sides"))[0] == 3.0


def test_files_that_git_archive_would_leave_out_are_built(own, tmp_path):
    own.write(".gitattributes", "src/acme_gain/kernel.py export-ignore\n")
    own.commit()
    assert ran(own.side("base", "HEAD", tmp_path / "sides"))[0] == 2.0


def test_inside_a_git_hook_it_reads_the_right_repository(own, tmp_path, monkeypatch):
    other = Repository(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.top / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.top / ".git" / "index"))
    assert own.side("base", "HEAD", tmp_path / "sides").commit == own.base


def test_submodules_and_lfs_are_told(own, tmp_path):
    library = Repository(tmp_path / "library")
    library.commit()
    own.git("submodule", "add", "-q", str(library.top), "library")
    own.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    own.commit()
    notes = []
    own.side("base", "HEAD", tmp_path / "sides", notes.append)
    own.write("untracked.txt", "")
    own.side("head", None, tmp_path / "sides", notes.append)
    assert sum("submodules are left out of the build: library" in note for note in notes) == 2
    assert sum("git LFS" in note for note in notes) == 2


def test_it_builds_without_a_network(own, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    assert ran(own.side("base", "HEAD", tmp_path / "sides"))[0] == 2.0


# What goes wrong.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"system": SETUPTOOLS.replace("setuptools.build_meta", "no_such_backend")}, "No module named 'no_such_backend'"),
        ({"system": SETUPTOOLS.replace('["setuptools>=61"]', '["setuptools", "acme-missing>=2"]')}, "not installed here: acme-missing"),
        ({"tool": "[tool.setuptools.packages.find]\nwhere = 5\n"}, "exit code 1; the last it said:"),
        ({"system": "[build-system"}, "its pyproject.toml cannot be read"),
    ],
    ids=["backend", "requirement", "build", "toml"],
)
def test_base_that_does_not_build_says_why(own, tmp_path, change, reason):
    own.describe(2.0, **change)
    broken = own.commit()
    own.describe(2.0)
    own.commit()
    with pytest.raises(BuildFailed, match=reason) as failure:
        own.side("base", broken, tmp_path / "sides")
    assert f"base ({broken[:12]})" in str(failure.value)
    assert not [path for path in (tmp_path / "sides").iterdir() if path.name[0] != "h"]


STUCK = """
import os, subprocess, sys, time
def build_wheel(folder, config_settings=None, metadata_directory=None):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("halfway", child.pid, flush=True)
    open(os.environ["TOLD"], "w").write(str(child.pid))
    time.sleep(600)
"""


def test_a_build_that_does_not_end_is_ended_with_all_it_started(own, tmp_path, monkeypatch):
    own.describe(2.0, system='[build-system]\nrequires = []\nbuild-backend = "stuck"\nbackend-path = ["tools"]\n')
    own.write("tools/stuck.py", STUCK)
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(wheel, "PATIENCE_SECONDS", 5.0)
    with pytest.raises(BuildFailed, match="did not end within 5 s"):
        own.side("head", None, tmp_path / "sides")
    child = int((tmp_path / "told").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_place_that_cannot_be_written_is_named(own, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"base \(.*\): cannot be built in .*file/sides: .*HARNESS_DATA names another place"):
        own.side("base", "HEAD", tmp_path / "file" / "sides")


def test_the_compiler_and_its_flags_are_part_of_the_key(own, tmp_path, monkeypatch):
    plain = own.side("base", "HEAD", tmp_path / "sides")
    monkeypatch.setenv("CXXFLAGS", "-O0")
    flags = own.side("base", "HEAD", tmp_path / "sides")
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho compiler 99\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    other = own.side("base", "HEAD", tmp_path / "sides")
    compiler.write_text("#!/bin/sh\necho compiler 100\n")
    newer = own.side("base", "HEAD", tmp_path / "sides")
    assert len({side.folder for side in (plain, flags, other, newer)}) == 4


def test_base_from_before_there_was_a_distribution(own, tmp_path):
    own.git("rm", "-q", "--cached", "pyproject.toml")
    own.git("commit", "-q", "-m", "without")
    bare = own.git("rev-parse", "HEAD")
    own.commit()
    with pytest.raises(BuildFailed, match=r"there is no pyproject\.toml in it"):
        own.side("base", bare, tmp_path / "sides")


def test_base_under_another_name(own, tmp_path):
    path = own.folder / "pyproject.toml"
    path.write_text(path.read_text().replace("acme-gain", "acme-loss"))
    other = own.commit()
    own.describe(2.0)
    with pytest.raises(BuildFailed, match=r"expected a wheel of acme-gain, found acme_loss"):
        own.side("base", other, tmp_path / "sides")


def test_errors_of_the_user_say_what_is_expected(own, tmp_path):
    with pytest.raises(ConfigurationError, match=r"'v9': expected a commit of .*acme, found none"):
        own.side("base", "v9", tmp_path / "sides")
    with pytest.raises(ConfigurationError, match=r"'--all': expected a commit"):
        own.side("base", "--all", tmp_path / "sides")
    own.write("pyproject.toml", SETUPTOOLS)
    with pytest.raises(ConfigurationError, match=r"expected the name of the distribution in \[project\], found None"):
        sides.project_distribution(own.folder)
    alone = tmp_path / "alone"
    alone.mkdir()
    with pytest.raises(ConfigurationError, match=r"expected a pyproject\.toml here or above"):
        sides.project_distribution(alone)
    (alone / "pyproject.toml").write_text('[project]\nname = "alone"\n')
    with pytest.raises(ConfigurationError, match="not a git repository"):
        sides.project_distribution(alone)


BAD = {
    "loud": "import os\nprint('hello')\nos.write(1, b'{\"files\": 1}\\n')\nos.write(2, b'louder\\n')\n",
    "raises": "raise RuntimeError('no such weights')\n",
    "leaves": "raise SystemExit(0)\n",
    "dies": "import os\nos.write(2, b'last words')\nos._exit(3)\n",
    "sleeps": "import time\ntime.sleep(600)\n",
    "named": "from acme_gain.fast import SPECTROGRAM\n",
    "wrong": "SPECTROGRAM = 5\n",
    "last": "import dataclasses\nfrom acme_gain.fast import SPECTROGRAM\nSPECTROGRAM = dataclasses.replace(SPECTROGRAM, name='last')\n",
}


def test_a_plugin_that_misbehaves_at_import_is_a_fact_and_the_others_are_read(own, tmp_path, monkeypatch):
    monkeypatch.setattr(inventory, "PATIENCE_SECONDS", 4.0)
    more = "".join(f'"spectrogram.{name}" = "acme_gain.bad_{name}:SPECTROGRAM"\n' for name in BAD)
    own.describe(2.0, more=more)
    for name, text in BAD.items():
        own.write(f"src/acme_gain/bad_{name}.py", text)
    own.write("src/acme_gain/bad_loud.py", BAD["loud"] + BAD["last"].replace("'last'", "'loud'"))
    entries = own.side("head", None, tmp_path / "sides").entries
    assert {name for name, entry in entries.items() if not entry.broken} == {
        "acme_gain", "acme_gain.reference", "acme_gain.fast", "spectrogram.acme", "spectrogram.loud", "spectrogram.last",
    }  # fmt: skip
    assert "raised RuntimeError: no such weights" in entries["spectrogram.raises"].broken
    assert "raised SystemExit" in entries["spectrogram.leaves"].broken
    assert entries["spectrogram.dies"].broken == "ended its process with exit code 3; printed: last words"
    assert "did not finish importing within 4 s" in entries["spectrogram.sleeps"].broken
    assert "calls itself 'spectrogram.acme'" in entries["spectrogram.named"].broken
    assert "expected a harness.component.Implementation, found int" in entries["spectrogram.wrong"].broken


def test_an_implementation_that_cannot_run_here_says_why(own, tmp_path):
    text = (own.folder / "src/acme_gain/fast.py").read_text()
    text = text.replace("import Implementation,", "import Implementation, Requires,")
    own.write("src/acme_gain/fast.py", text.replace('load, clock="cpu"', 'load, Requires(("acme_dsp",)), clock="cpu"'))
    entries = own.side("head", None, tmp_path / "sides").entries
    assert entries["acme_gain.fast"].unavailable == "acme_dsp: not installed"
    assert entries["acme_gain.reference"].unavailable == ""


# The cache.


def test_a_second_time_nothing_is_built(built, repository, cache):
    notes = []
    assert repository.side("base", repository.base, cache, notes.append) == built["base"]
    assert notes == []


@pytest.mark.parametrize("damage", ["changed", "removed", "added", "facts", "compiled", "interpreter"])
def test_a_damaged_entry_is_built_again(repository, cache, built, damage):
    notes, side = [], built["copy"]
    kernel = side.folder / "acme_gain" / "kernel.py"
    if damage == "changed":
        kernel.write_text(kernel.read_text().replace("2.0", "7.0"))
    elif damage == "removed":
        kernel.unlink()
    elif damage == "added":
        kernel.with_name("numpy.py").write_text("")
    elif damage == "facts":
        facts = side.python.parent.parent / store.FACTS
        facts.write_text(facts.read_text()[:-20])
    elif damage == "compiled":
        next((kernel.parent / "__pycache__").glob("kernel.*.pyc")).write_bytes(b"")
    else:
        side.python.unlink()
    again = repository.side("copy", repository.base, cache, notes.append)
    assert again == side
    assert len(notes) == 1
    assert ran(again)[0] == 2.0
    assert not list(cache.glob("t*"))


def test_what_python_compiles_is_no_damage(repository, cache, built):
    cached = built["base"].folder / "acme_gain" / "__pycache__"
    (cached / "kernel.cpython-311.opt-2.pyc").write_bytes(b"anything")
    notes = []
    repository.side("base", repository.base, cache, notes.append)
    assert notes == []


def test_two_gates_build_one_commit_at_once(own, tmp_path):
    command = [sys.executable, "-m", "gate_repository", str(own.folder), str(tmp_path / "sides"), f"base={own.base}"]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    first, second = (json.loads(output)["base"] for output, _ in answers)
    assert first["folder"] == second["folder"]
    assert first["output"] == second["output"] == 2.0
    assert [path.name for path in (tmp_path / "sides").iterdir() if path.name[0] != "h"] == [Path(first["folder"]).parents[2].name]


def test_the_least_recently_used_entries_go_but_none_in_use(tmp_path, monkeypatch):
    def entry(number):
        key = f"{number:016x}"
        with store.workshop(tmp_path) as workshop:
            (workshop / "side").mkdir()
            (workshop / "side" / "data").write_bytes(bytes(1000))
            store.keep(tmp_path, key, workshop / "side", {})
        os.utime(tmp_path / key / store.FACTS, (number, number))
        return tmp_path / key

    entries = [entry(number) for number in range(4)]
    holding = "import sys\nfrom pathlib import Path\nfrom harness.gate import cache\n"
    holding += "print(cache.take(Path(sys.argv[1]), sys.argv[2]) is not None, flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", holding, str(tmp_path), entries[0].name]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables) as user:
        assert user.stdout.readline() == "True\n"
        os.utime(entries[0] / store.FACTS, (0, 0))
        assert store.take(tmp_path, entries[1].name) is not None
        os.utime(entries[1] / store.FACTS, (1, 1))
        monkeypatch.setattr(store, "MOST_BYTES", 2500)
        newest = entry(4)
        assert [path.exists() for path in [*entries, newest]] == [True, True, False, True, True]
        user.stdin.close()
    entry(5)
    assert not entries[0].exists()
    assert entries[1].exists()


def test_workshops_of_killed_gates_are_cleared(tmp_path):
    abandoned, recent = tmp_path / f"t{'1' * 15}", tmp_path / f"t{'2' * 15}"
    for folder in (abandoned, recent):
        (folder / "side").mkdir(parents=True)
    os.utime(abandoned, (0, 0))
    with store.workshop(tmp_path) as workshop:
        os.utime(workshop, (0, 0))
        (workshop / "side").mkdir()
        store.keep(tmp_path, "0" * 16, workshop / "side", {})
        assert workshop.exists()
    assert not abandoned.exists()
    assert recent.exists()


# Ourselves.


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_this_project_at_its_commit_loads_its_kernels_from_the_side(tmp_path):
    side = sides.build(sides.project_distribution(ROOT), "HEAD", "base", cache=tmp_path / "built sides", note=lambda text: None)
    native = [name for name, entry in side.entries.items() if name.endswith(".native") and not entry.broken and not entry.unavailable]
    assert {"spectrogram.native", "dbn.native"} <= set(native)
    assert not (side.folder / "harness").exists()
    for name in native:
        with WorkerProcess(name, pins(1, {}), paths=side.paths, python=str(side.python)) as worker:
            loaded = worker.ask("load", implementation=side.entries[name].value, settings={})
        assert inside(side, loaded["files"])
        (kernel,) = [file for file in loaded["files"] if Path(file).name.startswith("_native.")]
        package = Path(kernel).parent.relative_to(side.folder.resolve())
        code = f"import {'.'.join(package.parts)}._native as n; print(n.SOURCE_LIST)"
        listed = asked(side.python, "-P", "-c", code, PYTHONPATH=side.paths[0]).decode().strip().split(",")
        shown = [asked("git", "-C", ROOT, "show", f"HEAD:{os.path.normpath(package / one)}") for one in listed]
        digests = "".join(hashlib.sha256(source).hexdigest() for source in shown)
        assert loaded["native"] == hashlib.sha256(digests.encode()).hexdigest()
