"""Which back-ends of a component work here: each is compared with the reference once, in the process that is to use it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Backends:
    """The back-ends of `component`, by name.

    fastest_first: what "auto" tries. compare: (name) -> how its results differ from the reference's by more than is allowed, or None;
    what it raises is a reason too.
    """

    component: str
    names: tuple[str, ...]
    fastest_first: tuple[str, ...]
    compare: Callable[[str], str | None]
    _problems: dict[str, str | None] = field(init=False, default_factory=dict)
    _warned: set[str] = field(init=False, default_factory=set)

    def problems(self) -> dict[str, str | None]:
        """Every back-end: None where it works and agrees with the reference here, else the reason. Imports all that are installed."""
        return {name: self.problem(name) for name in self.names}

    def problem(self, name: str) -> str | None:
        """Why a back-end cannot be used, or None."""
        if name not in self._problems:
            try:
                self._problems[name] = self.compare(name)
            except ImportError as error:
                self._problems[name] = f"not installed: {error}"
            except Exception as error:
                self._problems[name] = f"{type(error).__name__}: {error}"
        return self._problems[name]

    def chosen(self, backend: str) -> str:
        """`backend` itself, or the first that works for "auto"; only a missing one is passed over in silence.

        ValueError: there is none of that name. RuntimeError: it does not work here, and why.
        """
        if backend == "auto":
            return self._fastest()
        if backend not in self.names:
            raise ValueError(f"{self.component}: backend: expected auto or one of {', '.join(self.names)}, found {backend!r}")
        if reason := self.problem(backend):
            raise RuntimeError(f"{self.component}: backend {backend} does not work here: {reason}")
        return backend

    def forget(self) -> None:
        """Compare anew when they are next asked for."""
        self._problems.clear()
        self._warned.clear()

    def _fastest(self) -> str:
        for name in self.fastest_first:
            reason = self.problem(name)
            if reason is None:
                return name
            if name not in self._warned and "not installed" not in reason:
                self._warned.add(name)  # once; the caller's caller called the library
                warnings.warn(f"{self.component}: {name} is passed over: {reason}", RuntimeWarning, stacklevel=4)
        reasons = "; ".join(f"{name}: {self.problem(name)}" for name in self.fastest_first)
        raise RuntimeError(f"{self.component}: no backend works here: {reasons}")
