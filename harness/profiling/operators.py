"""torch.profiler: which operators take the time, and every one of them on a time line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TABLE, TRACE = "operators.json", "torch-trace.json"
MOST_OPERATORS = 200
TRACED_SECONDS = 0.5
"""A time line of more is larger than what Perfetto opens with pleasure."""


@dataclass(frozen=True)
class Operator:
    """One operator over all calls: how often it ran, and the seconds it took itself on the CPU and on the device."""

    name: str
    count: int
    cpu_seconds: float
    device_seconds: float


def record(call: Callable[[], int], folder: Path) -> int:
    """Profile `call` and write TABLE and TRACE into the folder; what `call` returns. Runs in the worker."""
    import torch

    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, **_all_threads(torch)) as profiler:
        count = call()
    found = [
        Operator(
            str(event.key),
            int(event.count),
            float(event.self_cpu_time_total) / 1e6,
            float(getattr(event, "self_device_time_total", 0.0)) / 1e6,
        )
        for event in profiler.key_averages()
    ]
    found.sort(key=lambda one: -max(one.cpu_seconds, one.device_seconds))
    body = {"calls": count, "operators": [asdict(one) for one in found[:MOST_OPERATORS]]}
    (folder / TABLE).write_text(json.dumps(body), encoding="utf-8")
    profiler.export_chrome_trace(str(folder / TRACE))
    return count


def read(folder: Path) -> tuple[int, tuple[Operator, ...]]:
    """(calls, operators by what they take) of what `record` wrote."""
    body = json.loads((folder / TABLE).read_text(encoding="utf-8"))
    return int(body["calls"]), tuple(Operator(**one) for one in body["operators"])


def _all_threads(torch: Any) -> dict[str, Any]:
    """Operators that a pool of Python threads runs count too, where this torch can see them."""
    try:
        return {"experimental_config": torch._C._profiler._ExperimentalConfig(profile_all_threads=True)}
    except (AttributeError, TypeError):
        return {}
