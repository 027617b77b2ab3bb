"""The native decoder against madmom's stored results and against a plain Viterbi, at every dispatch level and by every method."""

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st

from harness.settings import Settings
from implementations.dbn import native
from implementations.dbn.component import COMPONENT
from implementations.dbn.model import bar_models, check_parameters, log_densities, sparse_transitions
from implementations.dbn.reference import process

pytestmark = pytest.mark.skipif(importlib.util.find_spec("implementations.dbn._native") is None, reason="native: not built")

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = json.loads((GOLDEN / "madmom_dbn.json").read_text())["cases"]


def levels():
    if importlib.util.find_spec("implementations.dbn._native") is None:
        return ["auto"]
    from implementations.dbn import _native

    return _native.levels()


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "madmom_dbn.npz", allow_pickle=False) as found:
        return dict(found)


def plain_viterbi(densities, model):
    """Over all states, frame by frame, transition by transition, as madmom's loop compares them."""
    previous, pointers, probabilities = sparse_transitions(model)
    log_probabilities = np.log(probabilities)
    starts = pointers[:-1].astype(int)
    counts = np.diff(pointers).astype(int)
    score = np.full(model.states, model.log_initial)
    came_from = np.zeros((len(densities), model.states), np.uint32)
    places = np.arange(len(previous))
    for frame, density in enumerate(densities):
        with np.errstate(invalid="ignore"):
            candidates = (score[previous] + log_probabilities) + np.repeat(density[model.pointers], counts)
        candidates[np.isnan(candidates)] = -np.inf  # never greater than anything
        score = np.maximum.reduceat(candidates, starts)
        is_best = candidates == np.repeat(score, counts)
        came_from[frame] = previous[np.minimum.reduceat(np.where(is_best, places, len(places)), starts)]
    state = int(np.argmax(score))
    if np.isinf(score[state]):
        return np.empty(0, np.uint32), score[state]
    path = np.empty(len(densities), np.uint32)
    for frame in reversed(range(len(densities))):
        path[frame] = state
        state = came_from[frame][state]
    return path, score[path[-1]] if len(path) else score[0]


def assert_equal_to_plain(densities, models, **how):
    found = native.decode(densities, models, **how)
    for model, (path, log_probability, method) in zip(models, found, strict=True):
        expected_path, expected = plain_viterbi(densities, model)
        assert log_probability == expected, f"{method}, {model.beats} beats"
        np.testing.assert_array_equal(path, expected_path, err_msg=f"{method}, {model.beats} beats")
        assert path.dtype == np.uint32
    return [method for *_, method in found]


@pytest.mark.parametrize("method", ["fixed32", "exact"])
@pytest.mark.parametrize("level", levels())
def test_every_golden_case(golden, level, method):
    for case in CASES:
        activations, parameters = golden[f"act/{case['activation']}"], check_parameters(**case["settings"])

        def decoder(densities, models):
            return [found[:2] for found in native.decode(densities, models, level=level, method=method, threads=2)]

        np.testing.assert_array_equal(process(activations, parameters, decoder)["beats"], golden[case["beats"]], err_msg=case["case"])
        if "path" in case:
            found = decoder(log_densities(activations, parameters.observation_lambda), bar_models(parameters))
            for (path, _), key in zip(found, case["path"], strict=True):
                np.testing.assert_array_equal(path, golden[key], err_msg=case["case"])
            # The logarithms of float32 activations may differ in the last bit between CPUs.
            np.testing.assert_allclose([log_probability for _, log_probability in found], golden[case["log_prob"]], rtol=1e-7)


def activations(seed, frames, *, kind, dtype, fps, bpm):
    """Beats of one tempo in noise; "quantised" and "constant" make ties, "close" makes paths that differ in the last digits."""
    rng = np.random.default_rng(seed)
    if kind == "constant":
        return np.full((frames, 2), rng.choice([0.05, 0.25, 0.5]), dtype)
    found = rng.uniform(1e-6, 0.05, (frames, 2))
    if kind == "noise":
        found = rng.uniform(0, 0.5, (frames, 2))
    else:
        beats = np.arange(rng.uniform(0, 40), frames, 60 * fps / bpm).astype(int)
        found[beats[beats < frames], 0] = rng.uniform(0.3, 0.9)
        downbeats = beats[:: int(rng.integers(1, 8))]
        found[downbeats[downbeats < frames]] = [0.05, rng.uniform(0.3, 0.9)]
    if kind in ("quantised", "close"):
        found = np.round(found * 4) / 4
    if kind == "close":
        found += rng.uniform(0, 10.0 ** -rng.integers(2, 13), found.shape)
    if kind == "extreme":
        found[rng.random(frames) < 0.05] = rng.choice([0, 1, 1e-30, 0.5])
        found[rng.random(frames) < 0.02, int(rng.integers(2))] = rng.choice([0, 1, 0.7])
    return found.astype(dtype)


@fuzz(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    frames=st.one_of(st.integers(1, 40), st.integers(41, 700)),
    kind=st.sampled_from(["beats", "noise", "quantised", "close", "constant", "extreme"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    beats_per_bar=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    fps=st.sampled_from([10, 25, 43.07, 50, 100, 200]),
    tempo_range=st.sampled_from([(55, 215), (30, 90), (100, 240), (119, 121)]),
    num_tempi=st.sampled_from([None, 1, 3, 30, 60]),
    transition_lambda=st.sampled_from([None, 0, 1, 10, 100, 500]),
    observation_lambda=st.sampled_from([1.5, 2, 8, 16, 40]),
    method=st.sampled_from(["fixed32", "fixed64", "exact"]),
    level=st.sampled_from(levels()),
)
def test_fuzzed_settings(
    *, seed, frames, kind, dtype, beats_per_bar, fps, tempo_range, num_tempi, transition_lambda, observation_lambda, method, level
):
    parameters = check_parameters(
        fps=fps,
        beats_per_bar=beats_per_bar,
        min_bpm=tempo_range[0],
        max_bpm=tempo_range[1],
        num_tempi=num_tempi,
        transition_lambda=transition_lambda,
        observation_lambda=observation_lambda,
    )
    found = activations(seed, frames, kind=kind, dtype=dtype, fps=fps, bpm=sum(tempo_range) / 2)
    assert_equal_to_plain(log_densities(found, observation_lambda), bar_models(parameters), method=method, level=level)


@fuzz(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    frames=st.integers(1, 300),
    special=st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 50.0, -700.0, 1e300, -1e300]), min_size=1, max_size=3),
    share=st.sampled_from([0.001, 0.02, 0.5]),
    method=st.sampled_from(["fixed32", "fixed64", "exact"]),
    level=st.sampled_from(levels()),
)
def test_densities_that_are_no_logarithms(*, seed, frames, special, share, method, level):
    rng = np.random.default_rng(seed)
    densities = -rng.exponential(3, (frames, 3))
    hit = rng.random(densities.shape) < share
    densities[hit] = rng.choice(special, hit.sum())
    models = bar_models(check_parameters(fps=50, beats_per_bar=[1, 3], num_tempi=20))
    assert_equal_to_plain(densities, models, method=method, level=level)


@pytest.mark.parametrize("level", levels())
@pytest.mark.parametrize("method", ["fixed32", "fixed64", "exact"])
def test_many_windows_and_segments(level, method):
    """Long enough that checkpoints and several brought-down segments are used."""
    models = bar_models(check_parameters(fps=50, beats_per_bar=[2, 3], num_tempi=10))
    found = activations(7, 9000, kind="beats", dtype=np.float64, fps=50, bpm=101)
    expected = "exact" if (level, method) == ("baseline", "fixed64") else method  # without SIMD for it, 64 bits are slower than exact
    assert set(assert_equal_to_plain(log_densities(found, 16), models, method=method, level=level)) == {expected}


def test_each_method_takes_over_where_the_one_before_is_not_certain():
    models = bar_models(check_parameters(fps=100, beats_per_bar=[4]))
    clear = activations(3, 800, kind="beats", dtype=np.float64, fps=100, bpm=120)
    assert assert_equal_to_plain(log_densities(clear, 16), models) == ["fixed32"]
    steep = log_densities(clear, 16) * 12  # scores rise faster than 32 bits hold
    assert assert_equal_to_plain(steep, models) == ["fixed64"]
    assert assert_equal_to_plain(np.full((800, 3), -1.0), models) == ["exact"]  # nothing but ties
    assert assert_equal_to_plain(np.full((200, 3), -np.inf), models) == ["exact"]  # no path


def test_songs_as_a_network_hears_them_are_no_ties():
    """They all need the fast method alone; the last bit of a logarithm may differ between CPUs, hence the room."""
    methods = []
    for seed in range(1000, 1040):
        inputs = COMPONENT.case("song-180s").make(seed)
        parameters = check_parameters(**{name: value for name, value in inputs.items() if name != "activations"})
        densities = log_densities(inputs["activations"], parameters.observation_lambda)
        methods += [method for *_, method in native.decode(densities, bar_models(parameters))]
    assert len(methods) == 80
    assert methods.count("fixed32") >= 78


@pytest.mark.parametrize("digits", range(2, 14))
@pytest.mark.parametrize("method", ["fixed32", "fixed64"])
def test_paths_that_differ_in_the_last_digits(digits, method):
    """Rounding decides some of these, so fixed point must leave them to the exact method, and decide the others right."""
    models = bar_models(check_parameters(fps=50, beats_per_bar=[2, 3], num_tempi=None, transition_lambda=20))
    rng = np.random.default_rng(digits)
    for _ in range(3):
        densities = -np.round(rng.exponential(3, (300, 3)))
        densities += rng.uniform(0, 10.0**-digits, densities.shape)
        assert_equal_to_plain(densities, models, method=method)


def test_more_than_256_tempi():
    models = bar_models(check_parameters(fps=200, beats_per_bar=[1], min_bpm=25, max_bpm=200, num_tempi=None))
    assert len(models[0].intervals) > 256
    found = log_densities(activations(1, 500, kind="beats", dtype=np.float64, fps=200, bpm=80), 16)
    for method in ("fixed32", "exact"):
        assert_equal_to_plain(found, models, method=method)


@pytest.mark.parametrize("method", ["fixed32", "fixed64", "exact"])
@pytest.mark.parametrize("frames", [0, 1, 2, 3, 27, 28, 29])
def test_a_few_frames(frames, method):
    models = bar_models(check_parameters(fps=100, beats_per_bar=[3, 4]))
    densities = log_densities(np.random.default_rng(frames).uniform(0, 0.5, (frames, 2)), 16)
    assert_equal_to_plain(densities, models, method=method)


def test_threads_change_nothing():
    models = bar_models(check_parameters(fps=100, beats_per_bar=[2, 3, 4]))
    densities = log_densities(activations(9, 3000, kind="beats", dtype=np.float32, fps=100, bpm=97), 16)
    alone = native.decode(densities, models)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda threads: native.decode(densities, models, threads=threads), [1, 2, 3, 8]))
    for found in together:
        for (path, log_probability, _), (expected_path, expected, _) in zip(found, alone, strict=True):
            np.testing.assert_array_equal(path, expected_path)
            assert log_probability == expected


@pytest.mark.parametrize(("threads", "most"), [(1, 18e6), (2, 25e6)])
def test_memory_of_ten_minutes(threads, most):
    """4 bits per frame, beat and tempo are 13 MB, of which one thread needs only one bar length's at a time."""
    code = f"""
import numpy as np
from harness import memory
from implementations.dbn import native
from implementations.dbn.component import COMPONENT
from implementations.dbn.model import bar_models, check_parameters, log_densities
densities = log_densities(np.random.default_rng(1).uniform(1e-3, 0.5, (60000, 2)), 16)
models = bar_models(check_parameters(fps=100, beats_per_bar=[3, 4]))
native.decode(densities[:100], models, threads={threads})
reason = memory.reset_peak_rss()
before = memory.rss()
methods = [method for *_, method in native.decode(densities, models, threads={threads})]
print(reason or memory.peak_rss() - before, *methods)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    if not answer[0].isdigit():
        pytest.skip(" ".join(answer))
    assert answer[1:] == ["fixed32", "fixed32"]
    assert 8e6 < int(answer[0]) < most


def test_one_call_of_the_component(golden):
    inputs = {"activations": golden["act/noisy44"], "fps": 100, "beats_per_bar": (3, 4), "threshold": 0.24}
    expected = next(c for c in CASES if c["case"] == "noisy44.thr024")
    with native.IMPLEMENTATION.load(Settings(threads=2)) as run:
        found = run(inputs)
    np.testing.assert_array_equal(found["beats"], golden[expected["beats"]])
    assert np.isfinite(found["log_probability"]).all()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"densities": np.zeros((5, 2))}, ValueError, r"densities: expected shape \(frames, 3\), found \(frames, 2\)"),
        ({"threads": 0}, ValueError, "threads: expected at least 1, found 0"),
        ({"level": "sse9"}, ValueError, "level: expected one of .*baseline, found 'sse9'"),
        ({"method": "guess"}, ValueError, "method: expected fixed32, fixed64 or exact, found 'guess'"),
    ],
)
def test_wrong_arguments(wrong, error, message):
    models = bar_models(check_parameters(fps=100, beats_per_bar=[3]))
    with pytest.raises(error, match=message):
        native.decode(**{"densities": np.zeros((5, 3)), "models": models, **wrong})
