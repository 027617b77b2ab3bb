"""librosa's features, and every implementation of them that runs here."""

from pathlib import Path

import numpy as np
import pytest

from harness import signals
from harness.parity import compare
from harness.registry import discover, unavailable
from harness.settings import Settings
from implementations.features import contract, rhythm, tables
from implementations.features.component import COMPONENT

pytest.importorskip("librosa", reason="librosa: not installed")
GOLDEN = Path(__file__).parent.parent / "golden"
OTHERS = [name for name in discover().implementations("features") if name != "reference"]


def outputs_of(name, inputs, **settings):
    implementation = discover().implementations("features")[name]
    reason = unavailable(implementation)
    if reason:
        pytest.skip(f"{name}: {reason}")
    with implementation.load(Settings(**settings)) as run:
        return run(inputs)


def parity_of(name, **settings):
    implementation = discover().implementations("features")[name]
    found = {}
    for variant in implementation.variants:
        if all(settings.get(key) == value for key, value in variant.settings.items()):
            found |= variant.parity
    return found


@pytest.fixture(scope="module")
def inputs():
    """Lengths and rates that end inside frames, blocks and segments; silence, and a level of -80 dB."""
    piece = signals.mix(seconds=6, sample_rate=44100, seed=3)
    quiet = piece[:60_000] * np.float32(1e-4)
    broken = piece[:90_000].copy()
    broken[20_000:50_000] = 0
    cases = {"piece": (piece, 44100), "quiet": (quiet, 22050), "gap": (broken, 48000), "fast rate": (piece[:70_001], 96000)}
    short = {f"{n} samples": (piece[1000 : 1000 + n], 44100) for n in (1, 511, 1536, 2049, 8191)}
    silence = {"silence": (np.zeros(9000, np.float32), 44100)}
    return {name: {"samples": samples, "sample_rate": rate} for name, (samples, rate) in (cases | short | silence).items()}


@pytest.fixture(scope="module")
def expected(inputs):
    return {name: outputs_of("reference", value) for name, value in inputs.items()}


def test_document_features_are_librosas_calls(expected, inputs):
    found = expected["piece"]
    assert set(contract.SCALARS) | {"beats", "chroma", "mfcc"} == set(found) == set(COMPONENT.policy)
    assert found["duration"] == 6.0
    assert 60 < found["tempo"] < 240
    assert found["beat_count"] == len(found["beats"]) > 5
    assert found["loudness"] == pytest.approx(20 * np.log10(found["rms_mean"] + 1e-10) - 23)
    assert 0 < found["harmonic_ratio"] < 1


@pytest.mark.parametrize("name", OTHERS)
def test_every_implementation_gives_the_references_features(name, inputs, expected):
    settings = {} if discover().implementations("features")[name].plain else {"precision": "float32"}
    for case, value in inputs.items():
        results = compare(expected[case], outputs_of(name, value, **settings), COMPONENT.policy, replaced=parity_of(name, **settings))
        assert all(r.passed for r in results), f"{case}: {[r.message for r in results if not r.passed]}"


@pytest.mark.parametrize("name", ["reference", *OTHERS])
def test_lightweight_deviates_no_further_than_stated(name, inputs, expected):
    found = outputs_of(name, inputs["piece"], mode="lightweight")
    results = compare(expected["piece"], found, COMPONENT.policy, replaced=parity_of(name, mode="lightweight"))
    assert all(r.passed for r in results), [r.message for r in results if not r.passed]
    assert found["chroma"].size == found["mfcc"].size == 0
    assert found["harmonic_ratio"] == min(1, found["spectral_centroid"] / 5000)


@pytest.mark.parametrize("rate", [22050, 44100])
def test_own_tables_and_rhythm_agree_with_golden_librosa(rate):
    with np.load(GOLDEN / f"librosa_{rate}.npz", allow_pickle=False) as golden:
        strength, tempo, times = golden["onset_strength"], float(golden["tempo"][0]), golden["beat_times"]
    found, beats = rhythm.tempo_and_beats(strength, rate, 512)
    assert found == tempo
    assert np.array_equal(beats, times)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("rate", [22050, 44100])
def test_golden_values_of_librosa(name, rate):
    with np.load(GOLDEN / f"librosa_{rate}.npz", allow_pickle=False) as golden:
        samples = golden["y_i16"].astype(np.float32) / np.float32(32768)
        found = outputs_of(name, {"samples": samples, "sample_rate": rate}, **({"precision": "float32"} if name == "mlx_blocks" else {}))
        assert found["spectral_centroid"] == pytest.approx(golden["spectral_centroid"].mean(), rel=1e-6)
        assert found["spectral_rolloff"] == pytest.approx(golden["spectral_rolloff"].mean(), rel=1e-5)
        assert found["zero_crossing_rate"] == pytest.approx(golden["zero_crossing_rate"].mean(), rel=1e-9)
        assert found["rms_mean"] == pytest.approx(golden["rms"].mean(dtype=np.float64), rel=1e-6)
        assert np.allclose(found["chroma"], golden["chroma_stft"].mean(axis=1, dtype=np.float64), rtol=2e-6, atol=0)
        assert np.allclose(found["mfcc"], golden["mfcc"][:13].mean(axis=1, dtype=np.float64), rtol=2e-6, atol=1e-4)


def test_filters_are_librosas():
    import librosa

    for rate in (16000, 22050, 44100, 96000):
        assert np.allclose(tables.mel_bank(rate), librosa.filters.mel(sr=rate, n_fft=2048), rtol=1e-5, atol=1e-9)
    for tuning in (-0.5, 0.0, 0.17):
        assert np.allclose(tables.chroma_bank(44100, tuning), librosa.filters.chroma(sr=44100, n_fft=2048, tuning=tuning), atol=1e-7)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(10), 44100, "expected a NumPy array of float32 .* found dtype float64"),
        (np.zeros((2, 10), np.float32), 44100, r"expected shape \(n,\) .* found \(2, 10\)"),
        (np.zeros(0, np.float32), 44100, "at least one sample"),
        (np.zeros(10, np.float32), 44100.0, "expected a whole number of Hz"),
        (np.zeros(10, np.float32), 4000, "expected 8000 to 192000 Hz, found 4000"),
        (np.array([0, np.nan], np.float32), 44100, "found nan at sample 1"),
        (np.full(10, 1e30, np.float32), 44100, "a peak of 1e.30"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_inputs_that_cannot_be(samples, rate, message):
    with pytest.raises((TypeError, ValueError), match=message):
        outputs_of("reference", {"samples": samples, "sample_rate": rate})


@pytest.mark.parametrize("name", ["reference", *OTHERS])
def test_longest_audio_is_a_clear_error(name):
    with pytest.raises(ValueError, match=r"expected at most 0.5 s \(longest_audio\), found 1.0 s"):
        outputs_of(name, {"samples": np.zeros(44100, np.float32), "sample_rate": 44100}, longest_audio=0.5)


def test_mode_auto_is_refused_where_no_profile_decided_it():
    with pytest.raises(ValueError, match="expected full or lightweight, found 'auto'"):
        outputs_of("reference", {}, mode="auto")
