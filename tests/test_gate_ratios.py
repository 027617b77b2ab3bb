"""One log-ratio of a launch, from values and from blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.gate.ratios import blocks_log_ratio, log_ratio, mean_log_ratio, percentile_log_ratio, typical_percentile
from harness.metrics import Absent
from harness.record import Block, Samples
from tests.synthetic import blocks


def test_above_zero_is_worse() -> None:
    assert log_ratio(1.1, 1.0) == pytest.approx(math.log(1.1))
    assert log_ratio(1.1, 1.0, better="more") == pytest.approx(-math.log(1.1))
    assert log_ratio(1e-300, 1e300) == pytest.approx(math.log(1e-300) - math.log(1e300))


def test_zeros() -> None:
    assert log_ratio(0.0, 0.0) == log_ratio(0.0, 0.0, better="more") == 0.0
    assert log_ratio(1.0, 0.0) == math.inf
    assert log_ratio(0.0, 1.0) == -math.inf
    assert log_ratio(0.0, 1.0, better="more") == math.inf


@pytest.mark.parametrize(("head", "base"), [(-1.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_what_has_no_ratio_is_refused(head: float, base: float) -> None:
    with pytest.raises(ValueError, match="expected values from 0 up, found head"):
        log_ratio(head, base)


def test_blocks_of_one_launch_give_one_ratio() -> None:
    assert blocks_log_ratio(blocks(0.0103), blocks(0.01), "wall") == pytest.approx(math.log(1.03))
    assert blocks_log_ratio(blocks(0.0103), blocks(0.01), "cpu") == pytest.approx(math.log(1.03))


def test_interruptions_of_some_rounds_change_nothing() -> None:
    head = [Block(n, 1, 0.0103 + (0.01 if n % 3 == 0 else 0), 0.0103, True) for n in range(24)]
    base = [Block(n, 1, 0.01 + (0.02 if n % 3 == 1 else 0), 0.01, True) for n in range(24)]
    assert blocks_log_ratio(head, base, "wall") == pytest.approx(math.log(1.03))


def test_only_rounds_that_both_have_count_and_of_few_the_quiet_ones() -> None:
    head = [Block(0, 1, 0.02, 0.02, False), Block(1, 1, 0.011, 0.011, True), Block(7, 1, 0.002, 0.002, True)]
    base = [Block(0, 1, 0.01, 0.01, False), Block(1, 1, 0.010, 0.010, True), Block(9, 1, 0.1, 0.1, True)]
    assert blocks_log_ratio(head, base, "wall") == pytest.approx(math.log(1.1))
    assert blocks_log_ratio(head[:1], base, "wall") == pytest.approx(math.log(2.0)), "no other is left"
    assert blocks_log_ratio(head[2:], base, "wall") == Absent("no round in common: 1 of head, 3 of base")


def test_noisy_rounds_are_left_out_where_the_quiet_ones_know_better() -> None:
    rng = np.random.default_rng(0)
    wild, mild = rng.normal(0, 0.5, 12), rng.normal(0, 0.005, 12)
    quiet = lambda ratio: [Block(n, 1, 0.01 * ratio * math.exp(each), 0.01, True) for n, each in enumerate(mild[:6])]  # noqa: E731
    noisy = [Block(n, 1, 0.01 * math.exp(each), 0.01, False) for n, each in enumerate(wild, 6)]
    base = [Block(n, 1, 0.01, 0.01, n < 6) for n in range(18)]
    assert blocks_log_ratio([*quiet(1.03), *noisy], base, "wall") == pytest.approx(math.log(1.03), abs=0.004)


def test_where_hardly_a_round_is_quiet_all_of_them_tell_more() -> None:
    rng = np.random.default_rng(0)
    speed, apart = 1 + 0.5 * rng.random(24), rng.normal(0, 0.01, 24)
    base = [Block(n, 1, 0.01 * speed[n], 0.01, n < 2) for n in range(24)]
    head = [Block(n, 1, 0.0103 * speed[n] * math.exp(apart[n]), 0.01, n < 2) for n in range(24)]
    rounds = [math.log(1.03) + each for each in apart]
    assert blocks_log_ratio(head, base, "wall") == pytest.approx(float(np.median(rounds)))
    assert blocks_log_ratio(head[:2], base, "wall") == pytest.approx(float(np.median(rounds[:2])))


def test_noise_that_both_sides_share_cancels() -> None:
    rng = np.random.default_rng(0)
    slow = 1 + rng.random(40)
    one, other = ([Block(n, 1, seconds * slow[n], seconds, True) for n in range(40)] for seconds in (0.0105, 0.01))
    assert blocks_log_ratio(one, other, "wall") == pytest.approx(math.log(1.05))


def divided(steady, wall, quiet=True):
    return [Block(n, 100, float(w), float(w), quiet, float(s)) for n, (s, w) in enumerate(zip(steady, wall, strict=True))]


def test_divided_blocks_pair_by_their_steady_seconds() -> None:
    rng = np.random.default_rng(0)
    speed = np.linspace(1.0, 1.4, 16)  # the machine slows down all the while
    one, other = (divided(seconds * speed, 100 * seconds * speed * (1 + rng.random(16))) for seconds in (1.03e-5, 1e-5))
    assert blocks_log_ratio(one, other, "cpu") == pytest.approx(math.log(1.03))


def test_a_slow_down_of_whole_blocks_shows_where_they_are_not_divided_on_both_sides() -> None:
    head, base = divided([1e-5] * 16, [1.1e-3] * 16), [Block(n, 100, 1e-3, 1e-3, True) for n in range(16)]
    assert blocks_log_ratio(head, base, "cpu") == pytest.approx(math.log(1.1))


def test_of_divided_blocks_and_others_those_that_are_more_count() -> None:
    # Of calls of about a millisecond a block of 4 ms can be divided in some rounds; whole blocks have what is injected into means.
    base = [*divided([1e-3] * 7, [0.1] * 7), *(Block(n, 3, 3e-3, 3e-3, True) for n in range(7, 12))]
    head = [*divided([1.05e-3] * 7, [0.125] * 7), *(Block(n, 3, 3.9e-3, 3.9e-3, True) for n in range(7, 12))]
    assert blocks_log_ratio(head, base, "cpu") == pytest.approx(math.log(1.05))
    assert mean_log_ratio(head, base) == pytest.approx(math.log(1.25))
    assert blocks_log_ratio(head[4:], base[4:], "cpu") == pytest.approx(math.log(1.3))
    assert mean_log_ratio(head[4:], base[4:]) is None


def test_noisy_rounds_of_divided_blocks_do_not_count() -> None:
    head = [*divided([1.1e-5] * 8, [1e-3] * 8), *(Block(n, 100, 9.0, 9.0, False, 9.0) for n in range(8, 20))]
    base = divided([1e-5] * 20, [1e-3] * 20)
    assert blocks_log_ratio(head, base, "wall") == pytest.approx(math.log(1.1))


def test_the_mean_shows_bursts_that_the_steady_part_leaves_out() -> None:
    base = divided([1e-5] * 12, [1e-3] * 12)
    head = divided([1e-5] * 12, [1e-3] * 9 + [4e-3] * 3)
    assert blocks_log_ratio(head, base, "wall") == pytest.approx(0.0)
    assert mean_log_ratio(head, base) == pytest.approx(math.log(1.75))
    noisy = [*base, Block(12, 100, 9.0, 9.0, False, 1e-5)]
    assert mean_log_ratio(noisy, base) == pytest.approx(0.0)


def test_blocks_that_are_not_divided_have_no_mean_of_their_own() -> None:
    whole = [Block(0, 1, 0.02, 0.02, True)]
    assert mean_log_ratio(whole, divided([1e-5], [1e-3])) is None
    assert mean_log_ratio(divided([1e-5], [1e-3]), []) is None


def test_a_burst_changes_no_percentile_of_a_launch() -> None:
    calls = np.full(120, 1e-3)
    calls[17:40] = 5e-3
    assert typical_percentile(list(calls), 0.95) == typical_percentile(list(calls), 0.5) == pytest.approx(1e-3)


@pytest.mark.parametrize(("share", "count", "period"), [(0.95, 120, 10), (0.95, 1000, 10), (0.99, 1000, 40), (0.5, 120, 1)])
def test_what_comes_back_in_every_stretch_shows(share: float, count: int, period: int) -> None:
    calls = [1e-3 + (1e-3 if number % period == 0 else 0.0) for number in range(count)]
    assert typical_percentile(calls, share) == pytest.approx(2e-3)


def sliced(calls, sizes=()):
    return Samples(calls=tuple(map(float, calls)), slices=tuple(sizes))


@pytest.mark.parametrize(("share", "every"), [(0.5, 1), (0.95, 10)])
def test_what_the_machine_does_to_a_slice_of_both_sides_cancels(share: float, every: int) -> None:
    rng = np.random.default_rng(0)
    speed = np.repeat(1 + rng.random(12), 10)  # it changes from slice to slice
    cost = np.where(np.arange(120) % every == 0, 1.06, 1.0)
    base, head = (1e-3 * speed * np.exp(rng.normal(0, 0.002, 120)) for _ in range(2))
    both = sliced(head * cost, [10] * 12), sliced(base, [10] * 12)
    assert percentile_log_ratio(*both, share, 0.0) == pytest.approx(math.log(1.06), abs=0.008)
    assert percentile_log_ratio(*reversed(both), share, 0.0) == pytest.approx(-math.log(1.06), abs=0.008)


def test_calls_that_are_blocks_pair_by_their_rounds() -> None:
    rng = np.random.default_rng(0)
    speed = 0.05 * (1 + rng.random(12))
    assert percentile_log_ratio(sliced(1.05 * speed, [1] * 12), sliced(speed, [1] * 12), 0.5, 0.0) == pytest.approx(math.log(1.05))


def test_slices_too_small_to_have_a_speed_of_their_own_keep_their_slow_calls() -> None:
    base = np.full(120, 1e-3)
    head = np.where(np.arange(120) % 10 == 0, 2e-3, 1e-3)
    assert percentile_log_ratio(sliced(head, [1] * 120), sliced(base, [1] * 120), 0.95, 0.0) == pytest.approx(math.log(2))


def test_calls_without_slices_are_one_and_sides_with_unequal_slices_are_left_as_they_are() -> None:
    base, head = np.full(60, 1e-3), np.full(60, 1.1e-3)
    for sizes in ((), (60,), (30, 30), (7,)):
        assert percentile_log_ratio(sliced(head, sizes), sliced(base, (60,)), 0.5, 0.0) == pytest.approx(math.log(1.1))
    assert percentile_log_ratio(sliced([]), sliced(base), 0.5, 0.0) is None
    assert percentile_log_ratio(sliced([0.0] * 60), sliced(base), 0.5, 1e-3) == pytest.approx(math.log(1 / 2))
