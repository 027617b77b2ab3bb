"""Local maxima, peak picking and preparation: by their definition, and the same bits on NumPy, torch and MLX."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.settings import Settings
from implementations._torch import settle
from implementations.dbn.arrays import namespace, sliding
from implementations.dbn.boundaries import boundary_strength, functional_probabilities, local_maxima, peak_picking, section_times
from implementations.dbn.preparation import combine_activations
from implementations.functional_boundaries import component as boundaries
from implementations.functional_boundaries import libraries as boundary_libraries
from implementations.functional_boundaries import reference as boundary_reference
from implementations.metrical_preparation import component as preparation
from implementations.metrical_preparation import libraries as preparation_libraries
from implementations.metrical_preparation import reference as preparation_reference

LIBRARIES = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")),
    pytest.param("mlx", marks=pytest.mark.skipif(find_spec("mlx") is None, reason="mlx is not installed")),
]
VALUES = hnp.arrays(np.float32, st.integers(0, 50), elements=st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]))


def there(array, library):
    if library == "torch":
        return pytest.importorskip("torch").from_numpy(array)
    return pytest.importorskip("mlx.core").array(array) if library == "mlx" else array


def same_bits(function, arrays, library):
    expected, found = function(*arrays), function(*(there(array, library) for array in arrays))
    expected, found = (value if isinstance(value, tuple) else (value,) for value in (expected, found))
    for one, other in zip(expected, found, strict=True):
        assert type(other).__module__.partition(".")[0] == library
        np.testing.assert_array_equal(np.asarray(other), one)
        assert np.asarray(other).dtype == one.dtype


@settings(deadline=None)
@given(VALUES, st.sampled_from([1, 3, 7, 41, 201]))
def test_local_maxima_by_definition(values, width):
    half = width // 2
    expected = [value if value == values[max(0, i - half) : i + half + 1].max() else 0 for i, value in enumerate(values)]
    assert local_maxima(values, width).tolist() == expected


@settings(deadline=None)
@given(VALUES, st.integers(1, 20), st.integers(1, 20))
def test_peak_picking_by_definition(values, past, future):
    padded = np.concatenate([np.zeros(past), values, np.zeros(future)])
    expected = np.zeros(len(values))
    for i, value in enumerate(values):
        before, after = padded[i : i + past], padded[i + past + 1 : i + past + 1 + future]
        if value > 0 and value >= before.max() and value >= after.max():
            expected[i] = value - (before.mean() + after.mean()) / 2
    np.testing.assert_allclose(peak_picking(values, past, future), expected, atol=1e-6)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=40), st.data())
def test_sliding_takes_every_value_of_a_window_once(values, data):
    width = data.draw(st.integers(1, len(values)))
    sums = sliding(np.add, np.array(values), width)
    assert sums.tolist() == [sum(values[i : i + width]) for i in range(len(values) - width + 1)]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("seed", range(3))
def test_the_libraries_give_the_same_bits(library, seed):
    probabilities = boundaries.COMPONENT.case("song-180s").make(seed)["probabilities"]
    same_bits(boundary_strength, [probabilities], library)
    same_bits(local_maxima, [probabilities], library)
    same_bits(lambda values: peak_picking(values, 70, 31), [probabilities], library)
    song = preparation.COMPONENT.case("song-180s").make(seed)
    same_bits(combine_activations, [song["beat"], song["downbeat"]], library)
    same_bits(boundary_strength, [probabilities[:0]], library)
    same_bits(combine_activations, [song["beat"][:0], song["downbeat"][:0]], library)


@pytest.mark.parametrize("library", LIBRARIES)
def test_probabilities_from_logits(library):
    rng = np.random.default_rng(0)
    sections, functions = rng.normal(0, 5, 300).astype(np.float32), rng.normal(0, 30, (10, 300)).astype(np.float32)
    section, function = (np.asarray(v) for v in functional_probabilities(there(sections, library), there(functions, library)))
    np.testing.assert_allclose(section, 1 / (1 + np.exp(-sections.astype(float))), atol=1e-6)
    exact = np.exp(functions.astype(float) - functions.max(axis=0))
    np.testing.assert_allclose(function, exact / exact.sum(axis=0), atol=1e-6)


def test_the_first_exponential_of_torch_is_that_of_one_number(monkeypatch):
    """Several threads that share it may get a kernel of low accuracy: `settle` says why."""
    torch = pytest.importorskip("torch")
    sizes, exp = [], torch.exp
    monkeypatch.setattr(torch, "exp", lambda values: sizes.append(values.numel()) or exp(values))
    settle.cache_clear()
    functional_probabilities(torch.zeros(300), torch.zeros(10, 300))
    assert sizes == [1, 1, 3000, 300]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_stages_are_the_references(library):
    for component, reference, libraries in (
        (preparation.COMPONENT, preparation_reference.IMPLEMENTATION, preparation_libraries),
        (boundaries.COMPONENT, boundary_reference.IMPLEMENTATION, boundary_libraries),
    ):
        inputs = component.case("song-180s").make(1)
        with reference.load(Settings()) as expected, getattr(libraries, library.upper()).load(Settings()) as run:
            wanted, found = expected(inputs), run(inputs)
        for name, array in wanted.items():
            assert isinstance(found[name], np.ndarray)
            assert found[name].dtype == array.dtype
            np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-6 if component is boundaries.COMPONENT else 0)
        assert component.produced(inputs, found) == 180
        assert component.work(inputs).operations > 18000


@settings(max_examples=60, deadline=None)
@given(boundaries.COMPONENT.strategy())
def test_boundaries_equal_the_reference_on_adversarial_inputs(inputs):
    found = boundary_strength(inputs["probabilities"], inputs["fps"])
    np.testing.assert_allclose(found, boundary_reference.strength(inputs)["strength"], rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(preparation.COMPONENT.strategy())
def test_preparation_equals_the_reference_on_adversarial_inputs(inputs):
    np.testing.assert_array_equal(combine_activations(**inputs), preparation_reference.prepare(inputs)["activations"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_combined_activations_by_definition(dtype):
    beat, downbeat = np.array([0.9, 0.2, 0.0, 1.0], dtype), np.array([0.3, 0.8, 0.0, 1.0], dtype)
    combined = combine_activations(beat, downbeat)
    assert combined.dtype == dtype
    expected = []
    for b, d in zip(beat.astype(float), downbeat.astype(float), strict=True):
        parts = max(1e-8, b - d), d, ((1 - b) + (1 - d)) / 2
        expected.append([parts[0] / sum(parts), parts[1] / sum(parts)])
    np.testing.assert_allclose(combined, expected, rtol=1e-6)


def test_a_song_of_sections():
    probabilities = np.zeros(6000, np.float32)
    probabilities[[0, 1500, 1510, 3200]] = [0.2, 0.8, 0.6, 0.7]
    assert section_times(boundary_strength(probabilities)).tolist() == [[0, 15], [15, 32], [32, 60]]


def test_a_song_without_boundaries_is_one_section():
    assert section_times(boundary_strength(np.zeros(250, np.float32))).tolist() == [[0, 2.5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: local_maxima(np.zeros(5), 4), "width: expected an odd number of frames, found 4"),
        (lambda: local_maxima(np.zeros((5, 2))), r"values: expected 1 dimension, found shape \(5, 2\)"),
        (lambda: local_maxima(np.zeros(5, int)), "values: expected floating-point values, found int64"),
        (lambda: peak_picking(np.array([np.nan]), 3, 3), "values: expected finite values, found NaN or infinity"),
        (lambda: peak_picking(np.zeros(5), 0, 3), "past, future: expected at least 1 frame each, found 0 and 3"),
        (lambda: boundary_strength(np.zeros(5), 0), "fps: expected frames per second above 0, found 0"),
        (lambda: combine_activations(np.zeros(5), np.zeros(6)), r"expected equal shapes and dtypes, found \(5,\) float64 and \(6,\)"),
        (lambda: combine_activations(np.zeros(5), np.full(5, np.inf)), "downbeat: expected finite values"),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_array_of_another_library():
    with pytest.raises(TypeError, match=r"expected an array of NumPy, torch or MLX, found builtins\.list"):
        namespace([1.0])
    assert namespace(np.zeros(1)) is sys.modules["numpy"]
