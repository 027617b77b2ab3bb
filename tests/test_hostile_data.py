"""Data never executes: a malicious file of each kind that is read gives one clear error in bounded memory, and nothing runs.

kind             read by                         here
record           record.Store                    types, depth, numbers, names
baseline         history.results                 also test_history_damage.py
JSON             limits, slow rows, the wire     depth, numbers
TOML             project.read_toml               depth (profiles, targets, claims, pyproject)
npz              measure.reference               pickles, compressed bombs, absurd shapes
audio            audio.read                      pickles, absurd headers, pipes, too many samples
plugin text      reports                         test_report_*.py; on standard error here
torch, safetensors, RTNeural JSON   small_models.checkpoints   pickles, bombs, absurd headers and shapes, pipes, depth
"""

import contextlib
import dataclasses
import gzip
import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import audio, limits, project, wire
from harness.history.points import Damaged
from harness.history.results import load
from harness.measure.reference import References
from harness.record import seconds_by_round
from harness.registry import Registry
from harness.report.console import say
from harness.settings import ConfigurationError
from harness.store import RecordError, Store, from_json, to_json
from harness.verdict import judge
from implementations.small_models import checkpoints

DEEP = "[" * 200_000


class Bomb:
    """A pickle that leaves a file where it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def pickled(tmp_path):
    """Bytes that execute when they are unpickled; at the end nothing has."""
    yield pickle.dumps(Bomb(tmp_path / "executed"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "text", [DEEP, '{"a":' * 200_000, "1e400", '{"type": [], "schema": 1}', '{"type": "record", "schema": "1"}', "9" * 9000]
)
def test_hostile_json_is_one_error_in_every_reader(tmp_path, text):
    path = tmp_path / "f.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=r"^here: "):
        from_json(text, where="here")
    with pytest.raises((Damaged, ConfigurationError), match=r"f\.json"):
        load(path, 2)
    with pytest.raises(ConfigurationError, match=r"^here: damaged"):
        limits.from_json(text, where="here")
    stream = io.BytesIO(len(text).to_bytes(4, "big") + text.encode())
    with pytest.raises(wire.WireError):
        wire.unpack(stream.readinto)


LEAVES = st.sampled_from([None, "x", "", -1, 1 << 80, 1e308, True, [], {}, [[]], {"a": 1}, "\x1b]0;x\x07", "../../x"])
FIELDS = [
    "launch", "component", "samples", "outcome", "parity", "settings", "variant", "state", "clock", "build", "floor", "session",
    "unit_audio_seconds",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(FIELDS), value=LEAVES)
def test_any_value_in_any_field_is_an_error_or_can_be_judged(field, value):
    record = synthetic.record()
    plan = synthetic.plan([record], launches=1)
    body, found = json.loads(to_json(record)) | {field: value}, None
    with contextlib.suppress(RecordError):
        found = from_json(json.dumps(body), where="here")
    if found is None:
        return
    assert judge(plan, [found], (), (), machine=synthetic.MACHINE).plan == plan


@pytest.mark.parametrize("calls", [0, -1])
def test_blocks_without_calls_are_no_times(calls):
    record = synthetic.record()
    blocks = tuple(dataclasses.replace(block, calls=calls) for block in record.samples.blocks)
    for some in (blocks, blocks + blocks):
        assert seconds_by_round(some) == {}


def test_a_session_is_a_name_and_never_a_path(tmp_path):
    (tmp_path / "secret.jsonl").write_text(to_json(synthetic.record()) + "\n")
    for name in ("../secret", str(tmp_path / "secret"), "..", "*"):
        with pytest.raises(RecordError, match="no session"):
            Store(tmp_path / "records").read(name)


@pytest.mark.parametrize("text", ["a = " + DEEP, "a = [" + "{b = [" * 50_000, "\x00", "a = 1\na = 2"])
def test_hostile_toml_is_one_error(tmp_path, text):
    path = tmp_path / "f.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"f\.toml: expected a readable TOML file"):
        project.read_toml(path)


def member(header):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path, content, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("output_y.npy", content)


def test_hostile_npz_is_computed_anew_and_never_runs(tmp_path, pickled):
    references = References(Registry(()), "m", environment={}, folder=tmp_path)
    path = tmp_path / "f.npz"
    objects = member("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + pickled
    absurd = member("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1024)}")
    negative = member("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}")
    calls = member("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (1,)}")
    for content in (objects, absurd, negative, calls, pickled, b""):
        archive(path, content)
        assert references._read(path) is None
    archive(path, member("{'descr': '<f8', 'fortran_order': False, 'shape': (8388608,)}") + bytes(64 << 20), zipfile.ZIP_DEFLATED)
    assert references._read(path) is None
    path.write_bytes(pickled)
    assert references._read(path) is None
    assert len(references.notes) == 8
    assert all(note.startswith("damaged reference cache f.npz (") for note in references.notes)
    np.savez(path, output_y=np.arange(3.0))
    assert references._read(path)["y"].tolist() == [0, 1, 2]


def wav(channels=1, size=0, riff=0xFFFFFFFF):
    form = struct.pack("<IHHIIHH", 16, 3, channels, 8000, 8000, 4, 32)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size)


@pytest.mark.parametrize(
    "content", ["pickle", wav(0), wav(65535, 0xFFFFFFF0), wav(1, 0xFFFFFFF0), b"fLaC" + b"\xff" * 64, b"OggS" + bytes(99)]
)
def test_hostile_audio_is_one_error_in_bounded_memory(tmp_path, pickled, content):
    path = tmp_path / "f.wav"
    path.write_bytes(pickled if content == "pickle" else content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ConfigurationError, match=r"--input .*f\.wav: expected"):
        audio.read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_audio_without_end_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigurationError, match="expected a readable audio file, found a pipe or device"):
            audio.read(path)
    import soundfile

    soundfile.write(tmp_path / "long.flac", np.zeros(3000), 8000)
    monkeypatch.setattr(audio, "MOST_SAMPLES", 2999)
    with pytest.raises(ConfigurationError, match="found more than 2999 samples"):
        audio.read(tmp_path / "long.flac")


def torch_bomb(content):
    """A torch file as `torch.save` makes it, with any bytes as its pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
    return made.getvalue()


def compressed_bomb():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(checkpoints.MOST_BYTES + 1))
    return made.getvalue()


def tensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


ABSURD = {"0.weight": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 8]}}
OBJECTS = {"0.weight": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}
BEYOND = {"0.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1 << 50]}}
WEIGHTS = {
    "pickle.pt": lambda pickled: pickled,
    "archive.pt": torch_bomb,
    "unpacks.pt": lambda _: compressed_bomb(),
    "text.pt": lambda _: b"not a checkpoint",
    "empty.pt": lambda _: b"",
    "pickle.safetensors": lambda pickled: pickled,
    "header.safetensors": lambda _: struct.pack("<Q", 1 << 60) + b"{}",
    "deep.safetensors": lambda _: tensors(DEEP.encode()),
    "absurd.safetensors": lambda _: tensors(ABSURD, bytes(8)),
    "objects.safetensors": lambda _: tensors(OBJECTS, bytes(8)),
    "beyond.safetensors": lambda _: tensors(BEYOND, bytes(8)),
    "empty.safetensors": lambda _: b"",
    "deep.json": lambda _: DEEP.encode(),
    "objects.json": lambda _: ('{"a":' * 200_000).encode(),
    "digits.json": lambda _: b"9" * 9000,
    "binary.json": lambda _: bytes(range(256)),
    "pickle.json.gz": lambda pickled: pickled,
    "unpacks.json.gz": lambda _: gzip.compress(bytes(checkpoints.MOST_BYTES + 1)),
    "cut.json.gz": lambda _: gzip.compress(b"{}" * 1000)[:-9],
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_hostile_weights_are_one_error_in_bounded_memory_and_never_run(tmp_path, pickled, kind):
    head, _, suffix = kind.partition(".")
    path = tmp_path / f"{head}_dynamics_engine.{suffix}"
    path.write_bytes(WEIGHTS[kind](pickled))
    if suffix == "pt":
        pytest.importorskip("torch")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(checkpoints.BadWeights, match=rf"{path.name}: expected"):
        checkpoints.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


def test_weights_without_end_or_beyond_the_bound_are_refused_unread(tmp_path):
    for name in ("dynamics_engine.pt", "dynamics_engine.safetensors", "dynamics_engine.json", "dynamics_engine.json.gz"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(checkpoints.BadWeights, match="expected a file of weights, found something else"):
            checkpoints.load(tmp_path / name)
        os.remove(tmp_path / name)
        with open(tmp_path / name, "wb") as file:
            file.truncate(checkpoints.MOST_BYTES + 1)
        with pytest.raises(
            checkpoints.BadWeights, match=f"expected at most {checkpoints.MOST_BYTES} bytes, found {checkpoints.MOST_BYTES + 1}"
        ):
            checkpoints.load(tmp_path / name)


def test_what_is_said_commands_neither_a_terminal_nor_a_runner(capsys):
    say("\x1b]0;owned\x07\x1b[2J\u202e\n::error::owned\n##[error]owned")
    said = capsys.readouterr().err
    assert not set(said) & set("\x1b\x07\u202e")
    assert "::error::" not in said
    assert "##[error]" not in said


def test_records_that_a_full_disk_does_not_take_are_kept_and_written_when_it_does(tmp_path):
    """In a process that may write no file beyond 6 kB, then may again: the file never holds half a line."""
    code = """
import resource, sys
from pathlib import Path
import synthetic
from harness.store import Store
store, records = Store(Path(sys.argv[1])), synthetic.launches(n=4)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
for record in records[:3]:
    store.keep(record)
print(len(store.unsaved), store.trouble, len(store.read(records[0].session)[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.keep(records[3])
print(len(store.unsaved), store.read(records[0].session)[1] == records)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True)
    first, second = ran.stdout.splitlines()
    held, *_, written = first.split()
    assert int(held) + int(written) == 3
    assert int(held) >= 1
    assert "File too large" in first
    assert second == "0 True"
