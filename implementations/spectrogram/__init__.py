"""Log-filtered spectrograms for beat tracking, as madmom computes them: `log_spectrogram` is the way in."""

from __future__ import annotations

import atexit
import importlib
import sys
from contextlib import ExitStack
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations._backends import Backends

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.component import Implementation

    Compute = Callable[[np.ndarray, int], np.ndarray]

FASTEST_FIRST = ("native", "torch_rfft", "reference")
"""What "auto" tries for NumPy input. GPUs are left out: copying the input there takes longer than the native kernel."""

_HOMES = {
    "native": "native:IMPLEMENTATION",
    "torch_rfft": "torch_rfft:IMPLEMENTATION",
    "torch_cuda": "torch_rfft:CUDA",
    "torch_mps": "torch_rfft:MPS",
    "mlx_batched": "mlx_batched:IMPLEMENTATION",
    "reference": "reference:IMPLEMENTATION",
    "madmom": "peers:MADMOM",
    "librosa": "peers:LIBROSA",
}


def log_spectrogram(
    signals: Any, sample_rate: int, *, backend: str = "auto", threads: int | None = None, precision: str | None = None
) -> Any:
    """(stems, frames, bands) float32: log10(1 + x) of 12 bands per octave from 30 to 17000 Hz, 100 frames a second.

    signals: (stems, samples) or (stems, samples, channels), int16 or float32 in [-1, 1]; all stems are computed in one call.
    What goes in decides what comes out: NumPy gives NumPy; a torch tensor or an MLX array gives its own kind, computed and
    left on its device.

    backend: a name of `backends()`, or "auto": on the CPU the first of `FASTEST_FIRST` that is there and gives, checked once per
    process, the reference's result on this machine; elsewhere the array's own framework. Only a missing one is passed over in
    silence: a wrong or broken one is warned about.
    threads: of the backends that have them (native, torch_rfft).
    precision: None keeps within 1e-6 of madmom; "float32" allows 2e-5, and is the only choice where there is no float64 (MLX, MPS).

    TypeError, ValueError: wrong dtype, shape or rate, samples that are not finite, a backend that does not fit the array.
    RuntimeError: the backend named does not work here, and why.
    """
    kind = _kind(signals)
    if kind in ("torch_cuda", "torch_mps", "mlx_batched"):
        if backend not in ("auto", kind):
            raise ValueError(f"spectrogram: backend: expected auto or {kind} for an array on that device, found {backend!r}")
        _loaded(kind, threads, precision)  # refuses settings the device does not have
        return _on_device(kind, signals, sample_rate, precision)
    if kind == "torch_cpu":
        import torch

        result = log_spectrogram(signals.detach().numpy(), sample_rate, backend=backend, threads=threads, precision=precision)
        return torch.from_numpy(result)
    return _loaded(BACKENDS.chosen(backend), threads, precision)(signals, sample_rate)


def backends() -> dict[str, str | None]:
    """Every backend by name: None where it works and agrees with the reference here, else the reason. Imports all that are installed."""
    return BACKENDS.problems()


def _compare(name: str) -> str | None:
    implementation = _implementation(name)
    difference = _difference(_loaded(name, None, None if implementation.plain else "float32"))
    allowed = 1e-6 if implementation.plain else _bound(implementation)
    return None if difference <= allowed else f"differs from the reference by {difference:.2g} (allowed {allowed:g})"


def _difference(run: Compute) -> float:
    """Largest difference from the reference on half a second of each kind of input."""
    from harness import signals

    tone = signals.chirp(seconds=0.5, sample_rate=44100, seed=1)
    noise = signals.noise(seconds=0.5, sample_rate=22050, seed=2)
    integers = np.stack([noise, noise[::-1]], axis=-1) * np.float32(32767)
    reference = _loaded("reference", None, None)
    worst = 0.0
    for array, rate in ((tone[None], 44100), (integers.astype(np.int16)[None], 22050)):
        worst = max(worst, float(np.abs(run(array, rate) - reference(array, rate)).max()))
    return worst


@lru_cache(maxsize=64)
def _loaded(name: str, threads: int | None, precision: str | None) -> Compute:
    from harness.settings import Settings

    implementation = _implementation(name)
    if precision is None and not implementation.plain:
        raise ValueError(f"spectrogram: {name} has no float64; pass precision='float32' to accept {_bound(implementation):g} of difference")
    settings = Settings(threads=threads, precision=precision)
    unknown = sorted(set(settings.given()) - set(implementation.settings))
    if unknown:
        raise ValueError(f"spectrogram: {name} has no {' or '.join(unknown)} to set; leave it out or choose another backend")
    stack = ExitStack()
    atexit.register(stack.close)
    run: Any = stack.enter_context(implementation.load(settings))
    return lambda signals, sample_rate: run({"signals": signals, "sample_rate": sample_rate})["spectrogram"]


def _implementation(name: str) -> Implementation:
    module, attribute = _HOMES[name].split(":")
    found: Implementation = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return found


def _bound(implementation: Implementation) -> float:
    return implementation.variants[0].parity["spectrogram"].metric.at_most or 0.0  # of the only variant: float32


BACKENDS = Backends("spectrogram", tuple(_HOMES), FASTEST_FIRST, _compare)


def _kind(signals: Any) -> str:
    """Which framework and device an array belongs to; a framework that nobody imported has no arrays."""
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    if torch is not None and isinstance(signals, torch.Tensor):
        return f"torch_{signals.device.type}"
    return "mlx_batched" if mlx is not None and isinstance(signals, mlx.array) else "numpy"


def _on_device(name: str, signals: Any, sample_rate: int, precision: str | None) -> Any:
    if name == "mlx_batched":
        from implementations.spectrogram import mlx_batched

        return mlx_batched.spectrogram(signals, sample_rate)
    from implementations.spectrogram import torch_rfft

    return torch_rfft.spectrogram(signals, sample_rate, precision=precision or "float64")
