"""Every spectrogram row that runs here: goldens, adversarial inputs, manners. Without a GPU its rows are skipped with the reason."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from spectrogram_rows import GOLDEN_RATES, Row, goldens, rows

from harness.settings import Settings
from implementations.spectrogram.component import COMPONENT
from implementations.spectrogram.reference import frame_count
from implementations.spectrogram.reference import spectrogram as reference

ROWS = rows()
HERE = [row for row in ROWS if not row.missing]


@pytest.fixture(scope="module", params=HERE, ids=[row.name for row in HERE])
def row(request):
    return request.param


@pytest.fixture(scope="module")
def compute(row: Row):
    with row.implementation.load(row.settings) as run:
        yield lambda signals, rate: run({"signals": signals, "sample_rate": rate})["spectrogram"]


def test_every_implementation_of_this_package_is_seen():
    names = {row.implementation.name for row in ROWS}
    assert {"reference", "torch_rfft", "torch_cuda", "torch_mps", "mlx_batched", "madmom", "librosa"} <= names


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_rows_that_cannot_run_here_say_why(row):
    if row.missing:
        pytest.skip(row.missing)


@pytest.mark.parametrize("rate", GOLDEN_RATES)
def test_golden_outputs(row, compute, rate):
    for name, signals, expected in goldens(rate):
        result = compute(signals, rate)
        assert result.shape == (1, *expected.shape), name
        assert np.abs(result[0] - expected).max(initial=0) <= row.bound, name


def test_adversarial_inputs_stay_within_the_bound(row, compute):
    @seed(20260131)
    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(COMPONENT.strategy())
    def agrees(inputs):
        expected = reference(inputs["signals"], inputs["sample_rate"])
        result = compute(inputs["signals"], inputs["sample_rate"])
        assert result.shape == expected.shape
        assert np.abs(result - expected).max(initial=0) <= row.bound

    agrees()


@pytest.mark.parametrize("case", ["one-second", "quick", "stereo-int16", "fractional-hop", "stems-30s"])
def test_cases_of_the_component(row, compute, case):
    inputs = COMPONENT.case(case).make(1)
    expected = reference(inputs["signals"], inputs["sample_rate"])
    assert np.abs(compute(inputs["signals"], inputs["sample_rate"]) - expected).max() <= row.bound


def test_input_is_only_read_and_the_output_is_fresh(row, compute):
    signals = np.random.default_rng(1).uniform(-1, 1, (2, 9000, 2)).astype(np.float32)
    before = signals.copy()
    signals.setflags(write=False)
    first = compute(signals, 44100)
    kept = first.copy()
    compute(np.zeros_like(signals), 44100)
    assert np.array_equal(signals, before)
    assert np.array_equal(first, kept)
    if row.name != "reference[precision=float64]":
        assert first.dtype == np.float32


@pytest.mark.parametrize("layout", ["fortran", "reversed", "strided", "planar"])
def test_any_memory_layout(row, compute, layout):
    signals = np.random.default_rng(2).integers(-32768, 32768, (3, 8000, 2)).astype(np.int16)
    changed = {
        "fortran": np.asfortranarray(signals),
        "reversed": signals[:, ::-1].copy()[:, ::-1],
        "strided": np.repeat(signals, 2, axis=1)[:, ::2],
        "planar": np.ascontiguousarray(signals.swapaxes(1, 2)).swapaxes(1, 2),
    }[layout]
    assert np.array_equal(changed, signals)
    assert np.array_equal(compute(changed, 44100), compute(signals, 44100))


def test_int16_and_float32_inputs_do_not_disturb_each_other(row, compute):
    name, floats, expected_floats = next(case for case in goldens(44100) if case[0] == "mix_f32")
    _, integers, expected_integers = next(case for case in goldens(44100) if case[0] == "mix_i16")
    for _ in range(2):
        assert np.abs(compute(floats, 44100)[0] - expected_floats).max() <= row.bound, name
        assert np.abs(compute(integers, 44100)[0] - expected_integers).max() <= row.bound


@pytest.mark.parametrize(
    ("signals", "rate", "error", "message"),
    [
        (np.zeros((1, 10)), 44100, TypeError, "expected dtype int16 or float32, found float64"),
        (np.zeros(10, np.float32), 44100, ValueError, "expected shape"),
        (np.zeros((1, 10), np.float32), 10, ValueError, "expected 1000 to 192000 Hz, found 10"),
    ],
)
def test_bad_input_is_refused(compute, signals, rate, error, message):
    with pytest.raises(error, match=message):
        compute(signals, rate)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [44100, 22050])
def test_samples_that_are_not_finite_are_refused_wherever_they_are(compute, bad, rate):
    for place in (0, 1, 1500, 4998, 4999):
        signals = np.zeros((2, 5000), np.float32)
        signals[1, place] = bad
        with pytest.raises(ValueError, match=f"expected finite samples.*found {bad} at stem 1, sample {place}"):
            compute(signals, rate)


def test_an_unknown_precision_is_refused(row):
    if "precision" not in row.implementation.settings:
        return
    with pytest.raises(ValueError, match=r"precision: expected float(32|64).*found 'int8'"):
        row.implementation.load(Settings(precision="int8")).__enter__()


@settings(max_examples=150, deadline=None, database=None)
@seed(7)
@given(COMPONENT.strategy())
def test_the_strategy_makes_valid_inputs(inputs):
    signals, rate = inputs["signals"], inputs["sample_rate"]
    assert signals.dtype in (np.int16, np.float32)
    assert signals.ndim in (2, 3)
    assert 8000 <= rate <= 96000
    assert reference(signals, rate).shape[:2] == (len(signals), frame_count(signals.shape[1], rate))
