"""The explicit-duration decoder in NumPy equals the reference to the last bit, ties and impossible frames included."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.settings import Settings
from implementations.dbn import numpy_semimarkov, reference
from implementations.dbn.component import COMPONENT
from implementations.dbn.model import bar_model, bar_models, check_parameters


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(COMPONENT.strategy())
def test_equals_the_reference_on_adversarial_inputs(inputs):
    with numpy_semimarkov.IMPLEMENTATION.load(Settings()) as run, reference.IMPLEMENTATION.load(Settings()) as expected:
        found, wanted = run(inputs), expected(inputs)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype


TIES = st.sampled_from([-np.inf, -2.0, -1.0, -0.5, 0.0])


@settings(max_examples=60, deadline=None)
@given(
    bars=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    shortest=st.integers(1, 9),
    tempi=st.integers(0, 12),
    change=st.sampled_from([None, 0.0, 3.0, 100.0]),
    densities=st.lists(st.tuples(TIES, TIES, TIES), min_size=1, max_size=60),
)
@example(bars=[1], shortest=1, tempi=0, change=None, densities=[(0.0, 0.0, 0.0)])
@example(bars=[2, 2], shortest=9, tempi=0, change=0.0, densities=[(-np.inf, -np.inf, 0.0)] * 3)
def test_equal_densities_give_the_lowest_states(bars, shortest, tempi, change, densities):
    models = [
        bar_model(beats, shortest, shortest + tempi, num_tempi=None, transition_lambda=change, observation_lambda=4.0) for beats in bars
    ]
    densities = np.array(densities)
    found, expected = numpy_semimarkov.decode(densities, models), reference.decode(densities, models)
    assert [path.tolist() for path, _ in found] == [path.tolist() for path, _ in expected]
    assert [log_probability for _, log_probability in found] == [log_probability for _, log_probability in expected]


@pytest.mark.parametrize("same", [True, False], ids=["tempi shared", "tempi apart"])
def test_bar_lengths_decode_as_they_do_alone(same):
    parameters = check_parameters(fps=50, beats_per_bar=[4, 3, 2], min_bpm=60 if same else [50, 60, 70])
    models = bar_models(parameters)
    densities = np.log(np.random.default_rng(0).random((300, 3)))
    together = numpy_semimarkov.decode(densities, models)
    for (path, log_probability), model in zip(together, models, strict=True):
        [(alone, log_alone)] = numpy_semimarkov.decode(densities, [model])
        np.testing.assert_array_equal(path, alone)
        assert log_probability == log_alone
