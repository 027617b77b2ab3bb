"""Proves that an optimized audio-ML implementation computes the same, is faster, meets its budget, and stays so.

The names below are what a plugin needs; everything else is behind `harness run` and its fellows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.callback import Callback
    from harness.component import (
        Approximate,
        Case,
        Close,
        Component,
        Effect,
        Identical,
        Implementation,
        Metric,
        Requires,
        Unit,
        Variant,
        Work,
    )

__all__ = [
    "Approximate",
    "Callback",
    "Case",
    "Close",
    "Component",
    "Effect",
    "Identical",
    "Implementation",
    "Metric",
    "Requires",
    "Unit",
    "Variant",
    "Work",
]


def __getattr__(name: str) -> Any:
    """Import the contract when it is first asked for: pytest imports this package in projects that never use it."""
    if name in __all__:
        from harness import callback, component

        return getattr(callback if name == "Callback" else component, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
