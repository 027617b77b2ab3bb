"""Settings: what a run may turn. Typed, validated, merged from profile, environment and command line in that order."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PRECISIONS = ("float64", "float32", "int24", "float16", "bfloat16", "int16", "int8")
MODES = ("full", "lightweight", "auto")
SIZES = ("small", "medium", "large")

VARIANT_SETTINGS = ("precision", "mode", "model_size", "steps")
"""Settings that change the result: each value is a variant with its own row, series and parity."""


class ConfigurationError(ValueError):
    """What the user asked for cannot be: a wrong setting, name, file or entry. Doors answer with one line and exit code 2."""


@dataclass(frozen=True)
class Settings:
    """What is turned for one run; None leaves the implementation's own default.

    threads, workers, batch, steps: counts >= 1. affinity: CPU numbers. audio_buffer: samples. sample_rate: Hz.
    hop: samples. longest_audio: seconds. cache: keep windows, models, ... between calls. pool: keep the buffers that a call works in.
    """

    threads: int | None = None
    affinity: tuple[int, ...] | None = None
    precision: str | None = None
    mode: str | None = None
    model_size: str | None = None
    steps: int | None = None
    audio_buffer: int | None = None
    sample_rate: int | None = None
    bit_depth: int | None = None
    hop: float | None = None
    batch: int | None = None
    workers: int | None = None
    cache: bool | None = None
    pool: bool | None = None
    longest_audio: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            _check(name, value)

    def given(self) -> dict[str, Any]:
        """The settings that are not None."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) is not None}

    def merged(self, other: Settings | Mapping[str, Any]) -> Settings:
        """These settings, overridden by what `other` gives."""
        values = other.given() if isinstance(other, Settings) else dict(other)
        return Settings(**{**self.given(), **values})

    def only(self, names: Iterable[str]) -> Settings:
        """These settings, reduced to the given names: what an implementation honours."""
        keep = set(names)
        return Settings(**{k: v for k, v in self.given().items() if k in keep})

    def variant(self) -> dict[str, Any]:
        """The given settings that change the result."""
        return {name: value for name, value in self.given().items() if name in VARIANT_SETTINGS}

    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of the given settings in canonical JSON."""
        return hashlib.sha256(json.dumps(self.given(), sort_keys=True).encode()).hexdigest()[:12]


def label(name: str, settings: Mapping[str, Any]) -> str:
    """`native[precision=float32]`: an implementation's name with the settings that make its row."""
    inside = ",".join(f"{key}={show(value)}" for key, value in sorted(settings.items()))
    return f"{name}[{inside}]" if inside else name


def parse(name: str, text: str) -> Any:
    """The value of setting `name` written as text, on the command line or in the environment.

    ConfigurationError says which setting, what was expected and what was found.
    """
    if name not in _RULES:
        raise ConfigurationError(f"unknown setting {name!r}; known: {', '.join(_RULES)}")
    kind = _RULES[name][0]
    try:
        if kind is bool:
            value: Any = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.strip().lower()]
        elif kind is tuple:
            value = tuple(int(part) for part in text.split("+"))
        elif kind is float:
            value = float(text)
        else:
            value = kind(text.strip())
    except (ValueError, KeyError):
        raise ConfigurationError(f"setting {name}: expected {_RULES[name][1]}, found {text!r}") from None
    _check(name, value)
    return value


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from HARNESS_<NAME> variables, for example HARNESS_THREADS=2; ConfigurationError where one is misspelt."""
    environ = os.environ if environ is None else environ
    for variable in environ:
        _check_spelling(variable)
    found = {}
    for name in _RULES:
        text = environ.get(f"HARNESS_{name.upper()}")
        if text:
            try:
                found[name] = parse(name, text)
            except ConfigurationError as error:
                raise ConfigurationError(f"environment variable HARNESS_{name.upper()}: {error}") from None
    return Settings(**found)


def _check_spelling(variable: str) -> None:
    """A misspelt setting would be ignored in silence; variables of other names may be a plugin's."""
    name = variable.removeprefix("HARNESS_").lower()
    if variable.startswith("HARNESS_") and name not in _RULES and (close := difflib.get_close_matches(name, _RULES, n=1, cutoff=0.8)):
        raise ConfigurationError(f"environment variable {variable}: no such setting; did you mean HARNESS_{close[0].upper()}?")


# name -> (type, what is expected in words, test)
_RULES: dict[str, tuple[type, str, Any]] = {
    "threads": (int, "a whole number from 1 to 1024", lambda v: 1 <= v <= 1024),
    "affinity": (tuple, "CPU numbers joined by '+', for example 0+1", lambda v: len(v) > 0 and all(type(c) is int and c >= 0 for c in v)),
    "precision": (str, "one of " + ", ".join(PRECISIONS), lambda v: v in PRECISIONS),
    "mode": (str, "one of " + ", ".join(MODES), lambda v: v in MODES),
    "model_size": (str, "one of " + ", ".join(SIZES), lambda v: v in SIZES),
    "steps": (int, "a whole number from 1 to 10000", lambda v: 1 <= v <= 10000),
    "audio_buffer": (int, "samples, a whole number from 16 to 16777216", lambda v: 16 <= v <= 1 << 24),
    "sample_rate": (int, "Hz, a whole number from 1000 to 768000", lambda v: 1000 <= v <= 768000),
    "bit_depth": (int, "8, 16, 24 or 32", lambda v: v in (8, 16, 24, 32)),
    "hop": (float, "samples, a number above 0", lambda v: 0 < v < 1 << 24),
    "batch": (int, "a whole number from 1 to 65536", lambda v: 1 <= v <= 65536),
    "workers": (int, "a whole number from 1 to 1024", lambda v: 1 <= v <= 1024),
    "cache": (bool, "true or false", lambda v: True),
    "pool": (bool, "true or false", lambda v: True),
    "longest_audio": (float, "seconds, a number above 0", lambda v: 0 < v < 1e7),
}


NAMES = tuple(_RULES)
"""The names of all settings."""


def _check(name: str, value: Any) -> None:
    kind, expected, test = _RULES[name]
    right_type = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
    if kind is not bool and isinstance(value, bool):
        right_type = False
    if not right_type or not test(value):
        raise ConfigurationError(f"setting {name}: expected {expected}, found {value!r}")


def expected(name: str) -> str:
    """What setting `name` takes, in words."""
    return _RULES[name][1]


def same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are equal; what was read from JSON is a list where Settings have a tuple."""
    return (list(one) if isinstance(one, tuple) else one) == (list(other) if isinstance(other, tuple) else other)


def show(value: Any) -> str:
    """A setting's value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
