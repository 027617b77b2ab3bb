import dataclasses
import json
import re
from pathlib import Path

import machine_files
import pytest

from harness import limits
from harness.component import Work
from harness.limits import Ceiling, Limits, cached, describe, floor, floor_seconds, from_json, measure_limits, to_json
from harness.machine import this_machine
from harness.settings import ConfigurationError

MACHINE = machine_files.machine("amd-epyc-vm")


def gemm(precision: str, threads: int, value: float, device: str = "cpu") -> Ceiling:
    return Ceiling("gemm", precision, threads, value, "GFLOP/s", "a library", device=device)


def read(level: str, threads: int, value: float, capacity: int | None) -> Ceiling:
    return Ceiling("read", level, threads, value, "GB/s", "native", capacity)


LIMITS = Limits(
    MACHINE.name,
    "2026-11-20",
    (
        gemm("float64", 1, 50.0),
        gemm("float64", 2, 90.0),
        gemm("float32", 1, 100.0),
        gemm("float32", 2, 180.0),
        gemm("float16", 1, 2.0),
        gemm("int8", 1, 900.0),
        gemm("int8", 2, 1800.0),
        gemm("float32", 1, 50000.0, "cuda"),
        read("L1", 1, 200.0, 32 << 10),
        read("L2", 1, 100.0, 1 << 20),
        read("memory", 1, 30.0, None),
        read("L1", 2, 400.0, 32 << 10),
        read("L2", 2, 200.0, 1 << 20),
        read("memory", 2, 40.0, None),
        Ceiling("call", "numpy", 1, 0.35, "us", "NumPy add"),
    ),
    missing=("cpu gemm bfloat16, 1 threads: no installed library has a fast path",),
)


@pytest.mark.parametrize(
    ("work", "threads", "seconds", "ceiling"),
    [
        (Work(1e9, 0, "float64"), 1, 1 / 50, "float64 products at 50 G operations/s"),
        (Work(1e9, 0, "float64"), 2, 1 / 90, "float64 products at 90"),
        (Work(1e9, 0, "float32"), None, 1 / 180, "float32 products at 180"),
        (Work(1e9, 0, "int8"), 1, 1 / 900, "int8 products at 900"),
        # float16 is slow here, but what it computes float32 can compute too.
        (Work(1e9, 0, "float16"), 1, 1 / 100, r"float32 products at 100 .*\(float16 was not faster, or not measured\)"),
        # Nothing is known of int16: the fastest of all bounds it.
        (Work(1e9, 0, "int16"), 1, 1 / 900, r"int8 products .*\(int16 was not faster"),
        (Work(0, 10e3), 1, 10e3 / 200e9, "reading L1 at 200 GB/s"),
        (Work(0, 60e3), 1, 60e3 / 100e9, "reading L2 at 100"),
        (Work(0, 60e3, repeated_bytes=10e3), 1, 60e3 / 200e9, "reading L1 at 200 GB/s"),
        (Work(0, 60e3), 2, 60e3 / 400e9, "reading L1 at 400"),
        (Work(0, 1e9), 1, 1e9 / 30e9, "reading memory at 30"),
        (Work(0, 1e9), 2, 1e9 / 40e9, "reading memory at 40"),
        (Work(1e6, 1e9), 2, 1e9 / 40e9, "reading memory"),
        (Work(1e9, 1e3), 2, 1e9 / 180e9, "float32 products"),
    ],
)
def test_the_slowest_ceiling_sets_the_floor(work: Work, threads: int | None, seconds: float, ceiling: str) -> None:
    found = floor_seconds(work, LIMITS, threads)
    assert found is not None
    assert found.seconds == pytest.approx(seconds)
    assert re.search(ceiling, found.ceiling)


def test_threads_between_one_and_all_scale_but_not_beyond_all() -> None:
    many = dataclasses.replace(LIMITS, ceilings=(gemm("float32", 1, 100.0), gemm("float32", 16, 900.0)))
    rates = [1e9 / floor_seconds(Work(1e9, 0), many, threads).seconds / 1e9 for threads in (1, 4, 12, 16, 64)]
    assert rates == pytest.approx([100, 400, 900, 900, 900])


def test_a_device_has_its_own_ceilings() -> None:
    assert floor_seconds(Work(1e9, 1e9), LIMITS, device="cuda").seconds == pytest.approx(1 / 50000)
    assert floor_seconds(Work(1e9, 1e9), LIMITS, device="mlx") is None


def test_metal_has_one_set_of_ceilings_and_mlx_elsewhere_the_cpus() -> None:
    ceilings = (*LIMITS.ceilings, gemm("float32", 1, 2000.0, "mlx"))
    apple = dataclasses.replace(LIMITS, machine="arm64-apple-m1-8c-16g-0", ceilings=ceilings)
    seconds = [floor(apple)(Work(1e9, 0), 1, device).seconds for device in ("mps", "mlx", "cpu")]
    assert seconds == pytest.approx([1 / 2000, 1 / 2000, 1 / 100])
    assert floor(LIMITS)(Work(1e9, 0), 1, "mlx").seconds == pytest.approx(1 / 100)
    assert floor(dataclasses.replace(LIMITS, ceilings=LIMITS.ceilings[:2]))(Work(1e9, 0), 1, "cuda") is None


def test_no_work_has_no_floor() -> None:
    assert floor_seconds(Work(0, 0), LIMITS) is None


def test_a_busy_machine_gives_no_floor() -> None:
    assert floor(LIMITS)(Work(1e9, 0), 1).seconds == pytest.approx(1 / 100)
    assert floor(dataclasses.replace(LIMITS, busy="CPU pressure 50 %"))(Work(1e9, 0), 1) is None


def test_describe_names_probe_value_and_library() -> None:
    lines = describe(dataclasses.replace(LIMITS, busy="CPU pressure 50 %"))
    assert lines[0] == ("limits", "measured 2026-11-20; the machine was busy: CPU pressure 50 %")
    assert ("gemm float32, 2 threads", "180 GFLOP/s (a library)") in lines
    assert ("gemm float32 on cuda", "5e+04 GFLOP/s (a library)") in lines
    assert ("call numpy", "0.35 us (NumPy add)") in lines
    assert lines[-1] == ("not measured", LIMITS.missing[0])


def test_json_keeps_everything() -> None:
    assert from_json(to_json(LIMITS)) == LIMITS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2 is newer than the 1 this version reads"),
        ({"ceilings": [{"name": "read"}]}, "damaged .TypeError"),
        ({"ceilings": [dataclasses.asdict(gemm("float32", 1, -1.0))]}, "expected values above 0"),
        ({"extra": 1}, "extra"),
    ],
)
def test_damaged_json_is_one_clear_error(change: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"here: damaged.*{message}|{message}.*measure again: harness machine --limits"):
        from_json(json.dumps({**json.loads(to_json(LIMITS)), **change}), where="here")


def test_limits_are_kept_by_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    assert cached(MACHINE) is None
    file = tmp_path / "limits" / f"{MACHINE.name}.json"
    file.parent.mkdir()
    file.write_text(to_json(LIMITS))
    assert cached(MACHINE) == LIMITS
    file.write_text(to_json(dataclasses.replace(LIMITS, machine="another")))
    with pytest.raises(
        ConfigurationError, match=r"expected the limits of x86_64-amd.*, found those of another; delete it and measure again"
    ):
        cached(MACHINE)
    file.write_text("{")
    with pytest.raises(ConfigurationError, match="damaged"):
        cached(MACHINE)


def line(name: str, detail: str, value: float) -> dict:
    return dataclasses.asdict(Ceiling(name, detail, 1, value, "GFLOP/s", "fake"))


def test_a_busy_machine_keeps_the_better_figures_and_a_quiet_one_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    quiet = limits.state().__class__(cpus=2)
    busy = dataclasses.replace(quiet, pressure_percent=60.0)
    told: list[str] = []

    def measure(figures: dict[str, float], now: object) -> Limits:
        monkeypatch.setattr(limits, "state", lambda since: now)
        lines = [*(line("call" if name == "numpy" else "gemm", name, value) for name, value in figures.items()), {"missing": "cuda: none"}]
        monkeypatch.setattr(limits, "_probe", lambda plan, environment: iter(lines))
        return measure_limits(MACHINE, told.append)

    first = measure({"float32": 100.0, "float64": 50.0, "numpy": 0.5}, quiet)
    assert (first.busy, first.missing) == ("", ("cuda: none",))
    assert told[0] == "gemm float32, 1 thread: 100 GFLOP/s (fake)"
    second = measure({"float32": 60.0, "float64": 55.0, "numpy": 0.9}, busy)
    assert [ceiling.value for ceiling in second.ceilings] == [100.0, 55.0, 0.5]
    assert (second.busy, second.measured) == ("", first.measured)  # what a quiet machine reached once is no less true now
    assert "the machine was busy (CPU pressure 60 %" in told[-1]
    assert cached(MACHINE) == second
    assert measure({"float16": 60.0}, busy).busy.startswith("CPU pressure 60 %")  # nobody has seen this one on a quiet machine
    third = measure({"float32": 90.0, "float64": 45.0, "numpy": 0.6}, quiet)
    assert [ceiling.value for ceiling in third.ceilings] == [90.0, 45.0, 0.6]


def test_a_probe_that_dies_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    monkeypatch.setattr(limits, "_plan", lambda machine: {"threads": [1]})
    with pytest.raises(ConfigurationError, match="measuring limits: expected exit code 0, found 1: KeyError: 'levels'"):
        measure_limits(MACHINE)
    assert cached(MACHINE) is None


@pytest.mark.parametrize("name", machine_files.MACHINES)
def test_levels_of_every_machine_fit_their_caches(name: str) -> None:
    machine = machine_files.machine(name)
    plan = limits._plan(machine)
    assert plan["threads"] == sorted({1, machine.physical_cores})
    *caches, memory = plan["levels"]
    assert [level["name"] for level in caches] == [f"L{level}" for level in sorted({c.level for c in machine.caches})]
    for level in caches:
        assert 0 < level["bytes"] < level["capacity"] <= machine.cache_bytes(int(level["name"][1]))
    largest = max(cache.bytes * cache.count for cache in machine.caches)
    assert memory["bytes"] >= min(4 * largest, 128 << 20)
    assert memory["bytes"] <= machine.memory_gib * (1 << 30) / 8


def test_a_machine_of_unknown_caches_bounds_all_of_them_by_the_fastest() -> None:
    plan = limits._plan(dataclasses.replace(MACHINE, caches=()))
    assert [(level["name"], level["capacity"]) for level in plan["levels"]] == [("cache", 64 << 20), ("memory", None)]


@pytest.mark.long
def test_this_machine_can_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    found = measure_limits(this_machine())
    names = {(ceiling.name, ceiling.detail) for ceiling in found.ceilings}
    assert {
        ("read", "memory"),
        ("gemm", "float32"),
        ("gemm", "float64"),
        ("convolution", "float32"),
        ("fft", "float32"),
        ("call", "numpy"),
    } <= names
    assert cached(this_machine()) == found
