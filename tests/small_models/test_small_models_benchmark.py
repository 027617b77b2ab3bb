"""`python -m implementations.small_models.benchmark`: what it says of checkpoints, the table, and one real session."""

import json
import re
import shutil

import pytest
from safetensors.numpy import save_file
from small_models_rows import golden_file

from implementations.small_models import benchmark, checkpoints
from implementations.small_models.benchmark import main, table
from implementations.small_models.models import DYNAMICS_ENGINE
from implementations.small_models.weights import random_weights


def metric(value):
    return {"unit": "seconds", "value": value}


def row(case, *, passed=True, state="pass", **metrics):
    answers = [] if state == "pass" else [{"question": "parity", "state": state, "message": "output differs at [0, 3]\nreproduce: ..."}]
    parity = [{"output": "output", "kind": "close", "passed": passed, "allowed": "<= 2e-06"}]
    return {"component": "dynamics_engine", "row": "fast", "case": case, "metrics": metrics, "parity": parity, "answers": answers}


REPORT = {
    "unavailable": [{"component": "dynamics_engine", "implementation": "torch_cuda", "case": "frame", "reason": "no CUDA device found"}] * 2
}


def test_the_table_has_times_of_a_frame_and_what_a_batch_lost_of_the_task():
    times = {"latency_p50_seconds": metric(12e-6), "cold_seconds": metric(0.001)}
    first = row("frame", **times, weight_bytes=metric(54080.0), peak_bytes={"absent": "no"})
    lines = table({**REPORT, "rows": [first, row("offline-1024", accuracy_drop=metric(0.0029))]})
    assert lines[1].split()[:4] == ["row", "parity", "p50", "us"]
    assert lines[2].split() == ["dynamics_engine.fast", "close", "12", "-", "-", "1000", "-", "54.08", "-", "-", "0.0029"]
    assert lines[3:] == ["not here: dynamics_engine.torch_cuda: no CUDA device found"]


def test_a_row_that_differs_has_no_times_and_says_where():
    lines = table({"unavailable": [], "rows": [row("frame", passed=False, state="fail")]})
    assert lines[2].split() == ["dynamics_engine.fast", "differs", *"---------"]
    assert lines[3] == "dynamics_engine.fast on frame: output differs at [0, 3]"


def test_checkpoints_are_described_with_the_accuracy_they_have(tmp_path):
    save_file(random_weights(DYNAMICS_ENGINE, 0), tmp_path / "dynamics_engine.safetensors")
    random, trained = (benchmark.accuracies(checkpoints.load(path)) for path in (tmp_path, checkpoints.SHIPPED))
    assert float(random["dynamics_engine"]) < 0.6
    assert float(trained["dynamics_engine"]) > 0.95
    assert len(trained["model_pipeline"].split()) == 5
    assert list(random) == ["dynamics_engine"]
    lines = benchmark.about(checkpoints.load(tmp_path), tmp_path)
    assert lines[1].startswith("  dynamics_engine: 13,520 parameters, 0.05 MB in float32; right on procedural music: 0.")
    assert lines[2].startswith("  no weights of emotion_recognizer, melody_transformer, harmony_predictor, groove_predictor, so the chain")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent", None, "expected a file of weights, found nothing"),
        ("empty", {}, "expected files of weights .* found none"),
        ("bad", {"dynamics_engine.json": b"{}"}, r"dynamics_engine\.json: expected 'in_shape' and 'layers', found nothing"),
        ("odd", {"something.pt": b"x"}, "expected a state dict of plain tensors"),
    ],
)
def test_a_folder_that_cannot_be_is_one_line_and_exit_code_2(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).mkdir()
        for file, data in content.items():
            (tmp_path / name / file).write_bytes(data)
    assert main(["--models", str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(rf"^benchmark: .*{name}.*{message}", said.err)
    assert said.err.count("\n") == 1


def test_iterations_are_counted_from_one(capsys):
    assert main(["--iterations", "0"]) == 2
    assert capsys.readouterr().err == "benchmark: --iterations: expected at least 1, found 0\n"


@pytest.mark.long
def test_a_folder_of_rtneural_files_is_measured(tmp_path, capsys):
    shutil.copy(golden_file("dynamics_engine"), tmp_path)
    code = main(["--models", str(tmp_path), "--only", "numpy_packed"])
    out = capsys.readouterr().out
    assert code in (0, 3), out
    (line,) = [line for line in out.splitlines() if line.startswith("dynamics_engine.numpy_packed ")]
    cells = line.split()
    assert cells[1] == "close"
    assert 0 < float(cells[2]) <= float(cells[4])
    assert json.loads(cells[7]) == pytest.approx(54.08)
