"""Specimens that are slower by a known share: built, calibrated on the gate's clock, measured anew, put before the gate and its peers."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import measure, registry, stats
from harness.gate import compare, peers, selftest, session
from harness.gate.expected import expected
from harness.gate.margins import Margins
from harness.gate.session import Sides
from harness.gate.sides import Side, build, project_distribution
from harness.gate.sources import git
from harness.measure.process import pins, without_python
from harness.settings import Settings

GATE = "harness gate"
SLOWER = (0.03, 0.05, 0.10)
VERDICT_SECONDS = 120.0

APART = ("quality", "tally", "door")
"""Modules of the gate that have no part in the verdicts here: two count them, one starts the program that gives them to a user."""

UNTOUCHED = ("load_seconds", "peak_bytes")
"""Metrics that a slower call leaves as they are; its latency is slower too."""

LAUNCH_SECONDS = 2.0
CALIBRATION_LAUNCHES, PROOF_LAUNCHES = (6, 20), 12
"""Processes that measure how much longer a call takes: one lies otherwise in memory than the next."""


@dataclass(frozen=True)
class Specimen:
    """A slow-down as built. extra: the share of sines that it computes more. share, low, high: by which its calls take longer.

    That is measured apart from the calibration that gave `extra`, over `launches` of fresh processes, with its 95 % interval.
    """

    case: str
    slower: float
    extra: float
    share: float
    low: float
    high: float
    launches: int


@dataclass(frozen=True)
class Judgement:
    """What one tool says of a specimen: its state for the time of a call, the worst one of the metrics that are equal, and why."""

    tool: str
    state: str
    other: str = "pass"
    found: float | None = None
    launches: int | None = None
    reason: str = ""


class Trials:
    """Built specimens: base, a second build of it, and a head for each slow-down, each a commit of a repository of their own."""

    def __init__(self, folder: Path, *, machine: str, profile: str) -> None:
        self._folder = folder
        self._repository = selftest.specimen(folder / "repository")
        commit = git(self._repository, "rev-parse", "HEAD").strip()
        self._base, self._copy = self._build("base", commit), self._build("copy", commit)
        # The specimen is installed nowhere: this program finds it where its workers do.
        sys.path.insert(0, str(self._base.folder))
        self._registry = registry.discover()
        patterns, cases = [f"{selftest.NAME}.kernel"], tuple(selftest.CASES)
        self._whole = measure.plan(self._registry, Settings(), patterns, machine=machine, profile=profile, cases=cases)

    def calibrate(self, case: str) -> list[Specimen]:
        """The slow-downs of a case: a call also costs what does not grow with its sines, and processors differ. A minute and a half."""
        extras = list(SLOWER)
        for launches in CALIBRATION_LAUNCHES:  # twice, for the cost is not quite in proportion: the last few sines are computed one by one
            ratios = self._ratios(case, extras, launches)
            extras = [extra * slower / (stats.median(column) - 1) for slower, extra, column in zip(SLOWER, extras, ratios, strict=True)]
        made = []
        for slower, extra, column in zip(SLOWER, extras, self._ratios(case, extras, PROOF_LAUNCHES), strict=True):
            ratio = stats.over_launches(column)
            low, high = (ratio.point if end is None else end for end in (ratio.low, ratio.high))
            made.append(Specimen(case, slower, extra, ratio.point - 1, low - 1, high - 1, PROOF_LAUNCHES))
        return made

    def slow_down(self, specimens: Sequence[Specimen]) -> None:
        """Build the heads: equal code, and each of the slow-downs."""
        self._heads = {0.0: self._head(0.0, {})}
        for slower in SLOWER:
            self._heads[slower] = self._head(slower, {one.case: one.extra for one in specimens if one.slower == slower})
        by_commit = {side.commit: side for side in (self._base, *self._heads.values())}
        self._peers = peers.Peers(self._folder / "peers", self._repository, by_commit)

    def gate(self, case: str, slower: float) -> Judgement:
        """The gate's verdict on head, slower than base by that share."""
        head = self._heads[slower]
        one = expected(self._whole, head, self._base).plan
        plan = dataclasses.replace(one, planned=tuple(row for row in one.planned if row.case == case))
        found = session.run(
            plan,
            Sides(head, self._base, self._copy),
            self._registry,
            settings=Settings(),
            environment={},
            margins=Margins(),
            seconds=VERDICT_SECONDS,
        )
        decisions = {metric: decision for (_, metric), decision in found.decisions.items()}
        launches = len({(record.session, record.launch) for record in [*found.screening, *found.fresh]})
        if compare.SECONDS not in decisions:
            ended = {record.control: f"{record.outcome.kind} {record.outcome.message}" for record in found.screening}
            return Judgement(GATE, "inconclusive", launches=launches, reason=f"nothing to decide on: {ended}"[:1000])
        own = decisions.pop(compare.SECONDS)
        order = ("fail", "invalid", "inconclusive", "pass")
        same = [decision.state for metric, decision in decisions.items() if not slower or metric in UNTOUCHED]
        others = [f"{metric}: {decision.reason}" for metric, decision in sorted(decisions.items()) if decision.state != "pass"]
        point = own.interval.point if isinstance(own.interval, stats.Interval) else None
        return Judgement(GATE, own.state, min(same, key=order.index, default="pass"), point, launches, "; ".join([own.reason, *others]))

    def peer(self, package: str, case: str, slower: float, seconds: float) -> list[Judgement]:
        """What a peer says of it when it samples for so many seconds."""
        said = self._peers.ask(package, case, self._heads[slower].commit, self._base.commit, seconds)
        return [Judgement(one.tool, "fail" if one.fails else "pass", found=one.found) for one in said]

    def _ratios(self, case: str, extras: Sequence[float], launches: int) -> list[tuple[float, ...]]:
        """For each share of sines more, in every launch: how many times as long a call takes, on the processor clock."""
        command = [str(self._base.python), "-P", "-m", f"{selftest.NAME}.slowdown", str(selftest.CASES[case]), str(LAUNCH_SECONDS)]
        variables = {**without_python(), **pins(1, {}), "PYTHONPATH": os.pathsep.join(self._base.paths)}
        ratios = []
        for _ in range(launches):
            done = subprocess.run([*command, *map(str, extras)], env=variables, capture_output=True, text=True, check=True, timeout=120)
            ratios.append(json.loads(done.stdout))
        return list(zip(*ratios, strict=True))

    def _head(self, slower: float, extras: Mapping[str, float]) -> Side:
        selftest.demand(self._repository, extra={selftest.CASES[case]: extra for case, extra in extras.items()})
        git(self._repository, "commit", "--allow-empty", "-qam", f"{slower:.0%} slower")
        return self._build("head", git(self._repository, "rev-parse", "HEAD").strip())

    def _build(self, name: str, commit: str) -> Side:
        return build(project_distribution(self._repository), commit, name, cache=self._folder / "sides", note=lambda _: None)


def fingerprint() -> str:
    """Of the code that a verdict comes from; equal where only comments and layout differ. Verdicts of another gate are not counted."""
    root = Path(__file__).parents[1]
    patterns = ("gate/**/*.py", "measure/*.py", "clock.py", "paired.py", "record.py", "returned.py", "runner.py", "stats.py", "worker.py")
    files = {path for pattern in patterns for path in root.glob(pattern)}
    digest = hashlib.sha256()
    for path in sorted(files - {root / "gate" / f"{name}.py" for name in APART}):
        digest.update(path.relative_to(root).as_posix().encode() + ast.dump(ast.parse(path.read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()[:12]
