"""The reference against the definition: a Viterbi that tries every transition, beats picked run by run."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implementations.dbn.model import bar_model, check_parameters, log_densities, sparse_transitions
from implementations.dbn.reference import above_threshold, decode, process, strongest_frames, viterbi

TIES = st.sampled_from([-np.inf, -4.0, -2.0, -1.0, -0.5, 0.0])


def every_transition(densities, model):
    """Viterbi from the definition: each transition into each state, in float64, in ascending order, replaced by the strictly better."""
    previous, pointers, probabilities = (array.tolist() for array in sparse_transitions(model))
    costs = np.log(probabilities).tolist()
    score, came_from = [model.log_initial] * model.states, []
    for density in densities.tolist():
        new, back = [-np.inf] * model.states, [0] * model.states
        for state in range(model.states):
            for transition in range(pointers[state], pointers[state + 1]):
                candidate = score[previous[transition]] + costs[transition] + density[model.pointers[state]]
                if candidate > new[state]:
                    new[state], back[state] = candidate, previous[transition]
        score = new
        came_from.append(back)
    state = int(np.argmax(score))
    best, path = score[state], []
    for back in reversed(came_from):
        path.append(state)
        state = back[state]
    return path[::-1] if np.isfinite(best) else [], best


@settings(max_examples=60, deadline=None)
@given(
    beats=st.integers(1, 3),
    shortest=st.integers(1, 5),
    tempi=st.integers(0, 4),
    change=st.sampled_from([None, 0.0, 3.0, 100.0]),
    densities=st.lists(st.tuples(TIES, TIES, TIES), min_size=1, max_size=25),
)
def test_viterbi_is_the_best_of_all_transitions_and_the_first_of_equals(beats, shortest, tempi, change, densities):
    model = bar_model(beats, shortest, shortest + tempi, num_tempi=None, transition_lambda=change, observation_lambda=3.0)
    densities = np.array(densities)
    path, log_probability = viterbi(densities, model)
    expected, best = every_transition(densities, model)
    assert log_probability == best
    assert path.tolist() == expected


def test_a_tie_that_only_rounding_makes_goes_to_the_lower_state():
    # 1 + 2**-52 and 1 differ; after the addition of a large density they do not.
    model = bar_model(1, 3, 5, num_tempi=None, transition_lambda=0.0, observation_lambda=2.0)
    rng = np.random.default_rng(4)
    densities = np.where(rng.random((60, 3)) < 0.5, -(2.0**40), -(2.0**-12)) * rng.integers(1, 3, (60, 1))
    path, log_probability = viterbi(densities, model)
    expected, best = every_transition(densities, model)
    assert (path.tolist(), log_probability) == (expected, best)


def picked_run_by_run(activations, inside):
    frames, frame = [], 0
    while frame < len(inside):
        stop = frame
        while stop < len(inside) and inside[stop]:
            stop += 1
        if stop > frame:
            frames.append(frame + int(np.argmax(activations[frame:stop])) // 2)
        frame = stop + 1
    return frames


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.0, 0.25, 0.5])), max_size=40))
def test_beats_are_the_first_strongest_frame_of_each_run(frames):
    inside = np.array([frame[0] for frame in frames], bool)
    activations = np.array([frame[1:] for frame in frames], np.float32).reshape(-1, 2)
    assert strongest_frames(activations, inside).tolist() == picked_run_by_run(activations, inside)


@pytest.mark.parametrize(
    ("downbeats", "threshold", "kept", "first"),
    [
        ([0.1, 0.5, 0.1, 0.6, 0.2], 0.5, 3, 1),
        ([0.1, 0.5, 0.1, 0.6, 0.2], 0, 5, 0),
        ([0.1, 0.5, 0.1, 0.6, 0.2], 0.9, 0, 0),
        ([0.9, 0.5], 0.9, 0, 0),  # madmom loses a lone first frame
        ([0.9, 0.5, 0.9], 0.9, 3, 0),
        ([], 0.9, 0, 0),
    ],
)
def test_threshold(downbeats, threshold, kept, first):
    activations = np.column_stack([np.zeros(len(downbeats)), downbeats])
    found, offset = above_threshold(activations, threshold)
    assert (len(found), offset) == (kept, first)
    np.testing.assert_array_equal(found, activations[first : first + kept])


@pytest.mark.parametrize(
    "activations",
    [np.zeros((0, 2)), np.zeros((50, 2), np.float32), np.ones((50, 2)), np.full((50, 2), [1.0, 0.0])[:0]],
    ids=["no frames", "all zero", "impossible", "empty slice"],
)
@pytest.mark.parametrize("correct", [True, False])
def test_what_cannot_be_decoded_gives_empty_outputs(activations, correct):
    outputs = process(activations, check_parameters(fps=50, beats_per_bar=[3, 4], threshold=None, correct=correct), decode)
    assert outputs["beats"].shape == (0, 2)
    assert outputs["path"].shape == (0,)
    assert outputs["path"].dtype == np.uint32
    assert outputs["log_probability"].tolist() == [-np.inf, -np.inf]


def test_beats_at_the_first_and_the_last_frame():
    activations = np.full((200, 2), 1e-4)
    activations[[0, 199], 1] = 1
    activations[[49, 99, 149], 0] = 1
    outputs = process(activations, check_parameters(fps=100, beats_per_bar=[3, 4]), decode)
    np.testing.assert_allclose(outputs["beats"], [[0, 1], [0.49, 2], [0.99, 3], [1.49, 4], [1.99, 1]])


def test_times_count_from_the_first_frame_before_thresholding():
    activations = np.full((600, 2), 1e-3)
    activations[100:500:50, 0] = 0.9
    parameters = check_parameters(fps=100, beats_per_bar=4, threshold=0.5)
    outputs = process(activations, parameters, decode)
    np.testing.assert_allclose(outputs["beats"][:7, 0], np.arange(1.0, 4.1, 0.5))
    assert len(outputs["path"]) == 351


def test_a_negative_activation_is_impossible_not_an_error():
    densities = log_densities(np.array([[-0.1, 0.3]]), 16)
    assert densities[0, 1] == -np.inf
