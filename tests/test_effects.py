"""Which settings are turned for a row, and whether one changes the time of a call: told from noise on a busy machine."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from harness.component import Effect, Implementation, Variant
from harness.measure.effects import ROUNDS, changed, flip_settings
from harness.measure.effects import _time as look_at_time
from harness.measure.effects import has_value as has


def rounds(rng, change, *, spoiled, jitter):
    """Ratios of neighbouring blocks whose true ratio is `change`: a share of all blocks takes up to several times as long."""
    first, second = np.exp(rng.normal(0, jitter, (2, ROUNDS[-1])))
    hit = rng.random((2, ROUNDS[-1])) < spoiled
    first[hit[0]] *= 1 + rng.exponential(1, hit[0].sum())
    second[hit[1]] *= 1 + rng.exponential(1, hit[1].sum())
    return list(change * second / first)


def shown(ratios):
    """As the rounds are looked at: one after the other, until a change shows."""
    return any(changed(ratios[:count]) for count in ROUNDS)


@pytest.mark.parametrize("noise", [{"spoiled": 0, "jitter": 0.02}, {"spoiled": 0.1, "jitter": 0.05}, {"spoiled": 0.4, "jitter": 0.2}])
def test_a_dead_setting_stays_dead_on_a_busy_machine(noise):
    rng = np.random.default_rng(1)
    assert np.mean([shown(rounds(rng, 1.0, **noise)) for _ in range(1000)]) < 0.03


@pytest.mark.parametrize("change", [1.3, 1 / 1.3, 2.0, 0.05])
@pytest.mark.parametrize("noise", [{"spoiled": 0, "jitter": 0.02}, {"spoiled": 0.1, "jitter": 0.05}])
def test_a_live_setting_shows_in_spite_of_noise(change, noise):
    rng = np.random.default_rng(2)
    assert np.mean([shown(rounds(rng, change, **noise)) for _ in range(300)]) > 0.99


def test_a_change_that_is_small_or_not_always_there_is_none():
    assert not changed([1.04] * 60)
    assert not changed([1.5] * 8 + [0.9] * 7)
    assert not changed([1.0] * 15)  # what a clock too coarse for the blocks reads
    assert changed([1.06] * 15)
    assert changed([0.5] * 13 + [2.0] * 2)


class Bench:
    """Workers whose calls take the scripted times, by launch: (under the first value, under the second) in nanoseconds."""

    patience = 1.0

    def __init__(self, wall, cpu=((100, 100),)):
        self.wall, self.cpu, self.started = wall, cpu, 0

    @contextmanager
    def start(self, effect, value):
        launch, second = divmod(self.started, 2)
        self.started += 1
        wall, cpu = (of[launch % len(of)][second] for of in (self.wall, self.cpu))
        worker = type("Worker", (), {})()
        worker.ask = lambda command, *_, **__: {"wall_ns": [10**7] if command == "outputs" else wall, "cpu_ns": cpu}
        yield worker


@pytest.mark.parametrize(
    ("bench", "shown", "launches"),
    [
        (Bench([(100, 300)]), True, 3),
        (Bench([(100, 100)]), False, 1),
        (Bench([(100, 100)], [(200, 100)]), True, 3),
        (Bench([(100, 119), (100, 119), (119, 100)]), False, 3),  # two processes that lie otherwise in memory
        (Bench([(100, 119), (100, 100)]), False, 2),
    ],
)
def test_a_change_of_time_shows_in_every_launch_in_one_direction(bench, shown, launches):
    found, said = look_at_time(bench, Effect("cache", (True, False), "case", "time"))
    assert found == shown
    assert bench.started == 2 * launches
    assert "times the wall time" in said


def implementation(*precisions, settings=("precision",)):
    return Implementation("toy", "row", "optimized", None, settings=settings, variants=tuple(Variant({"precision": p}) for p in precisions))


def test_an_effect_belongs_to_the_rows_that_have_one_of_its_values():
    int8 = Effect("precision", ("float32", "int8"), "case", "output")
    assert has(implementation("int8"), int8)
    assert has(implementation("float16", "float32"), int8)
    assert not has(implementation("float16"), int8)
    assert has(implementation(), int8), "no variant says which values there are"


def test_a_setting_whose_values_no_effect_covers_is_dead():
    effect = Effect("precision", ("float32", "int8"), "case", "output")
    registry = SimpleNamespace(components={"toy": SimpleNamespace(effects=(effect,))})
    (flip,) = flip_settings(registry, {"toy": [implementation("float16")]})
    assert not flip.shown
    assert "toy.row has no value of precision for which its component says what must show" in flip.message
