"""Is a result the same? compare(reference, candidate, policy) -> one ParityResult per named output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.component import Approximate, Close, Identical, Inputs, Metric, Outputs, Parity, metrics_of
from harness.evidence import Picture, picture

Kind = Literal["identical", "close", "metric", "approximate"]


@dataclass(frozen=True)
class ParityResult:
    """The answer for one output.

    measured: what was found by name; where shapes agree always "max_abs_difference", the count of "differing" elements and
    "agreement", the share of equal ones. allowed: the bound in words.
    where: index of the worst element, or None. message: one sentence, empty when passed.
    instead_of: for `approximate`, the exact policy it replaces, in words. picture: of a failure, where there is something to see.
    """

    output: str
    kind: Kind
    passed: bool
    measured: Mapping[str, float]
    allowed: str
    where: tuple[int, ...] | None = None
    message: str = ""
    instead_of: str = ""
    picture: Picture | None = None


def compare(
    reference: Outputs,
    candidate: Outputs,
    policy: Mapping[str, Parity],
    *,
    replaced: Mapping[str, Approximate] | None = None,
    inputs: Inputs | None = None,
) -> tuple[ParityResult, ...]:
    """Judge every output the policy names; an output that is missing or unexpected fails.

    replaced: outputs whose policy a variant replaces by an Approximate. inputs: of the call, for metrics that ask for them.
    """
    results = [
        _one(name, reference[name], candidate[name], (replaced or {}).get(name, parity), exact=parity, inputs=inputs or {})
        if name in reference and name in candidate
        else _absent(name, parity, "reference" if name not in reference else "candidate")
        for name, parity in policy.items()
    ]
    for name in sorted(set(candidate) - set(policy)):
        message = f"output {name!r} has no policy in the component"
        results.append(ParityResult(name, "identical", False, {}, "no such output", message=message))
    return tuple(results)


def of_inputs(policy: Mapping[str, Parity], replaced: Mapping[str, Approximate]) -> bool:
    """Whether judging by these needs the inputs of the call: making them again takes time."""
    return any(metric.of_inputs for parity in {**policy, **replaced}.values() for metric in metrics_of(parity))


def describe(parity: Parity) -> str:
    """The bound in words: what a report shows as allowed."""
    match parity:
        case Identical():
            return "identical"
        case Close(max_abs, max_rel, precision):
            relative = f" + {max_rel:g} |reference|" if max_rel else ""
            return f"<= {max_abs:g}{relative} ({precision} reference)"
        case Metric(name, at_least, at_most):
            return f"{name} >= {at_least:g}" if at_least is not None else f"{name} <= {at_most:g}"
        case Approximate(_, reason):
            return f"{', '.join(describe(one) for one in metrics_of(parity))}, approximate: {reason}"


def not_finite(outputs: Outputs) -> tuple[str, tuple[int, ...]] | None:
    """The first output and index that holds NaN, or None. Infinities can be results (log-probabilities), NaN never is."""
    for name, array in outputs.items():
        values = np.asarray(array)
        if values.dtype.kind in "fc":
            bad = np.isnan(values)
            if bad.any():
                return name, tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), values.shape))
    return None


def _absent(name: str, parity: Parity, side: str) -> ParityResult:
    return ParityResult(name, _kind(parity), False, {}, describe(parity), message=f"output {name!r} is missing from the {side}")


def _kind(parity: Parity) -> Kind:
    match parity:
        case Identical():
            return "identical"
        case Close():
            return "close"
        case Metric():
            return "metric"
        case Approximate():
            return "approximate"


def _one(name: str, reference: Any, candidate: Any, parity: Parity, *, exact: Parity, inputs: Inputs) -> ParityResult:
    kind, allowed = _kind(parity), describe(parity)
    instead = describe(exact) if kind == "approximate" else ""
    reference, candidate = np.asarray(reference), np.asarray(candidate)

    apart: np.ndarray | None = None

    def result(passed: bool, measured: Mapping[str, float], where: tuple[int, ...] | None, message: str) -> ParityResult:
        if passed:
            return ParityResult(name, kind, True, measured, allowed, where, "", instead)
        seen = picture(reference, candidate, apart, where) if {reference.dtype.kind, candidate.dtype.kind} <= set("biuf") else None
        return ParityResult(name, kind, False, measured, allowed, where, message, instead, seen)

    if reference.dtype.kind not in "biufc" or candidate.dtype.kind not in "biufc":
        return result(False, {}, None, f"{name}: expected numbers, found dtypes {reference.dtype} and {candidate.dtype}")
    # A free metric may compare sequences of different length (beat lists); every other kind needs equal shapes.
    free = isinstance(parity, Metric | Approximate)
    if reference.shape != candidate.shape and not free:
        return result(False, {}, None, f"{name}: expected shape {reference.shape}, found {candidate.shape}")
    measured: dict[str, float] = {}
    where = None
    if reference.shape == candidate.shape:
        apart = difference = _difference(reference, candidate)
        measured["max_abs_difference"] = float(difference.max(initial=0.0))
        measured["differing"] = float(np.count_nonzero(difference))
        measured["agreement"] = 1.0 - measured["differing"] / difference.size if difference.size else 1.0
        if difference.size:
            where = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), difference.shape))

    def at() -> str:
        index = () if where is None else where
        place = f" at {list(index)}" if index else ""
        return f"{place}: {candidate[index]!s} vs {reference[index]!s}" if where is not None else ""

    match parity:
        case Identical():
            same = reference.dtype == candidate.dtype and measured["differing"] == 0
            if same and (signs := _signs_differ(reference, candidate)) is not None:
                where = signs
                return result(False, measured, where, f"{name} is not identical{at()} (zeros of another sign)")
            why = at() if reference.dtype == candidate.dtype else f": dtype {candidate.dtype} vs {reference.dtype}"
            return result(same, measured, where, f"{name} is not identical{why} ({measured['differing']:.0f} of {reference.size} differ)")
        case Close(max_abs, max_rel, _):
            excess = difference - (max_abs + max_rel * np.abs(np.nan_to_num(_wide(reference), posinf=0.0, neginf=0.0)))
            if excess.size and excess.max() > 0:
                where = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
            passed = not excess.size or bool(excess.max() <= 0)
            return result(passed, measured, where, f"{name} differs{at()} by {measured['max_abs_difference']:.3g} (allowed {allowed})")
        case Metric() | Approximate():
            said = []
            for number, metric in enumerate(metrics_of(parity)):
                value, problem = _metric(metric, reference, candidate, inputs)
                if value is None:
                    silent = "" if number else f"metric {metric.name} says nothing about these inputs"
                    said += [problem or silent] if problem or silent else []
                    continue
                measured[metric.name] = value
                if not (value >= metric.at_least if metric.at_least is not None else value <= metric.at_most):  # type: ignore[operator]
                    said.append(f"{metric.name} is {value:.6g}, allowed {describe(metric)}{at()}")
            return result(not said, measured, where, f"{name}: {'; '.join(said)}")


def _wide(values: np.ndarray) -> np.ndarray:
    wide: np.ndarray = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    return wide


def _difference(reference: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    """|candidate - reference| in float64; 0 where both are NaN or the same infinity, inf where only one is."""
    if reference.dtype.kind in "biu" and candidate.dtype.kind in "biu":
        # 64-bit integers do not fit float64: unequal ones must never round to equal.
        unequal = (reference != candidate).astype(np.float64)
        larger: np.ndarray = np.maximum(np.abs(_wide(candidate) - _wide(reference)), unequal)
        return larger
    left, right = _wide(reference), _wide(candidate)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(right - left)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    difference = np.where(same, 0.0, difference)
    result: np.ndarray = np.where(np.isnan(difference), np.inf, difference)
    return result


def _signs_differ(reference: np.ndarray, candidate: np.ndarray) -> tuple[int, ...] | None:
    """Where equal values have other bits: the index of a zero of the other sign, or None. Every NaN is as good as another."""
    if reference.dtype.kind not in "fc" or not reference.size:
        return None
    other: np.ndarray = np.zeros(reference.shape, bool)
    for one, two in ((reference.real, candidate.real), (reference.imag, candidate.imag)):
        other |= (np.signbit(one) != np.signbit(two)) & ~np.isnan(one)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(other)), other.shape)) if other.any() else None


def _metric(metric: Metric, reference: np.ndarray, candidate: np.ndarray, inputs: Inputs) -> tuple[float | None, str]:
    """The value, or None and what is wrong with it; None and "" where the metric says nothing about these inputs."""
    function: Callable[..., float | None] | None = metric.function or METRICS.get(metric.name)
    if function is None:
        return None, f"unknown metric {metric.name!r}; known: {', '.join(sorted(METRICS))}; or give Metric(function=...)"
    try:
        found = function(reference, candidate, inputs) if metric.of_inputs else function(reference, candidate)
        value = None if found is None and metric.of_inputs else float(found)  # type: ignore[arg-type]
    except Exception as error:
        return None, f"metric {metric.name} raised {type(error).__name__}: {error}"
    if value is not None and np.isnan(value):
        return None, f"metric {metric.name} is NaN (reference shape {reference.shape}, candidate shape {candidate.shape})"
    return value, ""


def _same_shape(reference: np.ndarray, candidate: np.ndarray) -> None:
    if reference.shape != candidate.shape:
        raise ValueError(f"expected shape {reference.shape}, found {candidate.shape}")


def max_abs_difference(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Largest |candidate - reference|; equal shapes."""
    _same_shape(reference, candidate)
    return float(_difference(reference, candidate).max(initial=0.0))


def snr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Signal-to-noise ratio in dB, 10 log10(sum r^2 / sum (c - r)^2); inf when identical; equal shapes."""
    _same_shape(reference, candidate)
    noise = float(np.sum(np.square(_difference(reference, candidate))))
    signal = float(np.sum(np.square(np.abs(_wide(reference)))))
    if noise == 0:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal > 0 else float("-inf")


def agreement(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Share of equal elements, 0 to 1; 1 for two empty arrays; equal shapes."""
    _same_shape(reference, candidate)
    return float(np.mean(reference == candidate)) if reference.size else 1.0


def f_measure(reference: np.ndarray, candidate: np.ndarray, *, tolerance_seconds: float = 0.07) -> float:
    """Beat F-measure, 0 to 1: times within +-70 ms match one to one (Davies, Degara, Plumbley 2009).

    Both (n,) or (n, k): the first column holds ascending times in seconds.
    """
    left, right = (np.sort(a.reshape(len(a), -1)[:, 0].astype(np.float64)) if len(a) else np.zeros(0) for a in (reference, candidate))
    if not len(left) and not len(right):
        return 1.0
    hits = i = j = 0
    while i < len(left) and j < len(right):
        if abs(left[i] - right[j]) <= tolerance_seconds:
            hits, i, j = hits + 1, i + 1, j + 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / (len(left) + len(right))


def log_spectral_distance_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Log-spectral distance in dB between two signals (samples,): mean over 2048-sample frames of the RMS over bins, floor -100 dB."""
    _same_shape(reference, candidate)
    spectra = []
    for signal in (reference, candidate):
        padded = np.pad(signal.astype(np.float64).reshape(-1), (0, -signal.size % 2048 or (2048 if signal.size == 0 else 0)))
        power = np.square(np.abs(np.fft.rfft(padded.reshape(-1, 2048) * np.hanning(2048), axis=1)))
        spectra.append(10 * np.log10(power + 1e-10))
    return float(np.mean(np.sqrt(np.mean(np.square(spectra[0] - spectra[1]), axis=1))))


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "max_abs_difference": max_abs_difference,
    "snr_db": snr_db,
    "agreement": agreement,
    "f_measure": f_measure,
    "log_spectral_distance_db": log_spectral_distance_db,
}
