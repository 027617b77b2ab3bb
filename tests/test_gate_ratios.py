"""One log-ratio of a launch, from values and from blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.gate.ratios import blocks_log_ratio, log_ratio, mean_log_ratio, typical_percentile
from harness.metrics import Absent
from harness.record import Block
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


def test_only_quiet_rounds_that_both_have_count() -> None:
    head = [Block(0, 1, 0.02, 0.02, False), Block(1, 1, 0.011, 0.011, True), Block(7, 1, 0.002, 0.002, True)]
    base = [Block(0, 1, 0.01, 0.01, False), Block(1, 1, 0.010, 0.010, True), Block(9, 1, 0.1, 0.1, True)]
    assert blocks_log_ratio(head, base, "wall") == pytest.approx(math.log(1.1))
    assert blocks_log_ratio(head[:1], base, "wall") == Absent("no quiet round in common: 0 of head, 2 of base")


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
    whole, noisy = [Block(0, 1, 0.02, 0.02, True)], divided([1e-5], [1e-3], quiet=False)
    assert mean_log_ratio(whole, divided([1e-5], [1e-3])) is None
    assert mean_log_ratio(divided([1e-5], [1e-3]), noisy) is None


def test_a_burst_changes_no_percentile_of_a_launch() -> None:
    calls = np.full(120, 1e-3)
    calls[17:40] = 5e-3
    assert typical_percentile(list(calls), 0.95) == typical_percentile(list(calls), 0.5) == pytest.approx(1e-3)


@pytest.mark.parametrize(("share", "count", "period"), [(0.95, 120, 10), (0.95, 1000, 10), (0.99, 1000, 40), (0.5, 120, 1)])
def test_what_comes_back_in_every_stretch_shows(share: float, count: int, period: int) -> None:
    calls = [1e-3 + (1e-3 if number % period == 0 else 0.0) for number in range(count)]
    assert typical_percentile(calls, share) == pytest.approx(2e-3)
