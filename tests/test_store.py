import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parity import ParityResult
from harness.record import Block, Build, Floor, LeftOut, Outcome, Plan, Planned, Record, Samples, Timing
from harness.store import RecordError, Store, default_folder, from_json, to_json

RECORD = Record(
    session="20260101-000000-abc",
    launch=0,
    component="gain",
    contract=1,
    implementation="native",
    role="optimized",
    case="one",
    unit="sample",
    unit_audio_seconds=None,
    clock="wall",
    settings={"threads": 2, "affinity": (0, 1), "precision": "float32"},
    variant={"precision": "float32"},
    build=Build("audio-perf-harness", "0.1.0", "abc", "native.py"),
    machine="m",
    profile="any",
    state={"pressure": 0.1},
    started="2026-01-01T00:00:00Z",
    samples=Samples(load=Timing(1.0, 0.5), blocks=(Block(0, 3, 0.1, 0.1, True),), calls=(0.1, 0.2), chunks=((0.1, 0.2),), produced=4.0),
    parity=(ParityResult("y", "close", True, {"max_abs_difference": 1e-7, "snr_db": float("inf")}, "<= 1e-6", (1, 2)),),
    floor=Floor(0.01, "memory"),
)
PLAN = Plan(
    session=RECORD.session,
    started=RECORD.started,
    machine="m",
    profile="any",
    planned=(Planned("gain", "native", "optimized", {"precision": "float32"}, {"threads": 2}, "one", 3),),
    unavailable=(LeftOut("gain", "mlx", "*", "mlx: not installed"),),
)


@pytest.mark.parametrize("item", [RECORD, PLAN, dataclasses.replace(RECORD, samples=Samples(), outcome=Outcome("crashed", "signal 11"))])
def test_json_round_trip_keeps_everything(item):
    again = from_json(to_json(item))
    assert to_json(again) == to_json(item)
    assert type(again) is type(item)
    if isinstance(item, Record):
        assert again.series == item.series
        assert again.samples == item.samples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b | {"schema": 99}, "newer than the 1 this version reads"),
        (lambda b: b | {"type": "poem"}, "expected type record or plan, found 'poem'"),
        (lambda b: {k: v for k, v in b.items() if k != "launch"}, "damaged record"),
        (lambda b: b | {"surprise": 1}, "no field \\['surprise'\\]"),
        (lambda b: b | {"samples": b["samples"] | {"cals": [0.1]}}, "no field \\['cals'\\]"),
        (lambda b: b | {"launch": "1"}, r"Expected `int`, got `str` - at `\$.launch`"),
        (lambda b: b | {"samples": 3}, "damaged record .Expected `object`, got `int` - at `\\$.samples`"),
    ],
)
def test_a_damaged_record_is_one_clear_error(change, message):
    line = json.dumps(change(json.loads(to_json(RECORD))))
    with pytest.raises(RecordError, match=message):
        from_json(line, where="file:7")


@given(st.text(max_size=30))
def test_no_text_crashes_the_reader(text):
    with pytest.raises(RecordError, match="here"):
        from_json(text, where="here")


def test_the_store_appends_and_survives_a_half_written_line(tmp_path):
    store = Store(tmp_path)
    for item in (PLAN, RECORD, dataclasses.replace(RECORD, launch=1)):
        store.append(item)
    with open(tmp_path / f"{RECORD.session}.jsonl", "a") as file:
        file.write('{"type": "rec')
    plan, records = store.read(RECORD.session)
    assert plan == PLAN
    assert [record.launch for record in records] == [0, 1]
    assert store.sessions() == [RECORD.session]


@pytest.mark.parametrize("where", ["before", "within", "after"])
def test_an_interrupted_record_is_kept_once(tmp_path, monkeypatch, where):
    store, first, second = Store(tmp_path), RECORD, dataclasses.replace(RECORD, launch=1)
    store.keep(first)
    append = Store.append

    def interrupted(self, item):
        if where == "after":
            append(self, item)
        elif where == "within":
            with monkeypatch.context() as patch:
                patch.setattr("os.fsync", stop)
                append(self, item)
        raise KeyboardInterrupt

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.keep(second)
    monkeypatch.setattr(Store, "append", append)
    assert store.unsaved == [second]
    store.settle()
    assert store.unsaved == []
    assert [record.launch for record in store.read(RECORD.session)[1]] == [0, 1]


def test_damage_inside_a_file_is_an_error_with_its_line(tmp_path):
    store = Store(tmp_path)
    store.append(RECORD)
    with open(tmp_path / f"{RECORD.session}.jsonl", "a") as file:
        file.write("garbage\n")
    with pytest.raises(RecordError, match="jsonl:2"):
        store.read(RECORD.session)


def test_a_second_plan_cannot_replace_the_expected_set(tmp_path):
    store = Store(tmp_path)
    for number in range(2):
        store.append(Plan("s", f"{number}", "m", "any", ()))
    with pytest.raises(RecordError, match=r"s\.jsonl:2: expected one plan, found a second"):
        store.read("s")


def test_an_unknown_session_lists_the_latest(tmp_path):
    Store(tmp_path).append(RECORD)
    with pytest.raises(RecordError, match=f"no session .x'.*{RECORD.session}"):
        Store(tmp_path).read("x")


def test_what_was_appended_is_on_disk_when_the_process_is_killed(tmp_path):
    code = f"""
import os, signal, sys
from pathlib import Path
from harness.store import Store, from_json
Store(Path({str(tmp_path)!r})).append(from_json({to_json(RECORD)!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    _, records = Store(tmp_path).read(RECORD.session)
    assert len(records) == 1


def test_records_lie_in_the_project_or_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "data"))
    assert default_folder(tmp_path) == tmp_path / "data" / "records"
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "deep").mkdir()
    assert default_folder(tmp_path / "deep") == tmp_path / ".harness" / "records"
