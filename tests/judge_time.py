"""How long `harness judge` takes over ten thousand records: `python tests/judge_time.py [RECORDS]`; not a test, for machines differ."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthetic import SESSION, plan, record

from harness.machine import this_machine
from harness.store import to_json

ROWS, CASES, REPEATS = ("reference", "native", "torch_rfft", "madmom", "librosa"), ("drums", "stems"), 5


def write(folder: Path, count: int) -> int:
    """A project whose one session holds about so many records; their number."""
    launches = count // (len(ROWS) * len(CASES))
    about = {"machine": this_machine().name, "profile": "any"}
    records = [record(row, launch=n, case=case, jitter=1e-5, **about) for case in CASES for row in ROWS for n in range(launches)]
    (folder / "pyproject.toml").write_text("")
    store = folder / ".harness" / "records"
    store.mkdir(parents=True)
    whole = [plan(records, launches=launches, **about), *records]
    (store / f"{SESSION}.jsonl").write_text("".join(to_json(item) + "\n" for item in whole))
    return len(records)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(f"{write(Path(folder), count)} records")
        for _ in range(REPEATS):
            before, started = os.times(), time.perf_counter()
            command = [sys.executable, "-m", "harness.cli", "judge"]
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            after = os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            print(f"{cpu:.2f} s of processor time, {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
