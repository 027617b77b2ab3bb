"""Ring and mailbox under ThreadSanitizer, beside a hand-off that it must flag."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parent.parent / "implementations" / "small_models" / "realtime"
REPORTED = 66
"""The exit status of a program in which ThreadSanitizer saw a race."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    built = tmp_path_factory.mktemp("sanitized") / "sanitized"
    flags = ["-std=c++17", "-O1", "-g", "-pthread", "-fsanitize=thread", f"-I{SOURCES}"]
    command = [compiler, *flags, str(HERE / "sanitized.cpp"), "-o", str(built)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if made.returncode and re.search("tsan|fsanitize", made.stderr):
        pytest.skip(f"this compiler has no ThreadSanitizer: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    return built


def run(program, what):
    environment = {**os.environ, "TSAN_OPTIONS": f"exitcode={REPORTED}"}
    return subprocess.run([program, what], capture_output=True, text=True, timeout=120, check=False, env=environment)


def test_ring_is_silent_and_loses_nothing(program):
    said = run(program, "ring")
    assert said.returncode == 0, said
    assert said.stderr == ""
    assert said.stdout == "seen 200000, torn 0, disorder 0\n"


def test_mailbox_is_silent_and_in_order(program):
    said = run(program, "mailbox")
    assert said.returncode == 0, said
    assert said.stderr == ""
    assert int(re.match(r"seen (\d+), torn 0, disorder 0\n", said.stdout)[1]) >= 1


def test_one_slot_with_a_flag_is_a_race(program):
    said = run(program, "slot")
    assert said.returncode == REPORTED, said
    assert "WARNING: ThreadSanitizer: data race" in said.stderr
