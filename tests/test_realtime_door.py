"""`harness run --only realtime`: real sessions, short ones, through the door."""

import json
import os

import pytest
from doors import TOY, TOY_ENTRIES, Project, one_line

from harness.realtime import session
from harness.realtime.judging import row_of
from harness.store import PROOFS, Store
from harness.verdict import Verdicts, exit_code

SOURCE = (
    TOY
    + """
    @contextmanager
    def in_python(settings):
        from implementations.small_models.realtime import python_pipeline
        with python_pipeline(settings, lambda features: np.zeros(304, np.float32)) as (callback, _):
            yield callback

    @contextmanager
    def locking(settings):
        from harness.callback import Callback
        from harness.realtime._native import Control
        control = Control("locks", settings.audio_buffer, float(settings.sample_rate))
        yield Callback(control.callback, control.state, 0)

    @contextmanager
    def crashing(settings):
        os.abort()
        yield

    LIVE = made("live", twice, realtime=in_python)
    STALE = made("stale", twice, realtime=in_python, requires=Requires(realtime="toy_realtime._native"))
    LOCKING = made("locking", twice, realtime=locking)
    CRASHING = made("crashing", twice, realtime=crashing)
    MISSING = made("missing", twice, realtime=in_python, requires=Requires(packages=("no_such_package",)))
"""
)
ENTRIES = {**TOY_ENTRIES, **{f"toy.{name}": name.upper() for name in ("live", "locking", "crashing", "missing", "stale")}}
SHORT = ("--only", "realtime", "--seconds", "0.5")
NEVER = ("allocations", "locks", "voluntary", "latency", "torn", "unfinite", "results")


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    made.plugin("toy_realtime", SOURCE, ENTRIES)
    site = made.plugins[0] / "toy_realtime"
    (site / "_native.py").write_text("SOURCE_HASH, SOURCE_LIST = 'of another kernel', 'kernel.cpp'\n")
    (site / "kernel.cpp").write_text("int changed_since_it_was_built;\n")
    return made


def answers(body):
    return [{a["metric"]: a for a in row["answers"] if a["question"] == "realtime"} for row in body["rows"]]


def test_a_short_session_at_every_size_of_block(project):
    reports = ("--json", "r.json", "--markdown", "r.md", "--junit", "r.xml")
    said = project.run("run", "toy.live", *SHORT, *reports)
    body = json.loads((project.folder / "r.json").read_text())
    assert [row["case"] for row in body["rows"]] == ["64 frames", "128 frames", "256 frames", "512 frames"]
    assert said.code == body["exit_code"] != 0  # half a second proves nothing
    assert "controls: 18 of 18 detectors are right here, now" in said.out
    for found in answers(body):
        assert {name: found[name]["state"] for name in NEVER} == dict.fromkeys(NEVER, "pass"), found
        assert found["misses"]["state"] in ("inconclusive", "fail")
    for row in body["rows"]:
        metrics = row["metrics"]
        assert metrics["latency_samples"]["value"] == 960
        assert 0 < metrics["callback_p50_seconds"]["value"] <= metrics["callback_p999_seconds"]["value"]
        assert metrics["age_p50_seconds"]["unit"] == metrics["empty_wake_p99_seconds"]["unit"] == "seconds"
        assert metrics["callbacks"]["value"] == metrics["empty_callbacks"]["value"] > 40
    assert "toy.live: results used by the callbacks" in said.out
    assert "| 64 frames |" in (project.folder / "r.md").read_text()
    assert 'classname="toy.64 frames" name="live' in (project.folder / "r.xml").read_text()


def test_what_was_seen_is_kept_for_the_ledger_and_apart_from_the_launches(project):
    said = project.run("run", "toy.live", *SHORT, "--audio-buffer", "512")
    store = Store(project.records / PROOFS)
    (name,) = store.sessions()
    plan, (record,) = store.read(name)
    assert [item.case for item in plan.planned] == [record.case] == ["512 frames"]
    assert record.played.latency == 960
    assert record.played.subject.allocations == record.played.empty.allocations == 0
    assert exit_code(Verdicts(plan, (row_of(plan.planned[0], record),))) == said.code
    assert project.here("judge").code == 5


def test_a_callback_that_locks_fails_and_one_that_crashes_is_a_crash(project):
    said = project.run("run", "toy.locking", "toy.crashing", *SHORT, "--audio-buffer", "64", "--json", "r.json")
    assert said.code == 1, said
    locking, crashing = (json.loads((project.folder / "r.json").read_text())["rows"][number] for number in (1, 0))
    (found,) = answers({"rows": [locking]})
    assert found["locks"]["state"] == "fail"
    assert "expected no calls of locks in the callback, found" in found["locks"]["message"]
    (run,) = crashing["answers"]
    assert run["state"] == "fail"
    assert "died of SIGABRT" in run["message"]
    assert "harness run toy.crashing --only realtime --audio-buffer 64" in said.flat


def test_detectors_that_are_not_loaded_make_the_session_invalid(project, monkeypatch):
    monkeypatch.setattr(session, "preloaded", dict)
    said = project.here("run", "toy.live", *SHORT, "--audio-buffer", "512")
    assert said.code == 4, said
    assert "the detector of allocations saw 0 of 200 deliberate ones; is _watch.so preloaded, and the C library glibc?" in said.flat
    assert "the detector of locks saw 0 of 100 deliberate ones" in said.flat
    assert "the audio thread was not watched" in said.flat


def test_what_is_preloaded_already_stays(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "/lib/other.so")
    watch, other = session.preloaded({"X": "1"})["LD_PRELOAD"].split(":")
    assert os.path.basename(watch) == "_watch.so"
    assert other == "/lib/other.so"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("toy.fast", "--only", "realtime"), "none of the selected implementations declares one"),
        (("toy.missing", "--only", "realtime"), "toy.missing: no_such_package: not installed"),
        (("toy.stale", "--only", "realtime"), "toy.stale: native: stale, run pip install -e ."),
        (("toy.live", "--only", "realtime", "--case", "one"), "--case means nothing with --only realtime"),
        (("toy.live", "--only", "realtime", "--seconds", "0.1"), "--seconds: expected 0.5 to 86400, found 0.1"),
        (("toy.live", "--seconds", "9"), "--seconds needs --only realtime"),
        (("toy.live", "--only", "realtime", "--audio-buffer", "9000"), "audio_buffer: expected 16 to 8192"),
    ],
)
def test_wishes_that_cannot_be(project, arguments, message):
    assert message in one_line(project.here("run", *arguments))
