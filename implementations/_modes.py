"""The source document's two modes, as rows that have both ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.settings import Settings


def is_lightweight(row: str, settings: Settings) -> bool:
    """Whether `row`, component.implementation, is asked for its lightweight mode; ValueError for `auto`, which a profile decides before."""
    if settings.mode == "auto":
        raise ValueError(f"{row}: mode: expected full or lightweight, found 'auto'; the profile decides it before a run")
    return settings.mode == "lightweight"
