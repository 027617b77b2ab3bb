"""Measure checkpoints: `python -m implementations.small_models.benchmark --models DIR --iterations 1000`.

DIR holds <model>.json (RTNeural), .safetensors or .pt files; every implementation that works here serves the models that are there, and
their chain where all five are. The harness measures (`harness run`, in fresh processes): parity first, and no times of what differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from implementations.small_models import checkpoints, data
from implementations.small_models.component import PIPELINE, examples, members
from implementations.small_models.models import MODELS
from implementations.small_models.reference import run_model
from implementations.small_models.serving import outputs_of
from implementations.small_models.weights import BadWeights, Weights

CASES = ("frame", "offline-1024")
"""Latency is of the first, what an approximation loses of the task of the second."""

CALLS_PER_LAUNCH, LAUNCHES = 1000, 3
"""Calls that the harness stamps one by one in each fresh process, and the fewest processes that give an interval."""

COLUMNS = ("row", "parity", "p50 us", "p95 us", "p99 us", "cold us", "load ms", "weights kB", "peak MB", "grows MB", "accuracy lost")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was measured; the exit code is that of `harness run`, 2 for checkpoints or options that cannot be."""
    options = _parser().parse_args(arguments)
    try:
        if options.iterations < 1:
            raise BadWeights(f"--iterations: expected at least 1, found {options.iterations}")
        weights = checkpoints.load(options.models)
    except BadWeights as error:
        sys.stderr.write(f"benchmark: {error}\n")
        return 2
    sys.stdout.write("\n".join(about(weights, options.models)) + "\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        code, report = _measure(weights, options, Path(folder))
    if report is None:
        return code
    sys.stdout.write("\n".join(table(report)) + "\n")
    return code


def about(weights: Mapping[str, Weights], where: Path) -> list[str]:
    """What the checkpoints hold, and the share of right answers that they give on procedural music."""
    lines = [f"{where}: {len(weights)} of {len(MODELS)} models"]
    for name, score in accuracies(weights).items():
        count = sum(model.parameters() for model in members(name))
        lines.append(f"  {name}: {count:,} parameters, {4 * count / 1e6:.2f} MB in float32; right on procedural music: {score}")
    if len(weights) == len(MODELS):
        lines.append("  rows with model_size=medium, small: half pruned networks and students that come with the package, for comparison")
    if missing := [name for name in MODELS if name not in weights]:
        lines.append(f"  no weights of {', '.join(missing)}, so the chain is not measured")
    return lines


def accuracies(weights: Mapping[str, Weights]) -> dict[str, str]:
    """By component that can be served: the reference's share of right answers, of the chain one by model."""
    found = {}
    for component in _components(weights):
        inputs = examples(component, 1024, 0)
        stages = {model.name: _stage(model.name, weights) for model in members(component)}
        outputs = outputs_of(inputs["features"], False, stages)
        scores = [f"{data.accuracy(name, output, inputs['labels'][name]):.3f}" for name, output in outputs.items()]
        found[component] = " ".join(scores)
    return found


def table(report: Mapping[str, Any]) -> list[str]:
    """Lines of the harness's JSON report: a row for each component and implementation, with times of one frame."""
    rows = [row for row in report["rows"] if row["case"] == CASES[0]]
    lost = {(row["component"], row["row"]): row["metrics"].get("accuracy_drop", {}) for row in report["rows"] if row["case"] == CASES[1]}
    lines: list[Sequence[str]] = [COLUMNS]
    for row in rows:
        metrics = row["metrics"]
        lines.append(
            (
                f"{row['component']}.{row['row']}",
                _parity(row),
                *(_number(metrics.get(f"latency_{share}_seconds"), 1e6) for share in ("p50", "p95", "p99")),
                _number(metrics.get("cold_seconds"), 1e6),
                _number(metrics.get("load_seconds"), 1e3),
                _number(metrics.get("weight_bytes"), 1e-3),
                _number(metrics.get("peak_bytes"), 1e-6),
                _number(metrics.get("growth_bytes"), 1e-6),
                _number(lost.get((row["component"], row["row"])), 1),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    shown = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    absent = [f"not here: {item['component']}.{item['implementation']}: {item['reason']}" for item in report["unavailable"]]
    return ["", *shown, *_reasons(report["rows"]), *dict.fromkeys(absent)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m implementations.small_models.benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, default=checkpoints.SHIPPED, metavar="DIR", help="checkpoints (default: the shipped ones)")
    parser.add_argument("--iterations", type=int, default=1000, metavar="N", help="calls to be timed one by one (default 1000)")
    parser.add_argument("--only", action="append", metavar="NAME", help="this implementation, beside the reference (repeatable)")
    return parser


def _measure(weights: Mapping[str, Weights], options: argparse.Namespace, folder: Path) -> tuple[int, dict[str, Any] | None]:
    """Let the harness run on these weights; records and reference outputs are kept apart from those of the shipped ones."""
    output, names = folder / "report.json", _components(weights)
    patterns = [f"{name}.{only}" for name in names for only in options.only] if options.only else names
    launches = max(LAUNCHES, math.ceil(options.iterations / CALLS_PER_LAUNCH))
    cases = [word for case in CASES for word in ("--case", case)]
    command = [sys.executable, "-m", "harness.cli", "run", *patterns, *cases, "--launches", str(launches), "--json", str(output), "--wait"]
    kept = {"HARNESS_CACHE_FOLDER": str(folder / "cache"), "HARNESS_DATA": str(folder / "data")}
    environment = {**os.environ, **kept, checkpoints.INSTEAD: str(options.models.resolve())}
    ran = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if not output.exists():
        sys.stderr.write(ran.stdout)
        return ran.returncode or 5, None
    return ran.returncode, json.loads(output.read_text(encoding="utf-8"))


def _components(weights: Mapping[str, Weights]) -> list[str]:
    return [name for name in MODELS if name in weights] + ([PIPELINE] if len(weights) == len(MODELS) else [])


def _stage(name: str, weights: Mapping[str, Weights]) -> Any:
    return lambda features, stateful: run_model(MODELS[name], weights[name], features, stateful)


def _parity(row: Mapping[str, Any]) -> str:
    if not row["parity"]:
        return "-"
    return row["parity"][0]["kind"] if all(result["passed"] for result in row["parity"]) else "differs"


def _number(value: Mapping[str, Any] | None, scale: float) -> str:
    """A metric of the report, or a dash where it was not measured."""
    found = (value or {}).get("value")
    return f"{found * scale:.4g}" if isinstance(found, int | float) else "-"


def _reasons(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Why rows are not green, each reason once."""
    said = [
        f"{row['component']}.{row['row']} on {row['case']}: {answer['message'].splitlines()[0]}"
        for row in rows
        for answer in row["answers"]
        if answer["state"] in ("fail", "invalid", "inconclusive") and answer.get("message")
    ]
    return list(dict.fromkeys(said))


if __name__ == "__main__":
    sys.exit(main())
