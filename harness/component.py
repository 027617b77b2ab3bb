"""The contract: what is computed (Component), how (Implementation), on what (Case), how equal (Parity).

A plugin imports this module, `harness.signals` and NumPy, nothing else, at import time (and `harness.callback` for an audio thread).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from harness.callback import Callback
    from harness.settings import Settings

Inputs = Mapping[str, Any]
"""Named inputs of one call: NumPy arrays, numbers, strings, tuples of these."""

Outputs = Mapping[str, np.ndarray]
"""Named results of one call, as NumPy arrays on the host."""

Run = Callable[[Inputs], Outputs | Iterator[Outputs]]
"""One call. An iterator yields chunks: each is time-stamped, and joined along axis 0 they are the outputs."""


@dataclass(frozen=True)
class Loaded:
    """A run that also says how many bytes its weights take, in the form in which it computes with them: load() may give it.

    weight_bytes: where the inputs choose the model, a function that says it of the call before; None where it is not known.
    """

    run: Run
    weight_bytes: int | Callable[[], int | None]

    def __call__(self, inputs: Inputs) -> Outputs | Iterator[Outputs]:
        return self.run(inputs)


Role = Literal["reference", "optimized", "peer"]
ClockName = Literal["cpu", "wall", "cuda", "mlx"]


# Parity: four kinds, kept apart in every report.


@dataclass(frozen=True)
class Identical:
    """Equal shape, dtype and bits; NaN equals NaN."""


@dataclass(frozen=True)
class Close:
    """|candidate - reference| <= max_abs + max_rel * |reference|, elementwise; NaN and inf in the same places.

    `precision` says in which precision the reference computes ("float64").
    """

    max_abs: float
    max_rel: float = 0.0
    precision: str = "float64"

    def __post_init__(self) -> None:
        if not (self.max_abs >= 0 and self.max_rel >= 0 and np.isfinite(self.max_abs + self.max_rel)):
            raise ValueError(f"Close: bounds must be finite and >= 0, found max_abs={self.max_abs}, max_rel={self.max_rel}")


@dataclass(frozen=True)
class Metric:
    """`function(reference, candidate)` on the right side of exactly one bound.

    A known name ("snr_db", "max_abs_difference", "f_measure", "agreement", ...: `harness.parity.METRICS`)
    needs no function.
    of_inputs: `function(reference, candidate, inputs)`, for what depends on the truth and not on the reference alone (task
    accuracy on inputs that carry labels). It answers None where it says nothing about these inputs.
    """

    name: str
    at_least: float | None = None
    at_most: float | None = None
    function: Callable[..., float | None] | None = None
    of_inputs: bool = False

    def __post_init__(self) -> None:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"Metric {self.name!r}: give exactly one of at_least, at_most")
        if self.of_inputs and self.function is None:
            raise ValueError(f"Metric {self.name!r}: of_inputs needs a function of (reference, candidate, inputs)")


@dataclass(frozen=True)
class Approximate:
    """Another contract on purpose (int8, fewer steps): a metric with its own bound, and the reason. Never ranked as exact.

    also: metrics that have to hold as well, where they say something about the inputs; `metric` always has to.
    """

    metric: Metric
    reason: str
    also: tuple[Metric, ...] = ()


Parity = Identical | Close | Metric | Approximate


def metrics_of(parity: Parity) -> tuple[Metric, ...]:
    """The metrics by which it judges, the first one first; none where it compares elements."""
    match parity:
        case Metric():
            return (parity,)
        case Approximate(metric, _, also):
            return (metric, *also)
    return ()


# What is computed.


@dataclass(frozen=True)
class Unit:
    """The unit of work that throughput counts.

    `audio_seconds`: seconds of audio one unit stands for, or None where there is no audio (then there is no real-time factor).
    """

    name: str
    audio_seconds: float | None = None


@dataclass(frozen=True)
class Case:
    """A deterministic workload: a family of inputs by seed.

    `make(seed)` returns the same inputs for the same seed, in every process and on every machine.
    `thorough`, when not empty, is the reason why the case runs only with `--thorough`.
    """

    name: str
    make: Callable[[int], Inputs]
    quick: bool = False
    thorough: str = ""


@dataclass(frozen=True)
class Work:
    """The least work a call can do: arithmetic operations, and bytes read and written; `precision` picks the ceiling.

    weight_bytes: as much of `bytes` is weights, which are smaller in a narrower precision. repeated_bytes: the weights that a call reads
    over and over: the cache that holds them is the limit, not the one that would hold as much as is read in all.
    """

    operations: float
    bytes: float
    precision: str = "float32"
    weight_bytes: float = 0.0
    repeated_bytes: float | None = None

    def at(self, precision: str) -> Work:
        """The same in another precision: weights of its width."""
        width = _BITS[precision] / _BITS[self.precision]
        weights = self.weight_bytes * width
        repeated = None if self.repeated_bytes is None else self.repeated_bytes * width
        return Work(self.operations, self.bytes - self.weight_bytes + weights, precision, weights, repeated)


_BITS = {"float64": 64, "float32": 32, "int24": 24, "float16": 16, "bfloat16": 16, "int16": 16, "int8": 8}


@dataclass(frozen=True)
class Effect:
    """Where flipping a setting must show: on which case, between which two values, in what.

    `shows`: "output" (the result changes), "produced" (units of work change), "bytes" (memory changes), "processes"
    (more processes or threads work), "error" (the second value must be refused), "time" (seconds per call change).
    Where variants of an implementation name values of the setting, only effects that name one of them are its own.
    """

    setting: str
    values: tuple[Any, Any]
    case: str
    shows: Literal["output", "produced", "bytes", "processes", "error", "time"]


@dataclass(frozen=True)
class Component:
    """What is computed, on what, and how equal two results must be.

    produced: units of work found in the OUTPUT of a call, never in the request.
    policy: kind of parity for each named output.
    strategy: a function that returns a Hypothesis strategy of adversarial inputs (imports Hypothesis inside).
    work: the least work of a call, for the distance to the machine's limit.
    from_audio: (samples (channels, n) float32 in [-1, 1], sample rate in Hz) -> inputs, or None without audio input.
    effects: the settings that must show, and where.
    version: the contract version; raise it when a case, an output or a bound changes its meaning.
    """

    name: str
    unit: Unit
    cases: tuple[Case, ...]
    policy: Mapping[str, Parity]
    produced: Callable[[Inputs, Outputs], float]
    strategy: Callable[[], SearchStrategy[Inputs]] | None = None
    work: Callable[[Inputs], Work] | None = None
    from_audio: Callable[[np.ndarray, int], Inputs] | None = None
    effects: tuple[Effect, ...] = ()
    version: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        if not self.name.isidentifier():
            raise ValueError(f"component name: expected a Python identifier, found {self.name!r}")
        if not names or len(set(names)) != len(names):
            raise ValueError(f"component {self.name}: expected cases with distinct names, found {names}")
        if sum(case.quick for case in self.cases) != 1:
            raise ValueError(f"component {self.name}: expected exactly one quick case, found {[c.name for c in self.cases if c.quick]}")
        if not self.policy:
            raise ValueError(f"component {self.name}: expected a kind of parity for at least one output, found none")

    def case(self, name: str) -> Case:
        """The case of that name; KeyError lists the known ones."""
        for case in self.cases:
            if case.name == name:
                return case
        raise KeyError(f"component {self.name} has no case {name!r}; known: {', '.join(c.name for c in self.cases)}")


# How it is computed.


@dataclass(frozen=True)
class Requires:
    """What must be there before `load` can work; checked without importing anything.

    packages: import names. cpu_flags: as /proc/cpuinfo spells them. device: "cuda" or "mps". native: module name of a
    compiled kernel of the plugin. What is named is imported by load() or, a package, by the first call: a row that never
    does is not trusted. realtime: the compiled module behind Implementation.realtime, which a real-time proof alone needs.
    why_not: a cheap extra check that returns the reason for unavailability, or None.
    """

    packages: tuple[str, ...] = ()
    cpu_flags: tuple[str, ...] = ()
    device: Literal["cuda", "mps"] | None = None
    native: str | None = None
    realtime: str | None = None
    why_not: Callable[[], str | None] | None = None


@dataclass(frozen=True)
class Variant:
    """Settings under which an implementation is measured in a row of its own; `parity` may replace outputs' policies by
    Approximate only."""

    settings: Mapping[str, Any]
    parity: Mapping[str, Approximate] = field(default_factory=dict)


@dataclass(frozen=True)
class Implementation:
    """One way to compute a component.

    load(settings): a context manager, timed as load time, that gives `run` (or a Loaded); leaving it frees device and threads.
    settings: names of the settings it honours. clock: the clock that suits its regression verdict.
    variants: further rows beside the plain one. plain: False where every row is a variant (a device that has no float64
    cannot promise what the policy asks): then its default settings are not measured. realtime(settings): a context manager that
    gives the Callback for blocks of settings.audio_buffer samples at settings.sample_rate Hz; leaving it ends its threads.
    """

    component: str
    name: str
    role: Role
    load: Callable[[Settings], AbstractContextManager[Run]]
    requires: Requires = Requires()
    clock: ClockName = "wall"
    settings: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    plain: bool = True
    realtime: Callable[[Settings], AbstractContextManager[Callback]] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.plain and (self.role == "reference" or not self.variants):
            raise ValueError(f"{self.component}.{self.name}: plain=False needs a variant, and a reference always has its plain row")
        if self.role not in ("reference", "optimized", "peer"):
            raise ValueError(f"{self.component}.{self.name}: role must be reference, optimized or peer, found {self.role!r}")
        for variant in self.variants:
            unknown = set(variant.settings) - set(self.settings)
            if unknown:
                raise ValueError(f"{self.component}.{self.name}: a variant uses settings it does not honour: {sorted(unknown)}")
            for output, parity in variant.parity.items():
                if not isinstance(parity, Approximate):
                    found = type(parity).__name__
                    raise TypeError(f"{self.component}.{self.name}: variant parity of {output!r} must be Approximate, found {found}")
