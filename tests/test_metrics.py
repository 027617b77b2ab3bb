"""Metrics of synthetic records whose true values are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from synthetic import launches, parity, record

from harness.metrics import Absent, about, floor_value, key, metrics_of, rejected_share, speedups
from harness.record import Block, Record, Samples, seconds_by_round
from harness.stats import Interval
from harness.store import from_json, to_json


def interval(records: list[Record], name: str) -> Interval:
    found = metrics_of(records)[name]
    assert isinstance(found, Interval), found
    return found


def absent(records: list[Record], name: str) -> str:
    found = metrics_of(records)[name]
    assert isinstance(found, Absent), found
    return found.reason


def test_seconds_per_call_are_the_geometric_mean_of_launches() -> None:
    found = interval(launches(seconds=0.01), "seconds_per_call")
    assert found.point == pytest.approx(0.01 * (1.00 * 1.01 * 1.02) ** (1 / 3))
    assert (found.n, found.bounded) == (3, True)


def test_rtf_counts_the_audio_that_was_produced() -> None:
    assert interval([record(seconds=0.01, produced=100.0, audio=0.5)], "rtf").point == pytest.approx(0.01 / 50)
    assert absent([record(produced=0.0)], "rtf") == "no audio was produced"
    assert absent([record(audio=None)], "rtf") == "a audio second stands for no audio"


def test_throughput_counts_the_units_that_were_produced() -> None:
    assert interval([record(seconds=0.01, produced=100.0)], "throughput_per_second").point == pytest.approx(10_000)


def test_percentiles_need_enough_calls() -> None:
    few = launches(calls=30)
    assert interval(few, "latency_p95_seconds").n == 3
    assert absent(few, "latency_p99_seconds") == "90 calls were timed one by one, 99 % needs 299"
    assert interval(launches(calls=100), "latency_p99_seconds").point == pytest.approx(0.01 * 1.01 * 1.049, rel=1e-3)


def test_memory_load_and_first_call() -> None:
    one = [record(peak=300_000_000)]
    assert interval(one, "peak_bytes").point == 3e8
    assert interval(one, "growth_bytes").point == 2e8
    assert interval(one, "load_seconds").point == 0.2
    assert interval(one, "cold_seconds").point == pytest.approx(0.03)
    assert absent(one, "device_peak_bytes") == "no device memory was measured"


def test_first_audio_is_the_first_chunk() -> None:
    chunks = Samples(chunks=((0.1, 0.5), (0.3, 0.6), (0.2, 0.7)))
    found = metrics_of([record(samples=chunks)])
    assert found["time_to_first_audio_seconds"].point == pytest.approx(0.2)  # type: ignore[union-attr]
    assert absent([record()], "time_to_first_audio_seconds") == "the result does not come in chunks"


def test_parity_metrics_span_launches_and_outputs() -> None:
    two = [record(parity=[parity(difference=1e-7, snr_db=90.0)]), record(parity=[parity(difference=3e-7, snr_db=80.0)])]
    found = interval(two, "snr_db")
    assert (found.point, found.low, found.high) == (80.0, 80.0, 90.0)


def test_a_busy_machine_leaves_no_time() -> None:
    assert absent(launches(quiet=0.0), "seconds_per_call") == "the machine was busy: no quiet round in 20 blocks"


def test_what_failed_has_no_metrics() -> None:
    assert metrics_of([record(outcome="crashed", message="signal 11")]) == {}


def test_share_of_limit_and_floor() -> None:
    one = [record(seconds=0.01, floor=0.004, produced=100.0)]
    assert interval(one, "limit_share").point == pytest.approx(0.4)
    assert floor_value("latency_p99_seconds", one) == 0.004
    assert floor_value("rtf", one) == pytest.approx(0.00004)
    assert floor_value("throughput_per_second", one) == pytest.approx(25_000)
    assert floor_value("peak_bytes", one) is None
    assert floor_value("rtf", [record()]) is None


def test_speedups_over_the_reference_and_each_peer() -> None:
    records = launches("native", 0.01) + launches("reference", 0.25) + launches("madmom", 0.2)
    found = speedups(records)
    native = found[key(records[0])]
    assert set(native) == {"speedup_over_reference", "speedup_over_madmom"}
    assert native["speedup_over_reference"] == Interval(pytest.approx(25.0), pytest.approx(25.0), pytest.approx(25.0), 3)
    assert native["speedup_over_madmom"].point == pytest.approx(20.0)  # type: ignore[union-attr]
    assert set(found[key(records[3])]) == {"speedup_over_madmom"}


def test_a_launch_pairs_only_with_the_same_launch() -> None:
    records = [record("native", launch=0), record("reference", launch=1, role="reference")]
    assert speedups(records)[key(records[0])] == {"speedup_over_reference": Absent("no quiet round in common with reference")}


def test_settings_that_both_honour_must_agree() -> None:
    native = launches("native", 0.01, settings={"threads": 1}) + launches("native", 0.005, settings={"threads": 2})
    torch = launches("madmom", 0.1, settings={"threads": 1}) + launches("madmom", 0.05, settings={"threads": 2})
    found = speedups(native + torch + launches("reference", 0.2))
    assert found[key(native[0])]["speedup_over_madmom"].point == pytest.approx(10)  # type: ignore[union-attr]
    assert found[key(native[3])]["speedup_over_madmom"].point == pytest.approx(10)  # type: ignore[union-attr]
    assert found[key(native[3])]["speedup_over_reference"].point == pytest.approx(40)  # type: ignore[union-attr]


def test_where_several_bases_fit_the_fastest_counts() -> None:
    native = launches("native", 0.01)
    peer = launches("madmom", 0.1, settings={"threads": 1}) + launches("madmom", 0.05, settings={"threads": 2})
    assert speedups(native + peer)[key(native[0])]["speedup_over_madmom"].point == pytest.approx(5)  # type: ignore[union-attr]


def test_a_sweep_compares_a_row_with_itself_at_the_least_and_at_the_best_other_value() -> None:
    times = {1: 0.08, 4: 0.02, 16: 0.04}
    rows = {batch: launches("native", seconds, settings={"batch": batch, "threads": 2}) for batch, seconds in times.items()}
    other = launches("native", 0.001, settings={"batch": 1, "threads": 1})  # apart in two settings from all but the first
    found = speedups([record for of in rows.values() for record in of] + other)
    of = {batch: {name: value.point for name, value in found[key(rows[batch][0])].items()} for batch in times}  # type: ignore[union-attr]
    one, best = "speedup_over_batch=1", "speedup_over_best_other_batch"
    assert of[4] == {one: pytest.approx(4), best: pytest.approx(2)}
    assert of[16] == {one: pytest.approx(2), best: pytest.approx(0.5)}
    threads = {"speedup_over_threads=1": pytest.approx(0.001 / 0.08), "speedup_over_best_other_threads": pytest.approx(0.001 / 0.08)}
    assert of[1] == {best: pytest.approx(0.25), **threads}


def test_the_plain_reference_is_the_base_not_its_variant() -> None:
    native = launches("native", 0.01)
    truth = launches("reference", 0.02, variant={"precision": "float64"})
    found = speedups(native + truth + launches("reference", 0.1))
    assert found[key(native[0])]["speedup_over_reference"].point == pytest.approx(10)  # type: ignore[union-attr]
    assert found[key(truth[0])]["speedup_over_reference"].point == pytest.approx(5)  # type: ignore[union-attr]
    assert found[key(launches("reference", 0.1)[0])] == {}


def test_controls_and_failures_are_no_bases() -> None:
    native = launches("native", 0.01)
    others = launches("reference", control="A/A") + launches("madmom", outcome="hung")
    assert speedups(native + others)[key(native[0])] == {}


def test_the_settings_of_a_key_survive_json() -> None:
    assert key(record(settings={"affinity": (0, 1)})) == key(record(settings={"affinity": [0, 1]}))


def test_directions() -> None:
    assert about("speedup_over_anything").better == "more"
    assert about("rtf").better == "less"
    assert about("own_metric").better is None
    assert about("own_metric").lowest == -math.inf


def test_a_round_is_quiet_when_all_its_blocks_are() -> None:
    noisy = [Block(1, 1, 9.0, 9.0, False), Block(1, 1, 9.0, 9.0, True)]
    blocks = [Block(0, 4, 1.0, 0.5, True), Block(0, 4, 3.0, 0.7, True), *noisy, Block(2, 1, 1.0, 0.0, True)]
    assert seconds_by_round(blocks) == {0: 0.5, 2: 1.0}
    assert seconds_by_round(blocks, "cpu") == {0: pytest.approx(0.15)}
    assert rejected_share(blocks) == pytest.approx(0.2)
    assert rejected_share([]) == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_stored_value_that_is_no_number_is_no_measurement(value: float) -> None:
    records = [record(launch=0), record(launch=1, peak=value), record(launch=2)]  # type: ignore[arg-type]
    assert absent(records, "peak_bytes") == f"a launch recorded {value}, which is no measurement"


def test_what_weights_take_is_a_metric_where_the_implementation_says_it() -> None:
    records = launches()
    assert absent(records, "weight_bytes") == "the implementation does not say what its weights take"
    said = [replace(record, samples=replace(record.samples, weight_bytes=1_151_280)) for record in records]
    assert interval(said, "weight_bytes").point == pytest.approx(1_151_280)
    assert from_json(to_json(said[0]), where="here") == said[0]
