"""From the records of a gate's launches to log-ratios, and from decisions to verdicts; by hand-made records."""

import dataclasses
import math

import pytest
from synthetic import MACHINE, parity, plan, planned, record

from harness import gating, metrics
from harness.gate import compare, session
from harness.gate.compare import BASE, COPY, HEAD, INJECTED, LANES
from harness.gate.decide import decide
from harness.gate.expected import expected
from harness.gate.inventory import Entry
from harness.gate.margins import Margins
from harness.gate.sides import Side
from harness.record import Timing
from harness.report.view import notes
from harness.stats import Interval
from harness.targets import Target
from harness.verdict import exit_code

COST = {HEAD: 1.0, BASE: 1.0, COPY: 1.0, INJECTED: 1.05}


def launches(cost=None, n=3, clock="cpu", **fields):
    """Records of n launches of all lanes; a call of a lane takes 10 ms times its cost."""
    cost = {**COST, **(cost or {})}
    found = [record(seconds=0.010 * cost[lane], launch=i, control=lane, clock=clock, **fields) for i in range(n) for lane in LANES]
    return [slowed(one) if one.control == INJECTED else one for one in found]


def slowed(one):
    """A record with what the positive control adds to metrics that vary more, or are no time."""
    added = session.slowdown(Margins())

    def more(what, value):
        share, amount = added[what]
        return (1 + share) * value + amount

    load, cold = (Timing(*(more(of, t) for t in dataclasses.astuple(getattr(one.samples, of)))) for of in ("load", "cold"))
    slowest = sorted(one.samples.calls)[int(0.97 * len(one.samples.calls))]
    calls = tuple(more("tail" if call > slowest else "calls", call) for call in one.samples.calls)
    samples = dataclasses.replace(one.samples, load=load, cold=cold, calls=calls, peak_bytes=round(more("bytes", one.samples.peak_bytes)))
    return dataclasses.replace(one, samples=samples)


def series_of(records, fresh=()):
    return {one.metric: one for one in compare.series(records, fresh)}


def judged(records, fresh=(), targets=(), alone=None, **fields):
    found = compare.series(records, fresh)
    decisions = {(one.key, one.metric): decision for one, decision in zip(found, decide(found), strict=True)}
    made = dataclasses.replace(plan([one for one in records if one.control == HEAD]), machine=MACHINE)
    return compare.verdicts(made, records, found=decisions, targets=targets, profiles=("any",), alone=alone or {}, base="main", **fields)


def test_each_launch_gives_one_log_ratio_for_every_metric_that_was_measured():
    found = series_of(launches({HEAD: 1.2}))
    assert set(found) == {
        "seconds_per_call", "latency_p50_seconds", "latency_p95_seconds", "cold_seconds", "load_seconds", "peak_bytes",
    }  # fmt: skip
    assert found["seconds_per_call"].head == pytest.approx([math.log(1.2)] * 3)
    assert found["seconds_per_call"].copy == pytest.approx([0.0] * 3)
    assert found["seconds_per_call"].injected == pytest.approx([math.log(1.05)] * 3)
    # 30 ms, of which a fifth is nothing beside the 50 ms that nobody minds.
    assert found["cold_seconds"].head[0] == pytest.approx(math.log((0.036 + 0.05) / (0.030 + 0.05)))
    assert found["load_seconds"].head == found["peak_bytes"].head == (0.0, 0.0, 0.0)
    assert found["seconds_per_call"].fresh == ()


def test_calls_are_judged_on_the_clock_of_the_implementation():
    assert {one.clock for one in compare.series(launches())} == {"cpu", "wall"}
    assert series_of(launches())["seconds_per_call"].clock == "cpu"
    assert {one.clock for one in compare.series(launches(clock="cuda"))} == {"wall"}


def now_and_then(records, factor, lane=HEAD):
    """The records, in which three calls of a hundred of a lane take so many times as long."""
    def of(one):
        calls = tuple(call * (factor if number % 100 < 3 else 1.0) for number, call in enumerate(one.samples.calls))
        return dataclasses.replace(one, samples=dataclasses.replace(one.samples, calls=calls)) if one.control == lane else one

    return [of(one) for one in records]


def test_a_few_slow_calls_are_seen_in_the_99_percent_latency_alone():
    records = now_and_then(launches(calls=400), 3.0)
    answers = {answer.metric: answer for answer in judged(records, records).rows[0].of("regression")}
    assert {metric for metric, answer in answers.items() if answer.state != "pass"} == {"latency_p99_seconds"}
    assert answers["latency_p99_seconds"].state == "fail"
    assert answers["latency_p99_seconds"].value.point == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(("calls", "without"), [
    (4, ["50 % latency: 4 of 5", "95 % latency: 4 of 59", "99 % latency: 4 of 299", "99.9 % latency: 4 of 2995"]),
    (298, ["99 % latency: 298 of 299", "99.9 % latency: 298 of 2995"]),
    (299, ["99.9 % latency: 299 of 2995"]),
    (3000, []),
])  # fmt: skip
def test_what_the_calls_of_a_launch_cannot_say_is_said(calls, without):
    found = judged(launches(calls=calls))
    latencies = {answer.metric for answer in found.rows[0].of("regression") if answer.metric.startswith("latency")}
    assert len(latencies) == 4 - len(without)
    said = [note for answer in found.rows[0].of("regression") for note in answer.notes]
    assert said == ([f"not compared, too few calls in a launch: {', '.join(without)}"] if without else [])
    assert exit_code(found) == 0
    assert [note.message for note in notes(found) if "too few calls" in note.message] == said


def test_one_launch_with_fewer_calls_does_not_leave_a_metric_undecided_for_ever():
    records = [one for number in range(3) for one in launches(n=3, calls=200 if number == 1 else 400) if one.launch == number]
    assert len(series_of(records)["latency_p99_seconds"].head) == 3


def test_launches_that_confirm_are_kept_apart():
    found = series_of(launches(), launches({HEAD: 1.1}, n=2))["seconds_per_call"]
    assert found.head == pytest.approx([0.0] * 3)
    assert found.fresh == pytest.approx([math.log(1.1)] * 2)
    assert found.fresh_injected == pytest.approx([math.log(1.05)] * 2)


def test_throughput_is_judged_only_where_a_call_produces_another_amount():
    records = [dataclasses.replace(one, samples=dataclasses.replace(one.samples, produced=90.0)) if one.control == HEAD else one
               for one in launches()]  # fmt: skip
    assert series_of(records)["throughput_per_second"].head == pytest.approx([math.log(2)] * 3)
    assert "throughput_per_second" not in series_of(launches())


@pytest.mark.parametrize("lane", LANES)
def test_what_crashed_or_is_wrong_on_any_lane_is_not_compared(lane):
    crashed = [dataclasses.replace(record(control=lane, outcome="crashed", message="died of SIGSEGV"), launch=0)]
    others = [one for one in launches() if one.control != lane]
    assert compare.series([*others, *crashed]) == []
    row = judged([*others, *crashed]).rows[0]
    assert row.of("regression")[0].state == "inconclusive"
    assert "SIGSEGV" in row.of("regression")[0].message
    wrong = [dataclasses.replace(one, parity=(parity(passed=False),)) if one.control == lane else one for one in launches()]
    assert compare.series(wrong) == []
    assert exit_code(judged(wrong)) == (1 if lane == HEAD else 3)


def test_equal_sides_pass_and_the_table_says_how_fast_against_base():
    found = judged(launches())
    row = found.rows[0]
    assert exit_code(found) == 0
    assert {answer.metric for answer in row.of("regression")} == set(series_of(launches()))
    speed = row.metrics["speedup_over_base"]
    assert isinstance(speed, Interval)
    assert speed.point == pytest.approx(1.0)
    assert any("processor time" in note for note in found.notes)


def test_a_confirmed_slow_down_fails_names_itself_and_how_to_see_it_again():
    slow = {HEAD: 1.04}
    found = judged(launches(slow), launches(slow))
    answer = next(one for one in found.rows[0].of("regression") if one.metric == "seconds_per_call")
    assert exit_code(found) == 1
    assert answer.state == "fail"
    assert "4.00%" in answer.message
    assert "harness gate --base main spectrogram.native --case drums" in answer.message


def test_a_slow_down_that_was_only_screened_is_no_verdict():
    assert exit_code(judged(launches({HEAD: 1.04}))) == 3


def test_a_row_that_base_lacks_is_judged_on_parity_and_targets_alone():
    records = [one for one in launches() if one.control == HEAD]
    alone = {metrics.key(records[0]): "new: base has no such row"}
    found = judged(records, alone=alone)
    assert exit_code(found) == 0
    assert found.rows[0].of("regression")[0].notes == ("new: base has no such row",)
    late = Target("spectrogram", "any", "seconds_per_call", at_most=0.005, kind="stated", source="a test", origin="here")
    assert exit_code(judged(records, alone=alone, targets=[late])) == 1


def test_targets_that_need_a_peer_are_named_as_not_judged():
    over = Target("spectrogram", "any", "speedup_over_madmom", at_least=25.0, kind="stated", source="a test", origin="here")
    found = judged(launches(), targets=[over])
    assert exit_code(found) == 0
    assert any("speedup_over_madmom" in note and "harness run" in note for note in found.notes)


def side(*entries, name="base"):
    from pathlib import Path

    return Side(name, "0123456789abcdef", False, Path("python"), (), Path("/side"), {entry.name: entry for entry in entries})


COMPONENT = Entry("spectrogram", "a:C", "component", version=1, cases=("drums",), quick="drums")
NATIVE = Entry("spectrogram.native", "a:N", "implementation", role="optimized", clock="cpu")
PEER = Entry("spectrogram.madmom", "a:P", "implementation", role="peer")


def of(head, base, patterns=(), records=None):
    whole = plan(records or [record(), record("madmom"), record("torch")])
    return expected(whole, side(*head, name="head"), side(*base), patterns)


def test_the_plan_is_the_optimized_rows_of_the_distribution():
    found = of((COMPONENT, NATIVE, PEER), (COMPONENT, NATIVE, PEER))
    assert [(row.row, row.launches) for row in found.plan.planned] == [("native", 3)]
    assert (found.alone, found.problems) == ({}, ())


def test_what_base_lacks_is_alone():
    found = of((COMPONENT, NATIVE), (COMPONENT,))
    assert list(found.alone.values()) == ["new: 0123456789ab has no such row, so it has nothing to regress from"]
    assert found.problems == ()


def test_a_variant_that_base_does_not_declare_is_alone():
    entry = dataclasses.replace(NATIVE, settings=("precision",), variants=({"precision": "float32"},))
    records = [record(), record(variant={"precision": "float32"}), record(variant={"precision": "int8"})]
    found = of((COMPONENT, entry), (COMPONENT, dataclasses.replace(entry, settings=())), records=records)
    assert len(found.plan.planned) == 3
    assert {key[1] for key in found.alone} == {"native[precision=float32]", "native[precision=int8]"}


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ((COMPONENT,), "does not have it"),
        ((COMPONENT, dataclasses.replace(NATIVE, unavailable="mlx: not installed")), "mlx: not installed"),
        ((COMPONENT, dataclasses.replace(NATIVE, broken="ImportError: no")), "ImportError: no"),
    ],
)
def test_what_head_lost_is_missing(head, reason):
    found = of(head, (COMPONENT, NATIVE), records=[record("torch")])
    assert [problem.state for problem in found.problems] == ["missing"]
    assert reason in found.problems[0].message
    assert of(head, (COMPONENT, NATIVE), ("dbn",), records=[record("torch")]).problems == ()


def test_a_lost_component_and_a_lost_case_are_missing():
    assert "component spectrogram: base has it, head does not" in of((NATIVE,), (COMPONENT, NATIVE)).problems[0].message
    fewer = dataclasses.replace(COMPONENT, cases=("bass",))
    assert "has the cases drums" in of((fewer, NATIVE), (COMPONENT, NATIVE)).problems[0].message


def test_another_contract_is_invalid():
    newer = dataclasses.replace(COMPONENT, version=2)
    found = of((newer, NATIVE), (COMPONENT, NATIVE))
    assert [problem.state for problem in found.problems] == ["invalid"]
    assert "contract version 2 in head and 1 in base" in found.problems[0].message


def test_components_take_turns_so_that_a_budget_leaves_none_of_them_out():
    given = [("codec", "a", "x"), ("codec", "a", "y"), ("codec", "b", "x"), ("codec", "b", "y"), ("codec", "c", "x"), ("dbn", "d", "x")]
    rows = planned([record(row, component=component, case=case) for component, case, row in given])
    turns = [(row.component, row.case, row.row) for row in gating.in_turn(rows)]
    assert turns == [*given[:2], given[5], *given[2:5]]
