"""Statistics against scipy, by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from harness.stats import (
    Interval,
    Pooled,
    calls_needed,
    mad,
    median,
    over_launches,
    paired_log_ratios,
    pooled_variance,
    proportion,
    quantile,
)

POSITIVE = st.floats(1e-9, 1e9)


@pytest.mark.parametrize("values", [[1.0, 1.1, 1.3], [2e-6, 3e-6, 2.5e-6, 2.2e-6, 2.4e-6]])
def test_interval_of_positive_values_is_students_over_logarithms(values: list[float]) -> None:
    logs = np.log(values)
    low, high = scipy.stats.t.interval(0.95, len(values) - 1, loc=logs.mean(), scale=scipy.stats.sem(logs))
    found = over_launches(values)
    assert found.n == len(values)
    assert [found.point, found.low, found.high] == pytest.approx([scipy.stats.gmean(values), math.exp(low), math.exp(high)])


def test_interval_of_values_that_are_not_positive_is_students() -> None:
    values = [-1.0, 0.0, 4.0]
    low, high = scipy.stats.t.interval(0.9, 2, loc=1.0, scale=scipy.stats.sem(values))
    found = over_launches(values, confidence=0.9)
    assert [found.point, found.low, found.high] == pytest.approx([1.0, low, high])


def test_two_launches_give_no_interval_but_the_reason() -> None:
    found = over_launches([1.0, 4.0])
    assert (found.point, found.low, found.high, found.n) == (pytest.approx(2.0), None, None, 2)
    assert found.reason == "2 of the 3 launches that an interval needs"
    assert not found.bounded


def test_equal_launches_give_an_interval_without_width() -> None:
    assert over_launches([5.0] * 3) == Interval(5.0, 5.0, 5.0, 3)


@pytest.mark.parametrize("values", [[], [1.0, math.nan, 1.0], [1.0, math.inf, 1.0]])
def test_values_that_cannot_be_averaged_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected finite values"):
        over_launches(values)


def test_pooled_variance_is_the_mean_square_within_groups() -> None:
    groups = [[0.1, 0.3], [1.0, 1.2, 1.4], [7.0], []]
    within = (1 * np.var(groups[0], ddof=1) + 2 * np.var(groups[1], ddof=1)) / 3
    assert pooled_variance(groups) == Pooled(pytest.approx(within), 3)


def test_pooled_variance_about_a_known_mean_keeps_the_degree_of_freedom() -> None:
    assert pooled_variance([[0.1, -0.1], [0.2]], mean=0.0) == Pooled(pytest.approx(0.02), 3)


def test_pooled_variance_needs_something_to_pool() -> None:
    with pytest.raises(ValueError, match="at least one group with two values"):
        pooled_variance([[1.0], [2.0]])


def test_interval_with_a_pooled_variance() -> None:
    found = over_launches([1.0, 1.0], pooled=Pooled(0.01, 12))
    half = scipy.stats.t.ppf(0.975, 12) * math.sqrt(0.01 / 2)
    assert found.high == pytest.approx(math.exp(half))
    with pytest.raises(ValueError, match="not positive"):
        over_launches([-1.0, 1.0], pooled=Pooled(0.01, 12))


@pytest.mark.parametrize("launches", [3, 5])
def test_the_interval_covers_what_it_says(launches: int) -> None:
    """Monte Carlo: 95 % of intervals hold the true value; 4000 of them scatter by +-0.7 %."""
    generator = np.random.default_rng(1)
    true = 2.5e-3
    samples = true * np.exp(generator.normal(0, 0.06, (4000, launches)))
    intervals = [over_launches(list(sample)) for sample in samples]
    covered = np.mean([i.low <= true <= i.high for i in intervals])  # type: ignore[operator]
    assert 0.935 <= covered <= 0.965


def test_pooling_covers_too_and_is_narrower() -> None:
    generator = np.random.default_rng(2)
    own, pooled, covered = [], [], []
    for _ in range(1500):
        shared = pooled_variance(generator.normal(0, 0.05, (8, 3)), mean=0.0)
        sample = list(np.exp(generator.normal(0, 0.05, 3)))
        alone, together = over_launches(sample), over_launches(sample, pooled=shared)
        own.append(math.log(alone.high / alone.low))  # type: ignore[operator]
        pooled.append(math.log(together.high / together.low))  # type: ignore[operator]
        covered.append(together.low <= 1 <= together.high)  # type: ignore[operator]
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.median(pooled) < 0.7 * np.median(own)


def test_a_percentile_needs_calls() -> None:
    assert [calls_needed(share) for share in (0.5, 0.95, 0.99, 0.999)] == [5, 59, 299, 2995]


def test_quantile_median_and_mad() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 100.0]
    assert quantile(values, 0.25) == np.quantile(values, 0.25)
    assert median(values) == 3.0
    assert mad(values) == pytest.approx(scipy.stats.median_abs_deviation(values, scale="normal"), rel=1e-4)
    with pytest.raises(ValueError, match="found none"):
        quantile([], 0.5)


def test_pairs_are_of_one_round() -> None:
    assert paired_log_ratios({0: 2.0, 4: 8.0}, {4: 2.0, 0: 1.0}) == pytest.approx([math.log(2), math.log(4)])
    assert paired_log_ratios({0: 1.0}, {1: 1.0}) == []


def test_rounds_that_one_side_sat_out_count_towards_the_nearest_common_one() -> None:
    often = {0: 9.0, 1: 1.0, 2: 1.0, 3: 2.0, 4: 7.0, 5: 2.0, 6: 2.0}
    assert paired_log_ratios({0: 4.0, 4: 8.0}, often) == pytest.approx([math.log(4 / 1), math.log(8 / 2)])


@given(st.dictionaries(st.integers(0, 30), POSITIVE), st.dictionaries(st.integers(0, 30), POSITIVE))
def test_swapped_sides_change_the_sign(left: dict[int, float], right: dict[int, float]) -> None:
    assert paired_log_ratios(left, right) == pytest.approx([-ratio for ratio in paired_log_ratios(right, left)])


@given(st.lists(POSITIVE, min_size=3, max_size=12), st.floats(1e-3, 1e3))
def test_an_interval_holds_its_point_and_scales_with_its_unit(values: list[float], factor: float) -> None:
    found, scaled = over_launches(values), over_launches([factor * v for v in values])
    assert found.low <= found.point * (1 + 1e-9)  # type: ignore[operator]
    assert found.point <= found.high * (1 + 1e-9)  # type: ignore[operator]
    assert scaled.point == pytest.approx(factor * found.point)


@pytest.mark.parametrize(("hits", "trials"), [(0, 300), (3, 300), (17, 20), (20, 20), (1, 1)])
def test_proportion_is_clopper_and_pearsons(hits: int, trials: int) -> None:
    exact = scipy.stats.binomtest(hits, trials).proportion_ci(0.95, "exact")
    found = proportion(hits, trials)
    assert (found.point, found.n) == (hits / trials, trials)
    assert [found.low, found.high] == pytest.approx([exact.low, exact.high], abs=1e-12)


@pytest.mark.parametrize(("hits", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_proportion_of_nothing_is_refused(hits: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"expected at least one trial and 0 to {trials} hits, found {hits}"):
        proportion(hits, trials)
