import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from harness import strategies
from harness.settings import ConfigurationError, Settings

quick = run_settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
# A search that stops at the first hit: it fails loudly (NoSuchExample) where a strategy cannot produce what it promises.
search = run_settings(max_examples=2000, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


def reaches(strategy: st.SearchStrategy, condition) -> object:
    return find(strategy, condition, settings=search)


@pytest.mark.parametrize("length", [0, 1, 2, 2047, 2048, 2050, 5000])
def test_lengths_reach_the_edges(length: int) -> None:
    found = reaches(strategies.lengths(edges=[2048]), lambda n: n == length if length != 5000 else n > 4000)
    assert found >= 0


@quick
@given(strategies.lengths(edges=[2048], longest=3000))
def test_lengths_stay_in_their_bounds(length: int) -> None:
    assert 0 <= length <= 3000


@quick
@given(strategies.sample_rates(lowest=16000, highest=48000))
def test_sample_rates_stay_in_their_bounds(rate: int) -> None:
    assert 16000 <= rate <= 48000


def test_sample_rates_are_usual_and_odd_ones() -> None:
    assert reaches(strategies.sample_rates(), lambda rate: rate == 44101)
    assert reaches(strategies.sample_rates(), lambda rate: rate not in strategies.SAMPLE_RATES)


@quick
@given(strategies.audio(length=strategies.lengths(longest=500)))
def test_audio_is_what_it_promises(samples: np.ndarray) -> None:
    assert samples.ndim == 1 or samples.shape[0] in (1, 2)
    assert samples.shape[-1] <= 500
    assert samples.dtype in (np.int16, np.float32, np.float64)
    if samples.dtype != np.int16:
        assert np.isfinite(samples).all()
        assert np.abs(samples).max(initial=0) <= 1


@pytest.mark.parametrize(
    "condition",
    [
        lambda s: s.size == 0,
        lambda s: s.size > 100 and not s.any(),
        lambda s: s.ndim == 2 and s.shape[0] == 2 and not s.flags.c_contiguous,
        lambda s: s.ndim == 1 and s.size > 1 and s.strides[0] != s.itemsize,
        lambda s: s.dtype == np.float32 and 0 < np.abs(s).max(initial=0) < 1.2e-38,
        lambda s: s.dtype == np.int16 and s.min(initial=0) == -32768 and s.max(initial=0) == 32767,
        lambda s: s.size > 10 and np.mean(np.abs(s) == 1) > 0.5,
        lambda s: s.size > 10 and np.count_nonzero(s) == 1 and s.flat[-1] != 0,
        lambda s: s.size > 100 and len(np.unique(s)) > 90,
    ],
    ids=["empty", "silence", "stereo-apart", "strided", "denormal", "full-int16", "clipping", "impulse-at-the-end", "noise"],
)
def test_audio_reaches_the_hard_cases(condition) -> None:
    reaches(strategies.audio(), condition)


@pytest.mark.parametrize("what", [np.isnan, np.isposinf, np.isneginf])
def test_what_is_not_finite_comes_on_request_only(what) -> None:
    strategy = strategies.audio(length=st.integers(1, 50), dtypes=("float32",), finite=False)
    assert what(reaches(strategy, lambda samples: what(samples).any())).any()


@quick
@given(strategies.audio(length=st.integers(1, 50), dtypes=("int16", "float32"), finite=False))
def test_not_finite_leaves_integers_alone(samples: np.ndarray) -> None:
    assert samples.dtype == np.int16 or not np.isfinite(samples).all()


@quick
@given(strategies.audio(contiguous=True, length=st.integers(0, 50)))
def test_contiguous_audio_is_contiguous(samples: np.ndarray) -> None:
    assert samples.flags.c_contiguous


@quick
@given(strategies.arrays((2, 3, 20), dtype="float64", low=0.0, high=5.0))
def test_arrays_have_their_shape_and_range(array: np.ndarray) -> None:
    assert array.shape == (2, 3, 20)
    assert array.dtype == np.float64
    assert array.min() >= 0
    assert array.max() <= 5


def test_arrays_of_drawn_shapes_reach_both_ends() -> None:
    strategy = strategies.arrays(st.tuples(st.integers(1, 3), st.integers(1, 4)), low=-2.0, high=6.0)
    found = reaches(strategy, lambda array: array.min() == -2 and array.max() == 6)
    assert found.ndim == 2


def test_failures_shrink_to_the_small_and_plain() -> None:
    assert find(strategies.audio(), lambda samples: True, settings=search).shape == (0,)
    longer = find(strategies.audio(), lambda samples: samples.shape[-1] >= 100, settings=search)
    assert longer.shape == (100,)
    assert not longer.any()


def test_the_same_choices_make_the_same_array() -> None:
    strategy = strategies.arrays((50,), dtype="float32")
    first, second = (find(strategy, lambda array: np.std(array) > 0.3, settings=search) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@quick
@given(strategies.settings(threads=(1, 2), precision=(None, "float32")))
def test_settings_are_drawn_from_their_choices(drawn: Settings) -> None:
    assert drawn.threads in (1, 2)
    assert drawn.precision in (None, "float32")


def test_bad_choices_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="setting threads: expected a whole number from 1 to 1024, found 0"):
        strategies.settings(threads=(1, 0))
    with pytest.raises(ConfigurationError, match="unknown setting 'thread'; known: threads, affinity"):
        strategies.settings(thread=(1,))
    with pytest.raises(ValueError, match="longest: expected a number >= 0, found -1"):
        strategies.lengths(longest=-1)
    with pytest.raises(ValueError, match="lowest, highest: expected"):
        strategies.sample_rates(lowest=9000, highest=8000)
    with pytest.raises(ValueError, match=r"low, high: expected low < high, found \(1.0, 1.0\)"):
        find(strategies.arrays((3,), low=1.0, high=1.0), lambda array: True, settings=search)


def test_the_rest_of_the_harness_does_not_import_hypothesis() -> None:
    code = "import sys, harness, harness.registry, harness.profile, harness.signals; assert 'hypothesis' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
