"""The component: deterministic cases, work found in the output, inputs that every implementation accepts, targets."""

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import implementations.dbn.component as module
from harness.component import Work
from implementations.dbn.component import COMPONENT, network_output, produced, work
from implementations.dbn.model import bar_models, check_activations, check_parameters, sparse_transitions
from implementations.dbn.reference import decode, track

SHORT = [case for case in COMPONENT.cases if not case.thorough]


@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.name)
def test_a_case_is_the_same_for_a_seed_and_differs_between_seeds(case):
    first, again, other = case.make(3), case.make(3), case.make(4)
    np.testing.assert_array_equal(first["activations"], again["activations"])
    assert not np.array_equal(first["activations"], other["activations"])
    assert first["activations"].dtype == np.float32
    check_activations(first["activations"])
    assert (first["activations"] >= 0).all()
    assert (first["activations"].sum(axis=1) < 1).all()


def test_a_case_is_the_same_on_every_machine():
    activations = COMPONENT.case("clip-30s").make(0)["activations"]
    assert activations.shape == (3000, 2)
    assert hashlib.sha256(activations.tobytes()).hexdigest()[:16] == "d473b6944c667387"


def test_a_song_has_beats_in_three_and_four():
    metres = set()
    for seed in range(3):
        beats = track(COMPONENT.case("clip-30s").make(seed), decode)["beats"]
        assert 25 < len(beats) < 100
        assert 0.25 < np.median(np.diff(beats[:, 0])) < 1.2
        metres.add(int(beats[:, 1].max()))
    assert metres == {3, 4}


def test_produced_counts_the_output_not_the_request():
    inputs = COMPONENT.case("clip-30s").make(0)
    assert produced(inputs, {"beats": np.array([[0.5, 1.0], [7.25, 2.0]])}) == 7.25
    assert produced(inputs, {"beats": np.empty((0, 2))}) == 0


def test_work_counts_frames_above_the_threshold_and_ways_into_each_beat():
    inputs = dict(COMPONENT.case("clip-30s").make(0))
    models = bar_models(check_parameters(**{name: value for name, value in inputs.items() if name != "activations"}))
    kept = len(track(inputs, decode)["path"])
    assert 0 < kept < len(inputs["activations"])
    comparisons, entries = 0, 0
    for model in models:  # madmom's own list of transitions
        _, pointers, _ = sparse_transitions(model)
        ways = np.diff(pointers.astype(int))[model.first.ravel()]
        comparisons += np.sum(ways - 1)
        entries += len(ways)
    assert entries == 7 * len(models[0].intervals)
    assert work(inputs) == Work(kept * float(comparisons + entries), inputs["activations"].nbytes + 4.0 * kept, "float32")
    assert work({**inputs, "activations": np.zeros((100, 2))}).operations == 0


def test_network_output_is_a_probability():
    for values in network_output(5, 43.07, 9):
        assert values.shape == (215,)
        assert values.dtype == np.float32
        assert values.min() > 0
        assert values.max() < 1


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(COMPONENT.strategy())
def test_adversarial_inputs_are_valid(inputs):
    check_activations(inputs["activations"])
    check_parameters(**{name: value for name, value in inputs.items() if name != "activations"})


def test_there_is_no_audio_input():
    assert COMPONENT.from_audio is None


def test_targets_name_known_cases():
    targets = tomllib.loads((Path(module.__file__).parent / "targets.toml").read_text())["target"]
    assert {target["metric"] for target in targets} == {"speedup_over_madmom", "agreement", "growth_bytes"}
    for target in targets:
        assert ("at_least" in target) != ("at_most" in target)
        assert target["kind"] in ("stated", "measured")
        assert target.get("case") in {None, *(case.name for case in COMPONENT.cases)}
