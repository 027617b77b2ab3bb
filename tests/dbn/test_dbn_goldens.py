"""Every stored output of madmom: beats, paths and log-probabilities, by each implementation that needs no build."""

import json
from pathlib import Path

import numpy as np
import pytest

from implementations.dbn import numpy_semimarkov, reference
from implementations.dbn.model import check_activations, check_parameters, log_densities

GOLDEN = Path(__file__).parents[1] / "golden"
FACTS = json.loads((GOLDEN / "madmom_dbn.json").read_text())
with np.load(GOLDEN / "madmom_dbn.npz", allow_pickle=False) as found:
    ARRAYS = dict(found)

SAME_LOGARITHM = np.array_equal(log_densities(ARRAYS["act/fps50_34"][:200], 16), ARRAYS["ss/log_densities"])
"""Whether this CPU's float32 logarithm is that of the machine the goldens come from, to the last bit."""

LONG = 2500
"""Frames; the reference decodes longer activations in the long tests only."""


def check(case, decode):
    activations = check_activations(ARRAYS[f"act/{case['activation']}"])
    parameters = check_parameters(**case["settings"])
    decoded = []

    def listening(densities, models):
        decoded[:] = decode(densities, models)
        return decoded

    outputs = reference.process(activations, parameters, listening)
    np.testing.assert_array_equal(outputs["beats"], ARRAYS[case["beats"]])
    assert {name: array.dtype for name, array in outputs.items()} == {"beats": float, "path": np.uint32, "log_probability": float}
    if f"logp/{case['case']}" not in ARRAYS:
        return
    # The stored paths are of all frames.
    assert not parameters.threshold
    expected = ARRAYS[f"logp/{case['case']}"]
    if SAME_LOGARITHM:
        np.testing.assert_array_equal(outputs["log_probability"], expected)
    else:
        np.testing.assert_allclose(outputs["log_probability"], expected, rtol=1e-6)
    for number, (path, log_probability) in enumerate(decoded):
        assert log_probability == outputs["log_probability"][number]
        assert path.dtype == np.uint32
        np.testing.assert_array_equal(path, ARRAYS[f"path/{case['case']}/{number}"])
    np.testing.assert_array_equal(outputs["path"], ARRAYS[f"path/{case['case']}/{np.argmax(expected)}"])


def frames(case):
    return len(ARRAYS[f"act/{case['activation']}"]) * np.size(case["settings"]["beats_per_bar"])


def test_the_goldens_are_all_here():
    assert len(FACTS["cases"]) == 160
    assert sum(f"logp/{case['case']}" in ARRAYS for case in FACTS["cases"]) == 20


@pytest.mark.parametrize("case", FACTS["cases"], ids=lambda case: case["case"])
def test_numpy_semimarkov(case):
    check(case, numpy_semimarkov.decode)


@pytest.mark.parametrize("case", [case for case in FACTS["cases"] if frames(case) <= 2 * LONG], ids=lambda case: case["case"])
def test_reference(case):
    check(case, reference.decode)


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in FACTS["cases"] if frames(case) > 2 * LONG], ids=lambda case: case["case"])
def test_reference_on_long_activations(case):
    check(case, reference.decode)
