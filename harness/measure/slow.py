"""What took too long for warm calls on this machine, remembered so that the next plan can say so."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.files import data_folder, write_atomically
from harness.measure.effort import DEFAULT, Effort
from harness.record import Planned


def reason(seconds: float, effort: Effort) -> str:
    """Why a row has no warm calls, empty where it has."""
    longest = effort.longest_call
    return f"one call takes {seconds:.1f} s, more than {longest:g} s: only its first call is timed" if seconds > longest else ""


def remembered(machine: str) -> dict[str, float]:
    """Seconds of a call by `name_of(row)`; empty where nothing is known, or the file is damaged."""
    try:
        found = json.loads((data_folder() / f"slow-{machine}.json").read_text(encoding="utf-8"))
        return {str(name): float(seconds) for name, seconds in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, OverflowError):
        return {}


def remember(machine: str, seconds: Mapping[str, float]) -> None:
    """Keep what is slow, forget what no longer is. A folder that cannot be written only costs the next plan its note."""
    before = remembered(machine)
    now = {name: value for name, value in {**before, **seconds}.items() if value > DEFAULT.longest_call}
    if now != before:
        try:
            write_atomically(data_folder() / f"slow-{machine}.json", json.dumps(now, indent=1))
        except OSError:
            return


def name_of(row: Planned) -> str:
    """Component, row and case."""
    return f"{row.component}.{row.row} {row.case}"
