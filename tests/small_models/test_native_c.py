"""The C interface: the example, built with the system's compiler against the installed library, computes what Python does."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from engine_cases import FEATURES, WEIGHTS

from implementations.small_models import native
from implementations.small_models.models import MODELS

pytest.importorskip("implementations.small_models._native", reason="native: not built")
COMPILER = shutil.which("cc")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("no C compiler")
    program, library = tmp_path_factory.mktemp("example") / "example", native.library()
    link = ["-L", str(library.parent), "-lsmall_models", f"-Wl,-rpath,{library.parent}"]
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([COMPILER, *strict, str(native.EXAMPLE), "-I", str(native.HEADER.parent), *link, "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("stateful", [False, True])
def test_the_example_computes_what_python_does(example, tmp_path, precision, stateful):
    native.save(tmp_path / "models.smm", MODELS, WEIGHTS, precision=precision, stateful=stateful)
    FEATURES.tofile(tmp_path / "frames.f32")
    mode = ["stateful"] if stateful else []
    done = subprocess.run([example, "models.smm", "frames.f32", "out.f32", *mode], cwd=tmp_path, check=True, capture_output=True, text=True)
    found = np.fromfile(tmp_path / "out.f32", np.float32).reshape(len(FEATURES), -1)
    assert np.array_equal(found, native.Engine(MODELS, WEIGHTS, precision=precision, stateful=stateful).run(FEATURES))
    assert "harmony_predictor: outputs 192 to 256\n" in done.stdout


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (None, [], "cannot be opened or read"),
        (b"", [], "starts with SMALLMDL"),
        (b"SMALLMDL", [], "truncated or changed"),
        ("half", [], "truncated or changed"),
        ("whole", ["stateful"], "without recurrent weights"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_with_its_reason(example, tmp_path, content, mode, message):
    path = tmp_path / "models.smm"
    if content in ("half", "whole"):
        native.save(path, MODELS, WEIGHTS, precision="int8")
        packed = path.read_bytes()
        content = packed[: len(packed) // 2] if content == "half" else packed
    if content is not None:
        path.write_bytes(content)
    done = subprocess.run([example, path, "frames.f32", "out.f32", *mode], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr


def test_the_header_tells_the_version_that_python_writes():
    from implementations.small_models.packed import VERSION

    assert re.search(r"#define SM_VERSION (\d+)", native.HEADER.read_text())[1] == str(VERSION)
