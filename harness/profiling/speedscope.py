"""Profiles in the file format of speedscope (https://www.speedscope.app/file-format-schema.json); pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.profiling.stacks import Frame, Profile

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def document(name: str, profiles: Sequence[Profile], *, unit: str) -> str:
    """One file that holds the profiles side by side. unit: "milliseconds" or "bytes"."""
    numbers: dict[Frame, int] = {}
    bodies = [_body(one, numbers, unit) for one in profiles]
    frames = [_frame(frame) for frame in numbers]
    return json.dumps(
        {"$schema": SCHEMA, "name": name, "exporter": "audio-perf-harness", "shared": {"frames": frames}, "profiles": bodies}
    )


def _body(profile: Profile, numbers: dict[Frame, int], unit: str) -> dict[str, Any]:
    # The order is free: sorted, equal callers lie side by side also where speedscope shows time from left to right.
    stacks = sorted(profile.weights.items(), key=lambda item: [frame.words for frame in item[0]])
    samples = [[numbers.setdefault(frame, len(numbers)) for frame in stack] for stack, _ in stacks]
    weights = [value for _, value in stacks]
    return {
        "type": "sampled",
        "name": profile.name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {"name": frame.name, **({"file": frame.file} if frame.file else {}), **({"line": frame.line} if frame.line else {})}
