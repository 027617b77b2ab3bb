import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.component import Approximate, Close, Identical, Metric
from harness.parity import METRICS, compare, describe, f_measure, not_finite, of_inputs, snr_db

ARRAYS = hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=6), elements=st.floats(width=32))


def one(reference, candidate, policy):
    (result,) = compare({"y": np.asarray(reference)}, {"y": np.asarray(candidate)}, {"y": policy})
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_identical_means_equal_bits_but_every_nan_is_as_good_as_another(dtype):
    values = np.array([0.0, 1.0, np.nan, np.inf], dtype)
    other = values.copy()
    other[2] = -np.nan
    assert one(values, other, Identical()).passed
    other[0] = -other[0]
    result = one(values, other, Identical())
    assert not result.passed
    assert result.where == (0,)
    assert "zeros of another sign" in result.message
    assert one(values, other, Close(0.0)).passed
    assert one(np.array(3, dtype), np.array(3, dtype), Identical()).passed


@given(ARRAYS)
def test_every_kind_passes_an_equal_result(values):
    assert one(values, values.copy(), Identical()).passed
    assert one(values, values.copy(), Close(0.0)).passed
    assert one(values, values.copy(), Metric("max_abs_difference", at_most=0)).passed


@given(ARRAYS, st.data())
def test_one_changed_element_fails_and_is_found(values, data):
    index = data.draw(st.tuples(*(st.integers(0, side - 1) for side in values.shape)))
    changed = values.copy()
    changed[index] = 0.0 if not np.isfinite(values[index]) or values[index] != 0 else 1.0
    for policy in (Identical(), Close(0.0)):
        result = one(values, changed, policy)
        assert not result.passed
        assert result.where == index


@pytest.mark.parametrize(
    ("reference", "candidate", "message"),
    [
        (np.zeros(3), np.zeros(4), "expected shape \\(3,\\), found \\(4,\\)"),
        (np.zeros(3), np.zeros(3, np.float32), "dtype float32 vs float64"),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "not identical at \\[1\\]"),
        (np.array([1.0, np.inf]), np.array([1.0, -np.inf]), "not identical at \\[1\\]"),
        (np.array([2**62]), np.array([2**62 + 1]), "1 of 1 differ"),
        (np.array([0.0]), np.array([], float), "expected shape"),
        (np.array([0.0]), np.array(["a"]), "expected numbers"),
        (np.array([0.0]), np.array([None]), "expected numbers"),
    ],
)
def test_identical_says_what_differs(reference, candidate, message):
    import re

    result = one(reference, candidate, Identical())
    assert not result.passed
    assert re.search(message, result.message)


def test_close_is_elementwise_and_names_the_worst_excess():
    reference = np.array([100.0, 0.0])
    assert one(reference, reference + [0.5, 0.0], Close(0.1, max_rel=0.01)).passed
    result = one(reference, reference + [0.5, 0.2], Close(0.1, max_rel=0.01))
    assert not result.passed
    assert result.where == (1,)
    assert "0.2 vs 0.0" in result.message


@pytest.mark.parametrize("candidate", [[np.nan, 0.0], [np.inf, 0.0], [-np.inf, 0.0]])
def test_close_never_forgives_nan_or_infinity(candidate):
    assert not one([1.0, 0.0], candidate, Close(1e300)).passed
    assert not one([np.inf, 0.0], [1.0, 0.0], Close(1e300)).passed


def test_missing_and_unexpected_outputs_fail():
    results = compare({"y": np.zeros(1)}, {"z": np.zeros(1)}, {"y": Identical()})
    assert [r.passed for r in results] == [False, False]
    assert "missing from the candidate" in results[0].message


def test_an_approximate_variant_shows_both_bounds():
    policy = {"y": Close(1e-6)}
    looser = {"y": Approximate(Metric("snr_db", at_least=40), "int8 weights")}
    (result,) = compare({"y": np.ones(9)}, {"y": np.ones(9) + 1e-3}, policy, replaced=looser)
    assert result.passed
    assert result.kind == "approximate"
    assert "1e-06" in result.instead_of
    assert result.measured["snr_db"] == pytest.approx(60, abs=1e-6)


@pytest.mark.parametrize("metric", [Metric("no_such_metric", at_most=1), Metric("broken", at_most=1, function=lambda r, c: 1 / 0)])
def test_a_metric_that_cannot_be_computed_fails(metric):
    result = one(np.ones(2), np.ones(2), metric)
    assert not result.passed
    assert result.message


def test_a_metric_that_is_nan_fails_on_either_side_of_a_bound():
    for bound in ({"at_least": 0.0}, {"at_most": 1e9}):
        assert not one(np.ones(2), np.ones(2), Metric("nan", function=lambda r, c: float("nan"), **bound)).passed


def test_bounds_must_make_sense():
    with pytest.raises(ValueError, match="exactly one of at_least, at_most"):
        Metric("snr_db")
    with pytest.raises(ValueError, match="finite and >= 0"):
        Close(float("nan"))


def test_f_measure_matches_one_to_one_within_70_ms():
    assert f_measure(np.array([[1.0, 1], [2.0, 2]]), np.array([[1.05, 1], [2.2, 2]])) == pytest.approx(0.5)
    assert f_measure(np.zeros((0, 2)), np.zeros((0, 2))) == 1.0
    assert f_measure(np.zeros((0, 2)), np.ones((3, 2))) == 0.0
    assert f_measure(np.array([1.0]), np.array([1.0, 1.01, 1.02])) == pytest.approx(0.5), "extra beats do not count twice"


def test_snr_of_silence_and_of_equal_signals():
    assert snr_db(np.ones(4), np.ones(4)) == float("inf")
    assert snr_db(np.zeros(4), np.ones(4)) == float("-inf")


def test_not_finite_finds_nan_and_leaves_infinity():
    assert not_finite({"a": np.array([np.inf, 0.0]), "b": np.array([1, 2])}) is None
    assert not_finite({"a": np.array([[0.0, np.nan]])}) == ("a", (0, 1))


def test_every_named_metric_accepts_equal_signals():
    signal = np.random.default_rng(0).standard_normal(5000)
    for name, function in METRICS.items():
        assert np.isfinite(function(signal, signal)) or name == "snr_db"
        assert describe(Metric(name, at_least=1.0)) == f"{name} >= 1"


def right_answers(reference, candidate, inputs):
    """The share of right answers that a candidate has less, where the inputs carry them."""
    if "labels" not in inputs:
        return None
    return float(np.mean(reference == inputs["labels"]) - np.mean(candidate == inputs["labels"]))


LESS_RIGHT = Metric("accuracy_drop", at_most=0.25, function=right_answers, of_inputs=True)


def approximate(candidate, inputs, first=None):
    policy = Approximate(first or Metric("max_abs_difference", at_most=1), "toy", also=(LESS_RIGHT,))
    reference = {"y": np.array([1.0, 2.0, 3.0, 4.0])}
    (result,) = compare(reference, {"y": np.asarray(candidate, float)}, {"y": Close(0)}, replaced={"y": policy}, inputs=inputs)
    return result


LABELS = {"labels": np.array([1.0, 2.0, 3.0, 4.0])}


def test_a_metric_may_see_the_inputs_and_all_of_several_have_to_hold():
    good, worse = approximate([1, 2, 3, 4.5], LABELS), approximate([1, 2, 3.5, 4.5], LABELS)
    assert good.passed
    assert good.measured["accuracy_drop"] == 0.25
    assert not worse.passed
    assert "accuracy_drop is 0.5, allowed accuracy_drop <= 0.25" in worse.message
    assert not approximate([9, 2, 3, 4], LABELS).passed, "the first metric still counts"
    assert "max_abs_difference <= 1, accuracy_drop <= 0.25, approximate: toy" in good.allowed


def test_a_metric_that_says_nothing_of_these_inputs_is_absent_unless_it_is_the_first():
    silent = approximate([1, 2, 3.5, 4.5], {})
    assert silent.passed
    assert "accuracy_drop" not in silent.measured
    first = approximate([1, 2, 3, 4], {}, first=LESS_RIGHT)
    assert not first.passed
    assert "metric accuracy_drop says nothing about these inputs" in first.message


def test_a_metric_of_the_inputs_that_fails_to_compute_is_a_failure_not_silence():
    broken = Metric("broken", at_most=1, function=lambda r, c, inputs: 1 / 0, of_inputs=True)
    policy = Approximate(Metric("max_abs_difference", at_most=1), "toy", also=(broken,))
    (result,) = compare({"y": np.ones(2)}, {"y": np.ones(2)}, {"y": policy})
    assert not result.passed
    assert "metric broken raised ZeroDivisionError" in result.message
    (nothing,) = compare({"y": np.ones(2)}, {"y": np.ones(2)}, {"y": Metric("none", at_most=1, function=lambda r, c: None)})
    assert not nothing.passed


def test_who_judges_by_the_inputs_is_asked_first():
    assert of_inputs({"y": Close(0)}, {"y": Approximate(Metric("snr_db", at_least=1), "toy", also=(LESS_RIGHT,))})
    assert not of_inputs({"y": Metric("snr_db", at_least=1), "z": Identical()}, {})
    with pytest.raises(ValueError, match="of_inputs needs a function"):
        Metric("snr_db", at_least=1, of_inputs=True)
