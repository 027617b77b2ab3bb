"""`implementations.log_spectrogram` without the harness: back-ends, arrays that stay where they are, imports."""

import subprocess
import sys

import numpy as np
import pytest

import implementations
from implementations import spectrogram as package
from implementations.spectrogram import backends, log_spectrogram
from implementations.spectrogram.reference import filterbank
from implementations.spectrogram.reference import spectrogram as reference


@pytest.fixture
def fresh():
    """No back-end remembered, before and after."""
    for forget in (package.BACKENDS.forget, package._loaded.cache_clear):
        forget()
    yield
    for forget in (package.BACKENDS.forget, package._loaded.cache_clear):
        forget()


@pytest.fixture(scope="module")
def signals():
    return np.random.default_rng(4).uniform(-1, 1, (2, 20000)).astype(np.float32)


def test_importing_the_library_imports_no_framework():
    script = """
import sys
import implementations, implementations.spectrogram
import implementations.spectrogram.component, implementations.spectrogram.torch_rfft, implementations.spectrogram.mlx_batched
import implementations.spectrogram.peers
assert callable(implementations.log_spectrogram) and "log_spectrogram" in dir(implementations)
heavy = {"torch", "mlx", "madmom", "librosa", "scipy", "hypothesis", "numba"} & set(sys.modules)
contract = ("harness.component", "harness.settings", "harness.signals")
measuring = {name for name in sys.modules if name.startswith("harness.") and not name.startswith(contract)}
print(sorted(heavy | measuring))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_each_promised_name_is_there():
    for name in implementations.__all__:
        assert callable(getattr(implementations, name))


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="'implementations' has no attribute 'nothing'; it offers log_spectrogram"):
        _ = implementations.nothing


def test_auto_is_within_1e_6_of_the_reference(signals):
    result = implementations.log_spectrogram(signals, 44100)
    assert result.dtype == np.float32
    assert np.abs(result - reference(signals, 44100)).max() <= 1e-6


def test_auto_takes_the_first_that_works(fresh):
    first = next(name for name in package.FASTEST_FIRST if backends()[name] is None)
    assert package.BACKENDS.chosen("auto") == first


def test_backends_names_all_and_gives_reasons():
    found = backends()
    assert {"native", "torch_rfft", "torch_cuda", "torch_mps", "mlx_batched", "reference", "madmom", "librosa"} == set(found)
    assert found["reference"] is None
    assert all(reason for reason in found.values() if reason is not None)


@pytest.mark.parametrize("name", ["native", "torch_rfft", "reference", "madmom", "librosa"])
def test_each_backend_by_name(name, signals):
    if backends()[name]:
        pytest.skip(backends()[name])
    assert np.abs(log_spectrogram(signals, 44100, backend=name) - reference(signals, 44100)).max() <= 1e-6


def test_auto_warns_about_a_wrong_backend_and_takes_the_next(fresh, monkeypatch, signals):
    def wrong(name, threads, precision):
        result = loaded(name, threads, precision)
        return (lambda array, rate: result(array, rate) + np.float32(0.1)) if name in package.FASTEST_FIRST[:2] else result

    loaded = package._loaded
    monkeypatch.setattr(package, "_loaded", wrong)
    assert backends()["torch_rfft"]  # who asked before is warned all the same
    with pytest.warns(RuntimeWarning, match=r"torch_rfft is passed over: differs from the reference by 0.1 \(allowed 1e-06\)"):
        result = log_spectrogram(signals, 44100)
    assert np.array_equal(result, reference(signals, 44100))


def test_auto_passes_over_missing_backends_in_silence(fresh, monkeypatch, signals, recwarn):
    def missing(name):
        if name != "reference":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return implementation(name)

    implementation = package._implementation
    monkeypatch.setattr(package, "_implementation", missing)
    assert np.array_equal(log_spectrogram(signals, 44100), reference(signals, 44100))
    assert backends()["torch_rfft"] == "not installed: No module named 'torch_rfft'"
    assert not [w for w in recwarn if w.category is RuntimeWarning]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "cufft"}, "backend: expected auto or one of native, torch_rfft.*found 'cufft'"),
        ({"backend": "madmom", "precision": "float32"}, "madmom has no precision to set"),
        ({"backend": "reference", "threads": 2}, "reference has no threads to set"),
        ({"backend": "torch_rfft", "threads": 0}, "threads: expected a whole number from 1"),
        ({"backend": "torch_rfft", "precision": "int8"}, "precision: expected float32 or float64, found 'int8'"),
    ],
)
def test_options_that_do_not_fit_are_refused(signals, options, message):
    with pytest.raises(ValueError, match=message):
        log_spectrogram(signals, 44100, **options)


def test_a_backend_that_does_not_work_here_says_why(fresh, monkeypatch, signals):
    monkeypatch.setitem(package._HOMES, "madmom", "peers:NOTHING")
    with pytest.raises(RuntimeError, match=r"backend madmom does not work here: AttributeError: .*has no attribute 'NOTHING'"):
        log_spectrogram(signals, 44100, backend="madmom")


def test_lists_are_refused():
    with pytest.raises(TypeError, match="expected a NumPy array, found list"):
        log_spectrogram([0.0], 44100)


# Arrays of other frameworks stay where they are.


def test_torch_tensors_give_torch_tensors(signals):
    torch = pytest.importorskip("torch")
    result = log_spectrogram(torch.from_numpy(signals), 44100)
    assert isinstance(result, torch.Tensor)
    assert np.abs(result.numpy() - reference(signals, 44100)).max() <= 1e-6


def test_torch_keeps_the_result_on_the_device(signals):
    torch = pytest.importorskip("torch")
    from implementations.spectrogram import torch_rfft

    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else []), *(["mps"] if torch.backends.mps.is_available() else [])]:
        precision = "float32" if device == "mps" else "float64"
        result = torch_rfft.spectrogram(signals, 44100, device=device, precision=precision)
        assert isinstance(result, torch.Tensor)
        assert result.device.type == device
        assert not result.requires_grad
        tensor = torch.from_numpy(signals).to(device)
        again = log_spectrogram(tensor.requires_grad_(), 44100, backend="torch_rfft") if device == "cpu" else log_spectrogram(
            tensor, 44100, precision=precision
        )
        assert again.device.type == device
        assert torch.equal(again, result)


def test_a_device_of_another_kind_is_refused():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device found")
    with pytest.raises(ValueError, match="expected auto or torch_cuda for an array on that device, found 'native'"):
        log_spectrogram(torch.zeros((1, 100), device="cuda"), 44100, backend="native")


def test_mlx_arrays_give_mlx_arrays(signals):
    mx = pytest.importorskip("mlx.core")
    result = log_spectrogram(mx.array(signals), 44100, precision="float32")
    assert isinstance(result, mx.array)
    assert np.abs(np.array(result) - reference(signals, 44100)).max() <= 2e-5
    with pytest.raises(ValueError, match="mlx_batched has no float64; pass precision='float32' to accept 2e-05 of difference"):
        log_spectrogram(mx.array(signals), 44100)
    with pytest.raises(ValueError, match="expected auto or mlx_batched for an array on that device, found 'native'"):
        log_spectrogram(mx.array(signals), 44100, backend="native", precision="float32")
    with pytest.raises(ValueError, match="mlx_batched has no threads to set"):
        log_spectrogram(mx.array(signals), 44100, threads=2, precision="float32")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_torch_threads_change_neither_the_result_nor_torchs_own(signals, threads):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    result = log_spectrogram(signals, 44100, backend="torch_rfft", threads=threads)
    assert np.array_equal(result, log_spectrogram(signals, 44100, backend="torch_rfft"))
    assert torch.get_num_threads() == before


def test_constants_are_made_once_per_rate():
    pytest.importorskip("torch")
    from implementations.spectrogram import torch_rfft

    torch_rfft._constants.cache_clear()
    for rate in (44100, 48000, 44100):
        torch_rfft.spectrogram(np.zeros((1, 3000), np.float32), rate)
    assert torch_rfft._constants.cache_info().misses == 2
    assert torch_rfft._constants.cache_info().hits == 1


@pytest.mark.parametrize("name", ["torch_rfft", "mlx_batched"])
def test_without_a_cache_the_constants_are_made_in_each_call(name, signals):
    pytest.importorskip("torch" if name == "torch_rfft" else "mlx.core")
    from harness.settings import Settings

    implementation = package._implementation(name)
    results = []
    for cache, expected in ((True, 1), (False, 2)):
        with implementation.load(Settings(cache=cache)) as run:
            filterbank.cache_clear()
            made = []
            for _ in range(2):
                results.append(run({"signals": signals, "sample_rate": 44100})["spectrogram"])
                made.append(filterbank(44100))
            assert len({id(bank) for bank in made}) == expected
    assert all(np.array_equal(result, results[0]) for result in results)
