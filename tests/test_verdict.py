"""Verdicts: each kind of trouble has its own colour, and nothing is green that was not measured."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import MACHINE, launches, parity, plan, record

from harness.metrics import Absent, key
from harness.record import Build, LeftOut, Plan, Record
from harness.stats import Interval
from harness.targets import Target
from harness.verdict import Answer, Row, Verdicts, answer_target, exit_code, judge


def target(metric: str = "seconds_per_call", at_most: float | None = 0.02, **fields: object) -> Target:
    values = {"component": "spectrogram", "profile": "any", "source": "the document", "kind": "stated", "origin": "targets.toml: entry 1"}
    return Target(**{**values, "metric": metric, "at_most": at_most, **fields})  # type: ignore[arg-type]


def judged(records: Sequence[Record], targets: Sequence[Target] = (), *, of: Plan | None = None, **arguments: object) -> Verdicts:
    values = {"machine": MACHINE, **arguments}
    return judge(of or plan(records), records, targets, ("x86-64-avx512", "any"), **values)  # type: ignore[arg-type]


def row(verdicts: Verdicts, name: str = "native", case: str = "drums") -> Row:
    (found,) = [row for row in verdicts.rows if (row.planned.row, row.planned.case) == (name, case)]
    return found


def one(verdicts: Verdicts, question: str, name: str = "native") -> Answer:
    (found,) = row(verdicts, name).of(question)  # type: ignore[arg-type]
    return found


GOOD = launches("native", 0.01) + launches("reference", 0.25)


# The four states of a target.


@pytest.mark.parametrize(
    ("value", "bound", "state"),
    [
        (Interval(1.0, 0.9, 1.1, 3), {"at_most": 1.1}, "pass"),
        (Interval(1.0, 0.9, 1.1, 3), {"at_most": 1.05}, "inconclusive"),
        (Interval(1.0, 0.9, 1.1, 3), {"at_most": 0.89}, "fail"),
        (Interval(1.0, 0.9, 1.1, 3), {"at_most": None, "at_least": 0.9}, "pass"),
        (Interval(1.0, 0.9, 1.1, 3), {"at_most": None, "at_least": 0.95}, "inconclusive"),
        (Interval(1.0, 0.9, 1.1, 3), {"at_most": None, "at_least": 1.2}, "fail"),
        (Interval(1.0, None, None, 2, reason="2 of 3"), {"at_most": 99.0}, "inconclusive"),
        (Absent("not timed"), {"at_most": 99.0}, "inconclusive"),
    ],
)
def test_a_target_is_judged_at_the_unfavourable_end(value: Interval | Absent, bound: dict[str, float], state: str) -> None:
    assert answer_target(target(**bound), value).state == state  # type: ignore[arg-type]


def test_a_planted_bad_point_fails_with_its_source() -> None:
    verdicts = judged(launches("native", 0.05), [target(at_most=0.02)])
    answer = one(verdicts, "target")
    assert answer.state == "fail"
    assert answer.message.startswith("seconds_per_call <= 0.02: found 0.0505 [")
    assert answer.message.endswith("(stated: the document; bound set in targets.toml: entry 1)")
    assert exit_code(verdicts) == 1


def test_what_the_machine_cannot_do_is_noted_unreachable() -> None:
    answer = one(judged(launches(seconds=0.05, floor=0.03), [target(at_most=0.02)]), "target")
    assert answer.state == "fail"
    assert answer.notes == ("unreachable: this machine allows 0.03 at best", "the ceiling is memory bandwidth")
    assert one(judged(launches(seconds=0.05, floor=0.01), [target(at_most=0.02)]), "target").notes == ()


def test_memory_is_judged_on_the_case_that_had_a_process_of_its_own() -> None:
    """Rows that are slow to get ready go on to their next case in the process of the first, which has no memory of its own."""

    def gone_on(one: Record) -> Record:
        return dataclasses.replace(one, samples=dataclasses.replace(one.samples, cold=None, peak_bytes=None))

    quick, next_one = launches(case="quick"), [gone_on(one) for one in launches(case="drums")]
    wide, narrow = target("peak_bytes", 1e9), target("peak_bytes", 1e9, case="drums")
    verdicts = judged([*quick, *next_one], [wide])
    assert [row(verdicts, case=case).state for case in ("quick", "drums")] == ["pass", "no target"]
    assert row(verdicts, case="drums").notes == ("peak_bytes <= 1e+09 is judged on the case that had a process of its own",)
    assert row(judged([*quick, *next_one], [narrow]), case="drums").state == "inconclusive"
    assert row(judged(next_one, [wide]), case="drums").state == "inconclusive"
    assert row(judged([*launches(case="quick", peak=2_000_000_000), *next_one], [wide]), case="quick").state == "fail"


@pytest.mark.parametrize(("at_least", "beyond"), [(2.5, False), (5.0, True)])
def test_a_speedup_that_the_limit_leaves_no_time_for_is_noted_unreachable(at_least: float, beyond: bool) -> None:
    """Twice as fast as the reference at 60 % of the limit is 3.3 times at all of it."""
    records = launches("native", 0.05, floor=0.03) + launches("reference", 0.1)
    answer = one(judged(records, [target("speedup_over_reference", None, at_least=at_least)]), "target")
    assert answer.state == "fail"
    assert [note.startswith("unreachable: this machine allows 3.") for note in answer.notes] == ([True, False] if beyond else [])


def test_without_targets_a_row_says_no_target() -> None:
    verdicts = judged(GOOD)
    assert one(verdicts, "target").state == "no target"
    assert row(verdicts).state == "no target"
    assert exit_code(verdicts) == 0


def test_all_green() -> None:
    verdicts = judged(GOOD, [target(), target("speedup_over_reference", None, at_least=20)])
    assert row(verdicts).state == "pass"
    assert [answer.state for answer in row(verdicts).of("target")] == ["pass", "pass"]
    assert exit_code(verdicts) == 0


# What breaks.


@pytest.mark.parametrize("kind", ["raised", "crashed", "hung", "out of memory", "not finite", "empty output"])
def test_a_broken_implementation_fails_alone(kind: str) -> None:
    broken = [record("torch", outcome=kind, message="signal 11 (segmentation fault)")]  # type: ignore[arg-type]
    verdicts = judged(GOOD + broken, [target()])
    assert row(verdicts, "native").state == "pass"
    assert row(verdicts, "torch").state == "fail"
    assert one(verdicts, "run", "torch").message == f"{kind} in launch 1: signal 11 (segmentation fault)"
    assert one(verdicts, "target", "torch").message == "seconds_per_call <= 0.02: not judged: it did not run as planned"
    assert exit_code(verdicts) == 1


def test_fast_but_wrong_has_no_time() -> None:
    records = launches("native", 0.0001, parity=[parity(False, 0.01)]) + launches("reference", 0.25)
    verdicts = judged(records, [target(), target("max_abs_difference", 1e-6)])
    found = row(verdicts)
    assert one(verdicts, "parity").state == "fail"
    assert [a.state for a in found.of("target")] == ["inconclusive", "fail"]
    assert found.of("target")[0].message.endswith("not judged: parity did not pass")
    for name in ("seconds_per_call", "rtf", "latency_p50_seconds", "speedup_over_reference", "peak_bytes"):
        assert found.metrics[name] == Absent("withheld: parity did not pass")
    assert found.metrics["max_abs_difference"].point == 0.01  # type: ignore[union-attr]
    assert exit_code(verdicts) == 1


def test_what_is_wrong_is_not_launched_again_and_not_missing() -> None:
    verdicts = judged(launches(n=1, parity=[parity(False)]), of=plan(launches()))
    assert (row(verdicts).missing, row(verdicts).state, exit_code(verdicts)) == (False, "fail", 1)


def test_one_wrong_launch_is_wrong() -> None:
    records = [record(launch=0), record(launch=1, parity=[parity(False, 0.01)]), record(launch=2)]
    assert one(judged(records), "parity").state == "fail"


def test_time_without_parity_is_not_judged() -> None:
    verdicts = judged(launches(parity=[]), [target()])
    assert one(verdicts, "parity").state == "inconclusive"
    assert one(verdicts, "target").state == "inconclusive"
    assert isinstance(row(verdicts).metrics["rtf"], Absent)
    assert exit_code(verdicts) == 3


def test_a_wrong_peer_is_information() -> None:
    records = GOOD + launches("librosa", 0.03, parity=[parity(False, 2.1e-6)])
    verdicts = judged(records, [target()])
    assert one(verdicts, "parity", "librosa").state == "fail"
    assert isinstance(row(verdicts, "librosa").metrics["seconds_per_call"], Interval)
    assert exit_code(verdicts) == 0


def test_a_bound_set_on_a_peer_is_judged() -> None:
    verdicts = judged(GOOD + launches("librosa", 0.03), [target(implementation="librosa", at_most=0.001)])
    assert exit_code(verdicts) == 1


# Completeness.


def test_a_planned_row_without_records_is_less_than_planned() -> None:
    verdicts = judged(GOOD, [target()], of=plan(GOOD + launches("torch")))
    assert one(verdicts, "run", "torch").message == "less than planned: 0 of 3 launches left a record"
    assert row(verdicts, "torch").missing
    assert exit_code(verdicts) == 5


def test_a_renamed_case_is_less_than_planned() -> None:
    renamed = launches("native", case="drum") + launches("reference")
    verdicts = judged(renamed, of=plan(GOOD))
    assert exit_code(verdicts) == 5
    assert "not in the plan, not judged: spectrogram native on drum" in verdicts.notes


def test_a_missing_launch_is_less_than_planned() -> None:
    verdicts = judged(launches(n=2), of=plan(launches()))
    assert one(verdicts, "run").message == "less than planned: 2 of 3 launches left a record"
    assert exit_code(verdicts) == 5


def test_a_failure_counts_before_what_is_missing() -> None:
    records = [*launches(), record("torch", outcome="crashed"), *launches("mlx", n=1)]
    assert exit_code(judged(records)) == 1


@pytest.mark.parametrize(
    ("of", "records", "message"),
    [
        (plan([]), [], "nothing was planned"),
        (plan(GOOD), [], "nothing was measured: no launch of the session ended well"),
        (
            plan(launches("reference"), unavailable=[LeftOut("spectrogram", "mlx", "", "mlx: not installed")]),
            launches("reference"),
            r"no optimized implementation can be measured here \(spectrogram.mlx: mlx: not installed\)",
        ),
        (None, [], "the session has no plan"),
    ],
)
def test_nothing_measured_is_never_green(of: Plan | None, records: list[Record], message: str) -> None:
    verdicts = judge(of, records, [], ("any",), machine=MACHINE)
    assert exit_code(verdicts) == 5
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(verdicts.problems[0].message)


def test_unavailable_is_reported_and_not_red() -> None:
    gone = LeftOut("spectrogram", "mlx", "", "mlx: not installed")
    verdicts = judged(GOOD, [target(), target(implementation="mlx")], of=plan(GOOD, unavailable=[gone]))
    assert verdicts.notes == ("target not judged: spectrogram seconds_per_call <= 0.02 (targets.toml: entry 1): mlx: not installed",)
    assert exit_code(verdicts) == 0


def test_a_broken_plugin_is_less_than_planned() -> None:
    broken = LeftOut("spectrogram", "mlx", "", "broken: ImportError: no name", broken=True)
    verdicts = judged(GOOD, of=plan(GOOD, unavailable=[broken]))
    assert verdicts.problems[0].message.startswith("spectrogram.mlx: broken: ImportError: no name; repair")
    assert exit_code(verdicts) == 5


def test_planned_then_unavailable_is_less_than_planned() -> None:
    verdicts = judged(GOOD + [record("torch", outcome="unavailable", message="libtorch.so: not found")])
    assert one(verdicts, "run", "torch").message == "planned, then unavailable: libtorch.so: not found"
    assert exit_code(verdicts) == 5
    assert exit_code(judged(GOOD + [record("madmom", outcome="unavailable", message="no")])) == 0


def test_a_target_on_a_case_left_out_says_so() -> None:
    left = LeftOut("spectrogram", "", "long", "only with --thorough: over 60 s")
    for implementation in (None, "native"):
        verdicts = judged(GOOD, [target(case="long", implementation=implementation)], of=plan(GOOD, left_out=[left]))
        about = "target not judged: spectrogram seconds_per_call <= 0.02 (targets.toml: entry 1)"
        assert verdicts.notes == (f"{about}: only with --thorough: over 60 s",)


def test_a_target_of_any_case_is_not_said_to_wait_for_a_case_left_out() -> None:
    left = LeftOut("spectrogram", "", "long", "only with --thorough: over 60 s")
    for implementation in (None, "native"):
        elsewhere = target(implementation=implementation, settings={"threads": 7})
        (note,) = judged(GOOD, [elsewhere], of=plan(GOOD, left_out=[left])).notes
        assert note.endswith("no planned row has its case, implementation and settings")


def test_targets_left_for_the_same_reason_share_a_line() -> None:
    others = [target(case="long"), target(case="longer"), target("rtf", 0.5, case="long")]
    assert judged(GOOD, [target(), *others]).notes == (
        "3 targets of spectrogram not judged: seconds_per_call <= 0.02, rtf <= 0.5: "
        "no planned row has their case, implementation and settings",
    )


def test_where_bounds_are_not_asked_about_none_is_missed() -> None:
    verdicts = judge(plan(GOOD), GOOD, None, ("any",), machine=MACHINE)
    assert (row(verdicts).state, row(verdicts).of("target")) == ("pass", ())


# What cannot be trusted.


def test_records_of_another_machine_are_refused() -> None:
    verdicts = judged(GOOD, [target()], machine="aarch64-other")
    assert verdicts.rows == ()
    assert f"records of another machine ({MACHINE}) cannot be judged on this one (aarch64-other)" in verdicts.problems[0].message
    assert exit_code(verdicts) == 4
    assert exit_code(judged(GOOD, [target()], machine="aarch64-other", rejudge=True)) == 0


def test_one_foreign_record_is_enough() -> None:
    mixed = [*GOOD[:-1], dataclasses.replace(GOOD[-1], machine="other")]
    assert exit_code(judged(mixed)) == 4


def test_launches_of_different_builds_are_invalid() -> None:
    mixed = [*launches(n=2), record(launch=2, build=Build(native="other"))]
    verdicts = judged(mixed)
    assert "different builds" in one(verdicts, "run").message
    assert exit_code(verdicts) == 4


def test_a_launch_recorded_twice_is_invalid() -> None:
    verdicts = judged([record(launch=0), record(launch=1), record(launch=1)])
    assert one(verdicts, "run").message == "a launch is recorded twice (launches [1, 2, 2])"
    assert exit_code(verdicts) == 4


@pytest.mark.parametrize("bound", [1.0, 1e-9])
def test_a_busy_machine_neither_passes_nor_fails_a_time(bound: float) -> None:
    verdicts = judged(launches(state={"busy": "CPU pressure 35 %"}), [target(at_most=bound)])
    assert one(verdicts, "target").message.endswith("not judged: the machine was busy: CPU pressure 35 %")
    assert exit_code(verdicts) == 3


def test_a_busy_machine_leaves_memory_and_paired_ratios() -> None:
    busy = launches("native", 0.01, state={"busy": "steal 9 %"}) + launches("reference", 0.25, state={"busy": "steal 9 %"})
    verdicts = judged(busy, [target("peak_bytes", 1e9), target("speedup_over_reference", None, at_least=20)])
    assert [a.state for a in row(verdicts).of("target")] == ["pass", "pass"]


def test_with_most_rounds_rejected_ratios_go_too() -> None:
    noisy = launches("native", 0.01, quiet=0.4) + launches("reference", 0.25, quiet=0.4)
    answers = row(judged(noisy, [target(), target("speedup_over_reference", None, at_least=20)])).of("target")
    assert [a.message.partition("not judged: ")[2] for a in answers] == ["the machine was busy: 60% of the blocks were rejected"] * 2


def test_records_of_another_session_in_the_file_change_nothing() -> None:
    bound = target("speedup_over_reference", None, at_least=30)
    strange = [dataclasses.replace(r, session="other") for r in launches("native", 0.001) + launches("reference", 0.25)]
    assert one(judged(GOOD, [bound]), "target").state == one(judged(GOOD + strange, [bound], of=plan(GOOD)), "target").state == "fail"


def test_a_launch_that_was_compared_with_nothing_leaves_its_row_undecided() -> None:
    records = [record(launch=0), record(launch=1, parity=[]), record(launch=2)]
    assert one(judged(records), "parity").message == "a launch was compared with nothing: its times are not judged"


# Which targets reach which rows.


def test_approximate_rows_are_bounded_only_by_name() -> None:
    int8 = launches("native", 0.004, variant={"precision": "int8"}, exact=False, parity=[parity(kind="approximate")])
    verdicts = judged(GOOD + int8, [target(at_most=0.02), target(settings={"precision": "int8"}, at_most=0.001)])
    assert [a.limit for a in row(verdicts, "native").of("target")] == [0.02]
    assert [a.limit for a in row(verdicts, "native[precision=int8]").of("target")] == [0.001]


def test_a_target_with_settings_judges_only_rows_run_with_them() -> None:
    records = launches("native", settings={"threads": 1}) + launches("torch", settings={"threads": 2})
    verdicts = judged(records, [target(settings={"threads": 2})])
    assert [one(verdicts, "target", name).state for name in ("native", "torch")] == ["no target", "pass"]


def test_a_metric_that_was_not_measured_is_inconclusive() -> None:
    answer = one(judged(GOOD, [target("speedup_over_madmom", None, at_least=2)]), "target")
    assert answer.message == "speedup_over_madmom >= 2: not measured: madmom was not measured on this case under these settings"


def test_a_regression_answer_counts() -> None:
    found = row(judged(GOOD))
    slower = Answer("regression", "fail", "3 % slower", "seconds_per_call", Interval(1.03, 1.02, 1.04, 3), 0.01)
    verdicts = Verdicts(plan(GOOD), (dataclasses.replace(found, answers=(*found.answers, slower)),))
    assert verdicts.rows[0].state == "fail"
    assert exit_code(verdicts) == 1


def test_controls_are_no_rows() -> None:
    assert judged([*GOOD, record(control="A/A", outcome="crashed")], of=plan(GOOD)).rows == judged(GOOD).rows


# Invariants.

SESSIONS = st.lists(
    st.tuples(
        st.sampled_from(["native", "torch", "reference", "madmom"]),
        st.sampled_from(["drums", "stems"]),
        st.floats(1e-4, 1.0),
        st.sampled_from(["measured", "measured", "measured", "crashed", "unavailable", "not finite"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda item: item[:2],
)
TARGETS = st.lists(st.sampled_from([target(), target("rtf", 1e-3), target("speedup_over_reference", None, at_least=3.0)]), max_size=3)


def session(items: list[tuple[str, str, float, str, bool]]) -> list[Record]:
    found = []
    for name, case, seconds, outcome, good in items:
        found += launches(name, seconds, case=case, outcome=outcome, parity=[parity(good)] if outcome == "measured" else [])
    return found


@settings(max_examples=60, deadline=None)
@given(SESSIONS, TARGETS, st.data())
def test_never_green_when_something_planned_left_no_record(items, targets, data) -> None:  # type: ignore[no-untyped-def]
    records = session(items)
    lost = data.draw(st.sampled_from(records))
    # After a crash or a wrong result no further launch is owed, so of such a row all records go; of a sound one a launch is enough.
    broken = lost.outcome.kind != "measured" or not all(result.passed for result in lost.parity)
    whole = broken or data.draw(st.booleans())
    kept = [r for r in records if (key(r) != key(lost) if whole else r is not lost)]
    assert exit_code(judged(kept, targets, of=plan(records))) != 0


@settings(max_examples=60, deadline=None)
@given(SESSIONS, TARGETS, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(items, targets, shuffle: random.Random) -> None:  # type: ignore[no-untyped-def]
    records = session(items)
    expected = judged(records, targets)
    shuffled = list(records)
    shuffle.shuffle(shuffled)
    assert judged(shuffled, targets, of=plan(records)) == expected


@settings(max_examples=60, deadline=None)
@given(SESSIONS, TARGETS)
def test_a_row_passes_only_with_everything_in_its_place(items, targets) -> None:  # type: ignore[no-untyped-def]
    verdicts = judged(session(items), targets)
    for found in verdicts.rows:
        if found.state == "pass":
            assert (found.launches, found.missing) == (3, False)
            assert found.of("parity")[0].state == "pass"
            assert {a.state for a in found.of("target")} == {"pass"}
    if exit_code(verdicts) == 0:
        assert all(found.state in ("pass", "no target") for found in verdicts.rows if found.planned.role != "peer")
