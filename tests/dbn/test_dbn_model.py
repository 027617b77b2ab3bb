"""States, transitions, densities and parameters against madmom's, stored and worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from implementations.dbn.model import (
    bar_model,
    bar_models,
    beat_intervals,
    check_activations,
    check_parameters,
    log_densities,
    sparse_transitions,
    tempo_transitions,
)

GOLDEN = Path(__file__).parents[1] / "golden"
FACTS = json.loads((GOLDEN / "madmom_dbn.json").read_text())


@pytest.fixture(scope="module")
def arrays():
    with np.load(GOLDEN / "madmom_dbn.npz", allow_pickle=False) as found:
        return dict(found)


@pytest.fixture(scope="module")
def white_box():
    return bar_models(check_parameters(**FACTS["white_box"]["settings"]))[0]


def test_states_are_madmoms(arrays, white_box):
    np.testing.assert_array_equal(white_box.positions, arrays["ss/state_positions"])
    np.testing.assert_array_equal(white_box.state_intervals, arrays["ss/state_intervals"])
    np.testing.assert_array_equal(white_box.pointers, arrays["ss/om_pointers"])


def test_transitions_are_madmoms(arrays, white_box):
    previous, pointers, probabilities = sparse_transitions(white_box)
    np.testing.assert_array_equal(previous, arrays["ss/tm_states"])
    np.testing.assert_array_equal(pointers, arrays["ss/tm_pointers"])
    # exp may differ in the last bit between CPUs
    np.testing.assert_allclose(probabilities, arrays["ss/tm_probabilities"], rtol=1e-14)


def test_densities_are_madmoms(arrays):
    activations = arrays["act/fps50_34"][:200]
    # float32 logarithms may differ in the last bit between CPUs
    np.testing.assert_allclose(log_densities(activations, 16), arrays["ss/log_densities"], rtol=3e-7)


@pytest.mark.parametrize("settings", FACTS["state_spaces"])
def test_sizes_of_every_golden_state_space(settings):
    models = bar_models(check_parameters(**json.loads(settings)))
    for model, expected in zip(models, FACTS["state_spaces"][settings], strict=True):
        assert model.states == expected["num_states"]
        assert len(sparse_transitions(model)[0]) == expected["num_transitions"]
        assert [model.intervals[0], model.intervals[-1]] == expected["interval_frames"]


def test_a_bar_of_two_beats_by_hand():
    model = bar_model(2, 1, 4, num_tempi=None, transition_lambda=100.0, observation_lambda=4.0)
    beat = [0, 0, 1 / 2, 0, 1 / 3, 2 / 3, 0, 1 / 4, 2 / 4, 3 / 4]
    np.testing.assert_allclose(model.positions, np.concatenate([beat, np.add(beat, 1)]))
    assert model.state_intervals.tolist() == [1, 2, 2, 3, 3, 3, 4, 4, 4, 4] * 2
    assert model.first.tolist() == [[0, 1, 3, 6], [10, 11, 13, 16]]
    assert model.last.tolist() == [[0, 2, 5, 9], [10, 12, 15, 19]]
    assert model.pointers.tolist() == [2, 2, 0, 2, 0, 0, 2, 0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0]
    assert model.heads.tolist() == [[1, 1, 1, 1]] * 2
    assert model.log_initial == np.log(1 / 20)


def test_transitions_of_a_bar_of_one_beat_by_hand():
    model = bar_model(1, 1, 4, num_tempi=None, transition_lambda=100.0, observation_lambda=16.0)
    previous, pointers, probabilities = sparse_transitions(model)
    assert previous.tolist() == [0, 2, 5, 1, 5, 9, 3, 4, 5, 9, 6, 7, 8]
    assert pointers.tolist() == [0, 1, 3, 4, 6, 7, 8, 10, 11, 12, 13]
    with np.errstate(divide="ignore"):
        expected = [0, 0, -100 / 3, 0, 0, -25, 0, 0, -100 / 3, 0, 0, 0, 0]
        np.testing.assert_allclose(np.log(probabilities), expected, atol=1e-8)


@pytest.mark.parametrize(("beats", "fps", "num_tempi"), [(3, 100, 60), (4, 50, None), (7, 23.4, 13), (1, 172.3, 2)])
def test_heads_are_the_beginning_of_each_chain(beats, fps, num_tempi):
    model = bar_models(check_parameters(fps=fps, beats_per_bar=beats, num_tempi=num_tempi))[0]
    for beat in range(beats):
        for tempo, interval in enumerate(model.intervals):
            start, head = model.first[beat, tempo], model.heads[beat, tempo]
            classes = model.pointers[start : start + interval].tolist()
            assert classes == [2 if beat == 0 else 1] * head + [0] * (interval - head)


def test_intervals():
    assert beat_intervals(2.4, 6.4).tolist() == [2, 3, 4, 5, 6]
    assert beat_intervals(10, 10).tolist() == [10]
    assert beat_intervals(10, 30, 1).tolist() == [10]
    few = beat_intervals(27.9, 109.1, 60)
    assert len(few) >= 60
    assert (few[0], few[-1]) == (28, 109)
    assert (np.diff(few) > 0).all()


def test_tempo_transitions():
    free = tempo_transitions(np.array([28, 50, 109]), 0.0)
    np.testing.assert_allclose(free, 1 / 3)
    none = tempo_transitions(np.array([28, 50, 109]), None)
    np.testing.assert_array_equal(none, np.eye(3))
    stiff = tempo_transitions(np.arange(28, 110), 100.0)
    np.testing.assert_allclose(stiff.sum(axis=1), 1)
    assert stiff[0, -1] == 0


def test_densities_of_impossible_activations_are_minus_infinity():
    densities = log_densities(np.array([[0, 0], [1, 1], [-0.5, 1]]), 16)
    np.testing.assert_array_equal(densities, [[np.log(1 / 15), -np.inf, -np.inf], [-np.inf, 0, 0], [np.log(0.5 / 15), -np.inf, 0]])


def test_a_model_cannot_be_changed_by_a_caller():
    model = bar_model(2, 1, 4, num_tempi=None, transition_lambda=100.0, observation_lambda=4.0)
    with pytest.raises(ValueError, match="read-only"):
        model.positions[0] = 1


def test_parameters_by_bar_length():
    p = check_parameters(fps=100, beats_per_bar=np.array([3, 4]), min_bpm=[60, 70], num_tempi=(40, None), transition_lambda=[50, None])
    assert p.beats_per_bar == (3, 4)
    assert p.min_bpm == (60.0, 70.0)
    assert p.max_bpm == (215.0, 215.0)
    assert p.num_tempi == (40, None)
    assert p.transition_lambda == (50.0, None)
    assert check_parameters(fps=100, beats_per_bar=4, threshold=None).threshold == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fps": None}, "fps: expected a number above 0, found None"),
        ({"fps": -100}, "fps: expected a number above 0, found -100"),
        ({"fps": np.nan}, "fps: expected a number above 0, found nan"),
        ({"beats_per_bar": []}, "beats_per_bar: expected at least one bar length"),
        ({"beats_per_bar": [3, 0]}, "beats_per_bar: expected a whole number of at least 1, found 0"),
        ({"beats_per_bar": 3.5}, "beats_per_bar: expected a whole number"),
        ({"min_bpm": "slow"}, "min_bpm: expected a number above 0, found 'slow'"),
        ({"min_bpm": 0}, "min_bpm: expected a number above 0, found 0"),
        ({"min_bpm": [50, 60, 70]}, "min_bpm: expected one value or one for each of the 2 bar lengths, found 3"),
        ({"min_bpm": 100, "max_bpm": 90}, "expected min_bpm <= max_bpm, found 100 > 90"),
        ({"max_bpm": 13000}, "max_bpm: expected beats of at least one frame at 100 frames per second, found 13000 bpm"),
        ({"num_tempi": 0}, "num_tempi: expected a whole number of at least 1, found 0"),
        ({"transition_lambda": -1}, "transition_lambda: expected a number of at least 0, found -1"),
        ({"transition_lambda": np.inf}, "transition_lambda: expected a number of at least 0, found inf"),
        ({"observation_lambda": 1}, "observation_lambda: expected a number above 1, found 1"),
        ({"threshold": "high"}, "threshold: expected a number, found 'high'"),
    ],
)
def test_wrong_parameters(wrong, message):
    with pytest.raises(ValueError, match=message):
        check_parameters(**{"fps": 100, "beats_per_bar": [3, 4], **wrong})


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.zeros(10), r"expected shape \(frames, 2\) = \[beat, downbeat\], found \(10,\)"),
        (np.zeros((10, 3)), r"found \(10, 3\)"),
        (np.zeros((10, 2), int), "expected float32 or float64, found int64"),
        (np.zeros((10, 2), np.float16), "found float16"),
        (np.array([[0.0, 0.1], [0.2, np.nan]]), "expected finite values, found nan at frame 1, column 1"),
        (np.array([[np.inf, 0.1]]), "found inf at frame 0, column 0"),
    ],
)
def test_wrong_activations(activations, message):
    with pytest.raises(ValueError, match=message):
        check_activations(activations)
