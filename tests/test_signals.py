import hashlib
import inspect
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__

from harness import signals
from harness.signals import arithmetic

NAMES = ("silence", "noise", "chirp", "harmonic_tones", "clicks", "drums", "stems", "mix")


def digest(name: str) -> str:
    return hashlib.sha256(getattr(signals, name)(seconds=12.5, sample_rate=22050, seed=7).tobytes()).hexdigest()[:16]


# The first 16 hex digits of the SHA-256 of each signal: the promise that every machine makes the same bytes.
DIGESTS = {
    "silence": "8e9ca08149202624",
    "noise": "44ee7b5fa60f1f02",
    "chirp": "4d2f9cf15dffd366",
    "harmonic_tones": "d1099a6c53705ea3",
    "clicks": "6114b22ef8c81114",
    "drums": "ae6465cf2abacd61",
    "stems": "63f1446e7f226f5b",
    "mix": "1579e0332a7fe26d",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_the_promised_ones(name: str) -> None:
    assert digest(name) == DIGESTS[name]


def test_the_bytes_do_not_depend_on_the_instruction_set() -> None:
    code = "import sys; sys.path.insert(0, 'tests'); from test_signals import digest, NAMES; print(*map(digest, NAMES))"
    plain = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__), "PYTHONPATH": os.pathsep.join(sys.path)}
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=plain, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [DIGESTS[name] for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sample_rate", [1000, 8000, 44100, 192000])
@pytest.mark.parametrize("seconds", [0, 1e-4, 0.3, 21.0])
def test_shape_dtype_and_range(name: str, sample_rate: int, seconds: float) -> None:
    signal = getattr(signals, name)(seconds=seconds, sample_rate=sample_rate, seed=3)
    assert signal.dtype == np.float32
    assert signal.shape[-1] == round(seconds * sample_rate)
    assert signal.ndim == (2 if name == "stems" else 1)
    assert np.isfinite(signal).all()
    assert np.abs(signal).max(initial=0) <= 1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "silence"])
def test_the_seed_changes_the_bytes(name: str) -> None:
    make = getattr(signals, name)
    assert not np.array_equal(make(seconds=1, seed=1), make(seconds=1, seed=2))


def test_sine_is_a_sine() -> None:
    turns = np.random.default_rng(1).uniform(-1000, 1000, 10000)
    np.testing.assert_allclose(arithmetic.sine(turns), np.sin(2 * np.pi * turns), atol=1e-11)


def test_harmonics_are_a_sum_of_sines() -> None:
    turns = np.random.default_rng(2).uniform(-10, 10, 1000)
    expected = sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 9)) / 1.86
    np.testing.assert_allclose(arithmetic.partials(turns, 8), expected, atol=1e-9)


def test_chirp_follows_its_frequencies() -> None:
    signal = signals.chirp(seconds=4, sample_rate=16000, low=500, high=4500)
    for start in (0, 24000, 63000):
        spectrum = np.abs(np.fft.rfft(signal[start : start + 1000] * np.hanning(1000)))
        assert abs(np.argmax(spectrum) * 16 - (500 + 1000 * (start + 500) / 16000)) <= 16


def test_harmonic_tones_have_energy_only_at_their_partials() -> None:
    signal = signals.harmonic_tones(seconds=1, sample_rate=8000, frequencies=(1000.0,), harmonics=10)
    spectrum = np.abs(np.fft.rfft(signal))
    assert set(np.flatnonzero(spectrum > 1)) == {1000, 2000, 3000}


def test_clicks_stand_at_the_beats_and_accent_the_first() -> None:
    signal = signals.clicks(seconds=4, sample_rate=1000, bpm=120, beats_per_bar=4)
    # 120 beats per minute at 1000 Hz: every 500 samples, silent between the 5 ms bursts.
    np.testing.assert_array_equal(np.flatnonzero(np.abs(signal[::500]) > 0.4), np.arange(8))
    np.testing.assert_allclose(signal[:2000:500], [0.9, 0.45, 0.45, 0.45], rtol=1e-6)
    assert not signal[5:500].any()


def test_mix_is_the_sum_of_its_stems_and_never_repeats_a_second() -> None:
    parts = signals.stems(seconds=60, sample_rate=8000, seed=5)
    mix = signals.mix(seconds=60, sample_rate=8000, seed=5)
    assert len(parts) == len(signals.STEMS)
    np.testing.assert_allclose(mix, parts.sum(axis=0, dtype=np.float64), atol=1e-6)
    assert len({second.tobytes() for second in mix.reshape(60, 8000)}) == 60


def test_every_signal_takes_keywords_only() -> None:
    for name in NAMES:
        parameters = inspect.signature(getattr(signals, name)).parameters
        assert list(parameters)[:3] == ["seconds", "sample_rate", "seed"]
        assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("noise", {"seconds": -1}, "seconds: expected a number from 0 to 1e\\+06, found -1"),
        ("noise", {"seconds": float("nan")}, "seconds: expected .* found nan"),
        ("noise", {"seconds": "3"}, "seconds: expected .* found '3'"),
        ("mix", {"seconds": 1, "sample_rate": 10}, "sample_rate: expected a whole number of Hz from 1000 to 768000, found 10"),
        ("mix", {"seconds": 1, "sample_rate": 44100.0}, "sample_rate: expected .* found 44100.0"),
        ("drums", {"seconds": 1, "seed": -1}, "seed: expected a whole number >= 0, found -1"),
        ("drums", {"seconds": 1, "seed": 0.5}, "seed: expected .* found 0.5"),
        ("drums", {"seconds": 1, "bpm": 0}, "bpm: expected a number from 40 to 300, found 0"),
        ("clicks", {"seconds": 1, "bpm": 0}, "bpm: expected a number from 10 to 1000, found 0"),
        ("chirp", {"seconds": 1, "high": 40000.0}, "high: expected a number from 0 to 22050, found 40000"),
        ("harmonic_tones", {"seconds": 1, "frequencies": ()}, "frequencies: expected at least one, found none"),
        ("silence", {"seconds": 1, "seed": None}, "seed: expected .* found None"),
    ],
)
def test_bad_arguments_are_named(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(signals, name)(**arguments)
