"""Steps: noise raises no alarm, a planted change of level is seen and described."""

import dataclasses

import numpy as np
import pytest
from histories import noise, ratios

from harness import history


@pytest.mark.parametrize("heavy", [False, True])
def test_noise_raises_no_alarm(heavy):
    """60 histories of 5 series: nominal 1 % alarms, about 2 % under heavy tails; 4 of 60 would be far outside both."""
    generator = np.random.default_rng(7)
    alarms = 0
    for _ in range(60):
        points = []
        for number in range(5):
            key = history.Key("spectrogram", "seconds_per_call", "ratio", f"row{number}", "drums")
            points += ratios(0.04 * noise(generator, 12, 0.03, heavy), key)
        alarms += bool(history.steps(points))
    assert alarms <= 3


@pytest.mark.parametrize(("after", "least"), [(1, 0.9), (2, 0.97), (6, 1.0)])
def test_a_planted_step_is_seen(after, least):
    generator = np.random.default_rng(8)
    seen = 0
    for _ in range(60):
        values = 0.04 * noise(generator, 14, 0.01, False)
        values[-after:] *= 1.1
        found = history.steps(ratios(values))
        seen += any(step.commit == f"{14 - after:040x}" and 0.05 < step.change < 0.15 for step in found)
    assert seen / 60 >= least


def test_a_step_says_where_from_where_to_and_on_how_much_it_rests():
    (step,) = history.steps(ratios([1.0, 1.001, 0.999, 1.0, 1.1]))
    assert (step.previous_commit, step.commit, step.points) == (f"{3:040x}", f"{4:040x}", 1)
    assert step.change == pytest.approx(0.1, abs=0.001)
    assert step.p < 0.01
    down, up = history.steps(ratios([1.0, 1.001, 0.999, 1.0, 1.001, 0.5, 0.501, 0.5, 0.499, 0.7, 0.701]))
    assert (down.change < 0, up.change > 0) == (True, True)
    assert (down.points, up.points) == (4, 2)


def test_steps_need_points_a_least_change_and_one_contract():
    assert history.steps(ratios([1.0, 1.0, 1.1])) == []
    assert history.steps(ratios([1.0, 1.0001, 1.0, 0.9999, 1.01])) == []
    old, new = ratios([1.0, 1.001, 0.999, 1.0]), ratios([2.0, 2.001, 1.999, 2.0], start=4)
    assert history.steps(old + [dataclasses.replace(point, version="2") for point in new]) == []
    assert len(history.steps(old + new)) == 1
    absolute = history.Key("spectrogram", "seconds_per_call", "estimate", "native", "drums")
    assert history.steps(ratios([1.0, 1.001, 0.999, 1.0, 1.1], absolute)) == []


def test_an_outlier_in_the_past_is_no_step_and_counted_bytes_need_no_noise():
    assert history.steps(ratios([1.0, 1.001, 1.3, 0.999, 1.0, 1.001])) == []
    (step,) = history.steps(ratios([1.0, 1.0, 1.0, 1.0, 1.5]))
    assert step.change == pytest.approx(0.5)
