"""What follows from figures, without playing anything."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.played import Figures, Results
from harness.realtime import figures
from harness.realtime.controls import check
from harness.realtime.judging import clean_stretch, judge, median_interval, more_than_chance

WINDOWS = 60
GOOD_RESULTS = Results(5900, 0, 0, 0, 0, 0, (0.006, 0.011, 0.012))
GOOD = Figures(
    callbacks=45000, seconds=60.0, misses=0, woken_late=0, missed_windows=(False,) * WINDOWS,
    run=(1e-6, 2e-6, 3e-6, 9e-6), wake=(4e-5, 6e-5, 2e-4),
    wakes=(6e-5,) * WINDOWS, voluntary=0, involuntary=0, faults=0, allocations=0, locks=0, latencies=(960,) * WINDOWS,
    results=GOOD_RESULTS, realtime=True, watched=True, why="",
)  # fmt: skip
EMPTY = replace(GOOD, results=None)


def missing(*numbers, of=GOOD):
    return replace(of, misses=len(numbers), missed_windows=tuple(number in numbers for number in range(len(of.missed_windows))))


def judged(subject=GOOD, empty=EMPTY, latency=960):
    return {answer.metric: answer for answer in judge(subject, empty, latency, 64, 48000.0)}


def states(**sides):
    return {metric: answer.state for metric, answer in judged(**sides).items() if answer.state != "pass"}


def test_a_minute_without_fault_passes():
    assert states() == {}
    assert states(subject=replace(GOOD, results=None)) == {}


@pytest.mark.parametrize(
    ("metric", "subject"),
    [
        ("allocations", replace(GOOD, allocations=1)),
        ("locks", replace(GOOD, locks=1)),
        ("voluntary", replace(GOOD, voluntary=1)),
        ("latency", replace(GOOD, latencies=(960,) * 59 + (0,))),
        ("latency", replace(GOOD, latencies=(-1,) * 60)),
        ("torn", replace(GOOD, results=replace(GOOD_RESULTS, torn=1))),
        ("unfinite", replace(GOOD, results=replace(GOOD_RESULTS, unfinite=1))),
        ("results", replace(GOOD, results=replace(GOOD_RESULTS, seen=0))),
    ],
)
def test_what_only_the_callback_can_do_is_never_excused(metric, subject):
    assert states(subject=subject) == {metric: "fail"}
    busy = missing(*range(0, 60, 7), of=EMPTY)
    assert states(subject=subject, empty=busy)[metric] == "fail"


def test_blocking_as_often_as_an_empty_callback_is_the_machines_doing():
    assert states(subject=replace(GOOD, voluntary=2), empty=replace(EMPTY, voluntary=2)) == {}


def test_misses_are_held_against_the_empty_callback():
    assert states(subject=missing(1, 2, 3, 4, 5)) == {"misses": "fail"}
    assert states(subject=missing(1, 2)) == {"misses": "inconclusive"}
    assert "too few to tell from chance" in judged(subject=missing(1, 2))["misses"].message
    # Where even nothing misses deadlines, nothing is proved, and what to do is said.
    busy = missing(3, 30, 50, of=EMPTY)
    assert states(subject=GOOD, empty=busy) == {"misses": "inconclusive"}
    assert "stop other work" in judged(empty=busy)["misses"].message
    refused = replace(busy, realtime=False, why="SCHED_FIFO: Operation not permitted")
    assert "allow real-time priority (SCHED_FIFO: Operation not permitted)" in judged(empty=refused)["misses"].message
    assert states(subject=missing(*range(60)), empty=busy) == {"misses": "fail"}


def test_a_clean_minute_within_a_longer_session_counts():
    longer = {"seconds": 180.0, "missed_windows": (False,) * 180, "wakes": (6e-5,) * 180}
    subject, empty = replace(GOOD, **longer), missing(10, 40, of=replace(EMPTY, **longer))
    assert clean_stretch(empty.missed_windows) == (41, 180)
    assert states(subject=subject, empty=empty) == {}
    assert states(subject=missing(15, of=subject), empty=empty) == {}
    assert states(subject=missing(100, of=subject), empty=empty) == {"misses": "inconclusive"}
    everywhere = missing(*range(0, 180, 30), of=replace(EMPTY, **longer))
    assert states(subject=subject, empty=everywhere) == {"misses": "inconclusive"}


def test_a_short_session_proves_nothing_but_can_fail():
    short = {"seconds": 2.0, "missed_windows": (False,) * 8, "wakes": (6e-5,) * 8}
    subject, empty = replace(GOOD, **short), replace(EMPTY, **short)
    assert states(subject=subject, empty=empty) == {"misses": "inconclusive"}
    assert "too short for a proof" in judged(subject=subject, empty=empty)["misses"].message
    assert states(subject=replace(subject, locks=1), empty=empty) == {"misses": "inconclusive", "locks": "fail"}


def test_wake_jitter_is_paired_with_the_empty_callback():
    rng = np.random.default_rng(1)
    noise = rng.normal(6e-5, 2e-5, WINDOWS)
    empty = replace(EMPTY, wakes=tuple(noise))
    assert states(subject=replace(GOOD, wakes=tuple(noise + 3e-6)), empty=empty) == {}
    assert states(subject=replace(GOOD, wakes=tuple(noise + 30e-6)), empty=empty) == {"wake_jitter": "fail"}
    wild = tuple(noise + rng.normal(12e-6, 60e-6, WINDOWS))
    assert states(subject=replace(GOOD, wakes=wild), empty=empty) == {"wake_jitter": "inconclusive"}


@pytest.mark.parametrize(
    ("missed", "stretch"), [((), (0, 0)), ((True,), (0, 0)), ((False, True, False, False), (2, 4)), ((False, False, True, False), (0, 2))]
)
def test_the_longest_stretch_without_a_miss(missed, stretch):
    first, last = clean_stretch(missed)
    assert (last - first, (first, last) if last > first else (0, 0)) == (stretch[1] - stretch[0], stretch)


def test_chance_is_a_fair_coin_per_window():
    assert not more_than_chance(0, 0)
    assert not more_than_chance(4, 0)  # 1 / 16
    assert more_than_chance(5, 0)  # 1 / 32
    assert not more_than_chance(10, 8)
    assert more_than_chance(40, 10)


def test_the_interval_of_a_median_is_made_of_order_statistics():
    assert median_interval([1.0, 2.0, 3.0]) == (2.0, -math.inf, math.inf)
    # Six values: the extremes enclose the median but once in 32.
    assert median_interval([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]) == (3.5, 1.0, 6.0)
    covered = 0
    rng = np.random.default_rng(2)
    for _ in range(400):
        _, low, high = median_interval(list(rng.normal(0, 1, 25)))
        covered += low <= 0 <= high
    assert covered / 400 > 0.94


def rows(**columns):
    """A Stage's answer of six blocks in two windows after one of warm-up, of 10 ms each."""
    count = 7
    names = ("wake_ns", "run_ns", "late_ns", "sequence", "age_ns", "dropped", "voluntary", "involuntary", "faults", "allocations", "locks",
             "flags", "torn", "unfinite")  # fmt: skip
    table = {name: np.zeros(count, np.int64) for name in names}
    table |= {"window": np.array([-1, 0, 0, 0, 1, 1, 1]), "settled": np.ones(count, bool), "late_ns": np.full(count, -1)}
    table |= {name: np.array(values) for name, values in columns.items()}
    granted = {"realtime": True, "watched": True, "why": ""}
    return {"columns": table, "latencies": [960, 960, 960], "granted": granted, "frames": 480, "rate": 48000.0}


def test_figures_leave_the_warm_up_out_but_not_its_allocations():
    ends = {"late_ns": [5, -1, 5, 5, -1, -1, -1], "wake_ns": [0, 0, 9e6, 11e6, 0, 0, 0]}
    found = figures.of(rows(**ends, allocations=[2, 0, 1, 0, 0, 0, 0], run_ns=[9000, 10, 20, 30, 10, 20, 30]))
    assert (found.callbacks, found.seconds, found.missed_windows) == (6, 0.06, (True, False))
    assert (found.misses, found.woken_late) == (2, 1)  # of 10 ms each
    assert found.allocations == 3
    assert found.run == pytest.approx((20e-9, 30e-9, 30e-9, 30e-9))


def test_gaps_are_counted_within_windows_only():
    found = figures.of(rows(sequence=[1, 2, 3, 6, 90, 90, 92], age_ns=[0, 1e6, 2e6, 3e6, 4e6, 5e6, 6e6]), ("late",)).results
    assert (found.gaps, found.skipped, found.seen) == (2, 3, 4)
    assert found.ages[2] == pytest.approx(0.006)


def test_flags_have_names_and_shares():
    found = figures.of(rows(sequence=[1] * 7, flags=[3, 1, 1, 1, 0, 2, 4]), ("late", "off")).results
    assert found.flagged == {"late": 0.5, "off": pytest.approx(1 / 6), "bit 2": pytest.approx(1 / 6)}


def test_what_has_not_settled_is_not_held_against_the_results_unless_torn():
    settled = np.array([True, False, True, True, False, True, True])
    columns = {"sequence": [0, 1, 5, 6, 7, 20, 21], "flags": [1, 1, 0, 0, 1, 0, 0], "torn": [0, 1, 0, 0, 0, 0, 0]}
    found = figures.of(rows(settled=settled, **columns)).results
    assert (found.gaps, found.flagged, found.torn) == (0, {}, 1)


def controlled(kind, deliberate, **columns):
    return {problem for one in check({"controls": {kind: {**rows(**columns), "deliberate": deliberate}}}) if (problem := one.problem)}


@pytest.mark.parametrize(
    ("kind", "columns", "problem"),
    [
        ("allocations", {"allocations": [0] * 7}, "the detector of allocations saw 0 of 7 deliberate ones; is _watch.so preloaded"),
        ("locks", {"locks": [1, 1, 1, 1, 1, 1, 0]}, "the detector of locks saw 6 of 7 deliberate ones; is _watch.so preloaded"),
        ("torn", {"torn": [1] * 6 + [0]}, "the detector of torn saw 6 of 7 deliberate ones"),
        ("voluntary", {"voluntary": [1, 1, 1, 1, 0, 0, 0]}, "the detector of voluntary saw 3 of 7 deliberate ones"),
        ("nothing", {"locks": [0, 1, 0, 0, 0, 0, 0]}, "the detector of locks counted 1 in a callback that does nothing"),
    ],
)
def test_a_detector_that_miscounts_its_control_is_named(kind, columns, problem):
    (found,) = controlled(kind, 7, **columns)
    assert found.startswith(problem)


def test_a_detector_that_counts_its_control_is_right():
    assert controlled("allocations", 7, allocations=[1] * 7) == set()
    assert controlled("voluntary", 7, voluntary=[1, 1, 1, 1, 1, 0, 0]) == set()
    assert controlled("nothing", 0) == set()
    # Two blocks of 10 ms spun, and the next one late by one.
    spun = {"late_ns": [-1, 9e6, -1, -1, 9e6, 9e6, -1], "run_ns": [0, 21e6, 0, 0, 21e6, 0, 0], "wake_ns": [0, 0, 9e6, 0, 0, 9e6, 0]}
    assert controlled("misses", 2, **spun) == set()
    said = {f"the control of {name} did nothing: it is no control" for name in ("misses", "run time", "wake jitter")}
    assert controlled("misses", 0, **spun) == said
