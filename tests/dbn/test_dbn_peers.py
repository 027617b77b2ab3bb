"""madmom itself, where it is installed: the reference equals it on fuzzed settings and on the component's cases."""

from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from harness.settings import Settings
from implementations.dbn import numpy_semimarkov, peers, reference
from implementations.dbn.component import COMPONENT

needs_madmom = pytest.mark.skipif(find_spec("madmom") is None, reason="madmom is not installed")


@pytest.fixture(scope="module")
def madmom():
    with peers.MADMOM.load(Settings()) as run:
        yield run


def same(found, expected):
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype


@needs_madmom
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(inputs=COMPONENT.strategy())
def test_madmom_equals_the_reference_on_adversarial_inputs(madmom, inputs):
    with reference.IMPLEMENTATION.load(Settings()) as run:
        same(madmom(inputs), run(inputs))


@needs_madmom
@pytest.mark.parametrize("case", [case for case in COMPONENT.cases if not case.thorough], ids=lambda case: case.name)
def test_madmom_equals_us_on_the_cases(madmom, case):
    inputs = case.make(0)
    with numpy_semimarkov.IMPLEMENTATION.load(Settings()) as run:
        same(madmom(inputs), run(inputs))


@needs_madmom
def test_an_earlier_call_leaves_nothing_behind(madmom):
    song = COMPONENT.case("clip-30s").make(1)
    first = madmom(song)
    silent = madmom({**song, "activations": np.zeros((10, 2), np.float32)})
    assert silent["path"].shape == (0,)
    assert silent["log_probability"].tolist() == [-np.inf, -np.inf]
    same(madmom(song), first)


@needs_madmom
def test_wrong_input_is_our_error(madmom):
    song = COMPONENT.case("clip-30s").make(1)
    with pytest.raises(ValueError, match="expected finite values, found nan at frame 3, column 0"):
        madmom({**song, "activations": np.array([[0.1, 0.1]] * 3 + [[np.nan, 0.1]])})
    with pytest.raises(ValueError, match="fps: expected a number above 0"):
        madmom({**song, "fps": 0})


def test_without_madmom_the_reason_is_its_absence():
    assert peers.MADMOM.requires.packages == ("madmom",)
    assert peers.MADMOM.role == "peer"
