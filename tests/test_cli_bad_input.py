"""The command line under bad input: one clear line, exit code 2, no traceback, whatever is typed or broken."""

import re

import numpy as np
import pytest
import soundfile
from doors import ADVERSARIAL, CODES, TOY, TOY_ENTRIES, Project, one_line
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.machine import this_machine
from harness.settings import NAMES

QUICK = ("--case", "tiny", "--launches", "1")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, ADVERSARIAL)


WRONG = {
    "run nosuch": "nothing matches 'nosuch'; known: .*sorting",
    "list nosuch": "nothing matches 'nosuch'; known: .*sorting.*; `harness list` shows their implementations",
    "run sortng": r"nothing matches 'sortng' \(did you mean sorting\?\); known: ",
    "run sorting.honst": r"nothing matches 'sorting.honst' \(did you mean sorting.honest\?\); .*known: sorting\.\{[\w,]*honest",
    "gate --base HEAD": "--base HEAD: expected a git repository around .*project, found none; git init, and commit a base",
    "explain sorting.honest --against nosuch": "--against nosuch: no implementation of sorting, and no commit to compare with: ",
    "run sorting.honest dbn.nosuch": "nothing matches 'dbn.nosuch'",
    "run sorting.raises_at_import": "sorting.raises_at_import is broken: importing",
    "run sorting --case huge": "no case 'huge'; known: long, small, tiny",
    "run sorting --threads zero": "setting threads: expected a whole number from 1 to 1024, found 'zero'",
    "run sorting --threads 0": "setting threads: expected a whole number from 1 to 1024, found 0",
    "run sorting --hop nan": "setting hop: expected samples, a number above 0, found nan",
    "run sorting --affinity 0,1": r"setting affinity: expected CPU numbers joined by '\+'",
    "run sorting --profile pdp11": "no profile 'pdp11'; known: any, ",
    "judge --profile pdp11": "no profile 'pdp11'",
    "machine --profile pdp11": "no profile 'pdp11'",
    "run sorting --sweep threads": "--sweep: expected NAME=A,B such as threads=1,2, found 'threads'",
    "run sorting --sweep threads=": "--sweep: expected NAME=A,B",
    "run sorting --sweep threads=1,,2": "setting threads: expected a whole number .* found ''",
    "run sorting --sweep speed=1": "unknown setting 'speed'; known: threads",
    "run sorting --sweep threads=1 --sweep threads=2": "--sweep: threads is given twice",
    "run sorting --sweep bit_depth=8,16": "no selected implementation honours bit_depth: turning it would change nothing",
    "run sorting.twice --precision float32": "no selected implementation honours precision",
    "run sorting --launches 0": "launches: expected at least 1, found 0",
    "run sorting --seed 1": "--seed needs --only parity",
    "run sorting --only parity --seed -1": "--seed: expected a whole number from 0 to 4294967295, found -1",
    "run sorting --only parity --record": "--record means nothing with --only parity",
    "run sorting --only parity --launches 0": "--launches means nothing with --only parity",
    "run sorting --only settings --case tiny --json x": "--case, --json means nothing with --only settings",
    "run sorting --input a.wav --case tiny": "--case means nothing with --input",
    "run sorting --input gone.wav": "--input gone.wav: expected a readable audio file, found No such file or directory",
    "run sorting --input pyproject.toml": "--input pyproject.toml: expected a readable audio file, found Format not recognised",
    "run sorting --record": "no asv.conf.json in",
    "run sorting --json .": r"--json \.: expected a file to write, found a folder",
    "run sorting --json pyproject.toml/v.json": r"--json pyproject.toml/v.json: cannot make the folder pyproject.toml \(.*\); name one",
    "judge nosuch": "no session 'nosuch' in",
    "judge ../../pyproject": "no session '../../pyproject'",
    "judge --history": "no asv.conf.json in .*: run inside a project that has one, or name its results with --results FOLDER",
    "judge nosuch --history --results x": "nothing matches 'nosuch'",
    "judge one two": "expected one session, found 2: one, two; patterns need --history",
    "judge --results x --commit HEAD --machine all": "--results, --commit, --machine needs --history",
    "judge --threads 2": "--threads needs --history",
    "claims --markdown .": "expected a file to write, found a folder",
    "claims --markdown pyproject.toml/x": "--markdown pyproject.toml/x: cannot make the folder",
}


@pytest.mark.parametrize("command", WRONG)
def test_a_usage_error_is_one_line_and_2(project, command):
    assert re.search(WRONG[command], one_line(project.here(*command.split())))
    assert not project.records.exists()


@pytest.mark.parametrize(
    "command", ["", "nosuch", "run --nosuch", "run --launches x", "run --only everything", "list --cas", "run --seed 1.5"]
)
def test_what_cannot_be_parsed_is_2_with_the_usage(project, command):
    said = project.here(*command.split())
    assert said.code == 2
    assert said.err.startswith("usage: harness")
    assert re.search(r"^harness.*: error: ", said.err.splitlines()[-1])


def test_a_misspelt_option_is_told_what_may_have_been_meant(project):
    last = project.here("run", "sorting", "--treads", "2").err.splitlines()[-1]
    assert last.endswith("unrecognized arguments: --treads 2; did you mean --threads? `harness run --help` lists what there is")


def test_a_misspelt_setting_in_the_environment_is_not_ignored(project, monkeypatch):
    monkeypatch.setenv("HARNESS_THREDS", "2")
    line = one_line(project.here("run", "sorting"))
    assert "environment variable HARNESS_THREDS: no such setting; did you mean HARNESS_THREADS?" in line


def test_a_wrong_setting_in_the_environment_names_its_variable(project, monkeypatch):
    monkeypatch.setenv("HARNESS_THREADS", "many")
    assert "environment variable HARNESS_THREADS: setting threads: expected" in one_line(project.here("run", "sorting"))


def test_audio_for_a_component_that_takes_none(project):
    soundfile.write(project.folder / "a.wav", np.zeros(100), 8000)
    line = one_line(project.here("run", "functional_boundaries", "--input", "a.wav"))
    assert "component functional_boundaries takes no audio input" in line


def entry(**values):
    """A target as targets.toml writes it."""
    given = {"profile": "any", "metric": "rtf", "at_most": 1, "source": "s", "kind": "stated", **values}
    return "[[target]]\n" + "".join(f"{name} = {value!r}\n" for name, value in given.items())


FILES = {
    "pyproject.toml": {
        "[tool": "expected a readable TOML file",
        "tool = 1\n": r"\[tool\]: expected a table, found 1",
        "[tool.harness]\ntarget = 1\n": r"\[tool.harness\]: unknown key 'target'",
        "[tool.harness]\nprofiles = 'gone'\n": "expected a folder with .toml files, found none",
        "[[tool.harness.targets.nosuch]]\n": "targets.nosuch: unknown component",
        "[[tool.harness.targets.sorting]]\n": "entry 1 .*: expected 'profile', found none",
        "[tool.harness.targets]\nsorting = 'fast'\n": "expected a list of entries in double brackets, found 'fast'",
    },
    "lab.toml": {
        "[match": "expected a readable TOML file",
        "description = 3\n": "description: expected str, found 3",
        "description = 'x'\nextends = 'nosuch'\n": "extends: 'nosuch' is not known",
        "description = 'x'\nextends = 'lab'\n": "extends: 'lab' extends itself",
        "description = 'x'\n[settings]\nthreads = 'all'\n": "threads",
        "description = 'x'\n[match]\ncolour = 'red'\n": "colour",
    },
    "targets.toml": {
        "[[target]": "expected a readable TOML file",
        "target = 3\n": "expected a list of entries",
        entry(metric="speed"): "unknown metric .*'speed'",
        entry(at_most="fast"): "expected a finite number, found 'fast'",
        entry(profile=3): "entry 1",
        entry(metric=[1]): "entry 1",
        entry(case="gone"): "unknown case of toy 'gone'",
        entry(kind="guessed"): "unknown kind 'guessed'",
        entry(settings={}).replace("{}", "{threads = 'all'}"): "setting threads",
    },
}


@pytest.mark.parametrize(("file", "text"), [(file, text) for file, texts in FILES.items() for text in texts])
def test_a_malformed_file_is_one_line_that_names_it(project, file, text):
    project.plugin("toy", TOY, TOY_ENTRIES, **({"targets_toml": text} if file == "targets.toml" else {}))
    if file == "lab.toml":
        project.pyproject("[tool.harness]\nprofiles = 'hardware'\n")
        (project.folder / "hardware").mkdir()
        (project.folder / "hardware" / "lab.toml").write_text(text)
    if file == "pyproject.toml":
        (project.folder / file).write_text(text)
    line = one_line(project.here("run", "toy", "sorting.honest"))
    assert re.search(FILES[file][text], line), line
    assert file in line or "hardware" in line or "gone" in line


@pytest.mark.parametrize(("damage", "message"), [
    (b"{}\n", "expected one JSON object with type and schema"),
    (b"\xff\xfe\n", "expected lines of JSON, found 'utf-8' codec"),
    (b'{"type": "plan", "schema": 99}\n', "schema 99 is newer than the 1 this version reads; upgrade"),
    (b'{"type": "record", "schema": 1}\n', "damaged record"),
])  # fmt: skip
@pytest.mark.parametrize("command", ["judge", "claims"])
def test_a_damaged_session_is_one_line_that_names_it(project, damage, message, command):
    project.records.mkdir(parents=True)
    (project.records / "s.jsonl").write_bytes(damage)
    line = one_line(project.here(command))
    assert message in line
    assert "s.jsonl" in line


@pytest.mark.parametrize("file", ["machine.json", "abcdef12-py3.json"])
def test_a_damaged_history_is_one_line_that_names_it(project, file):
    folder = project.folder / "results" / this_machine().name
    folder.mkdir(parents=True)
    (folder / file).write_text("[]")
    assert file in one_line(project.here("judge", "--history", "--results", "results"))


def test_a_folder_that_cannot_hold_records_is_one_line(project):
    (project.folder / ".harness").write_text("a file")
    said = project.here("run", "sorting.honest", *QUICK)
    assert said.code == 2
    assert re.search(r"^harness: .*\.harness.*(File exists|Not a directory)$", said.err)


# The user's own audio.


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_the_users_audio_is_measured_and_neither_name_nor_path_is_written(project, ending):
    song = project.folder / "private folder" / f"secret song.{ending}"
    song.parent.mkdir()
    soundfile.write(song, 0.3 * np.sin(np.arange(3000) / 7), 16000)
    samples = soundfile.read(song)[0].size
    reports = ("--json", "v.json", "--junit", "v.xml", "--markdown", "v.md")
    said = project.here("run", "sorting.twice", "--input", str(song), "--launches", "1", *reports)
    assert said.code == 0, said
    plan, *records = project.lines()
    assert {record["samples"]["produced"] for record in records} == {samples}
    assert re.fullmatch("input-[0-9a-f]{12}", plan["planned"][0]["case"])
    written = [path for path in (*project.folder.rglob("*"), *(project.folder.parent / "cache").rglob("*")) if path.is_file()]
    assert len(written) >= 6
    for path in written:
        if path != song:
            assert not re.search(rb"secret|private", path.read_bytes()), path
    assert "secret" not in said.flat


def test_audio_that_a_component_refuses_is_its_own_failure(project):
    refusing = """
    import dataclasses

    def refuse(samples, rate):
        raise ValueError(f"expected 44100 Hz, found {rate}")

    COMPONENT = dataclasses.replace(COMPONENT, from_audio=refuse)
    """
    project.plugin("toy", TOY + refusing, TOY_ENTRIES)
    soundfile.write(project.folder / "a.wav", np.zeros(100), 8000)
    said = project.here("run", "toy", "--input", "a.wav", "--launches", "1")
    assert said.code == 5
    assert "expected 44100 Hz, found 8000" in said.flat


# Anything that can be typed.

WORDS = st.text(st.characters(exclude_characters="\0"), max_size=12)
NUMBERS = st.sampled_from(["0", "1", "-1", "3", "1e9", "nan", "inf", "1_0", "0x1", "99999999999999999999", "1.5", " 2"])
KNOWN = st.sampled_from(["sorting", "*", "sorting.*", "[", "tiny", "any", "float32", "threads=1,2", ".", "..", "/", "/dev/null"])
VALUES = st.one_of(WORDS, NUMBERS, KNOWN)
SETTINGS = [f"--{name.replace('_', '-')}" for name in NAMES]
OPTIONS = {
    "list": ["--cases"],
    "machine": ["--asv", "--profile", "--threads", "--affinity", "--longest-audio"],
    "run": ["--only", "--case", "--seed", "--sweep", "--input", "--thorough", "--launches", "--record", "--profile", *SETTINGS],
    "judge": ["--history", "--results", "--commit", "--machine", "--profile", "--threads"],
    "claims": [],
    "publish": [],
}
FLAGS = {"--cases", "--asv", "--thorough", "--record", "--history"}


@st.composite
def commands(draw):
    name = draw(st.sampled_from(sorted(OPTIONS)))
    parts = [name]
    for option in draw(st.lists(st.sampled_from(OPTIONS[name]), max_size=4)) if OPTIONS[name] else []:
        value = draw(st.sampled_from(["parity", "settings"]) if option == "--only" else VALUES)
        parts += [option] if option in FLAGS else [f"{option}={value}"] if draw(st.booleans()) else [option, value]
    return parts + draw(st.lists(VALUES, max_size=2))


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory):
    """A project in which commands do everything but measure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.measure.run", lambda plan, *_, store=None, **__: store.append(plan) or [])
        patch.setattr("harness.measure.fuzz", lambda *_, **__: pytest.fail("nothing was measured, so there is nothing to go on from"))
        patch.setattr("harness.measure.flip_settings", lambda *_, **__: [])
        made = Project(tmp_path_factory.mktemp("unmeasured"), ADVERSARIAL)
        assert made.here("run", "sorting.honest").code == 5
        yield made


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=commands())
@example(parts=["judge", "x" * 300])
@example(parts=["run", "sorting", "--input", "x" * 300])
@example(parts=["judge", "--history", "--results", "/dev/null", "--commit", "--help"])
@example(parts=["run", "sorting.honest", "--only=parity"])
def test_no_command_line_causes_a_traceback(unmeasured, parts):
    said = unmeasured.here(*parts)
    assert said.code in CODES
    assert "Traceback" not in said.err
    if said.code == 2:
        assert said.out == ""
        assert said.err.startswith(("harness: ", "usage: harness"))
