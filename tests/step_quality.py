"""How often a slow-down in a history is found and how often one is imagined: ours and asv's own detector on the same series.

    python tests/step_quality.py [--series 200] [--output docs/history.md]      (ten minutes on two cores)

asv is used as `asv publish` uses it: detect_steps over the series, then detect_regressions with its default min_size, under its
default threshold of 5 % and under the 2 % that our asv.conf.json sets for ratios.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import platform
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from asv.step_detect import detect_regressions, detect_steps
from histories import noise, ratios
from scipy.stats import beta

from harness import history
from harness.history.steps import RECENT

POINTS = (12, 24, 48)
NOISES = (0.005, 0.01, 0.02, 0.03)
CHANGES = (0.03, 0.05, 0.10)
PLACES = ("newest", "2nd newest", "5th newest", "middle")
"""Where the new level begins."""
DETECTORS = ("harness", "asv at 2 %", "asv at 5 %")
NEAR = 2
"""A slow-down counts as found where it is reported at most so many points beside its place."""


@dataclass(frozen=True)
class Cell:
    """One kind of series. change 0: nothing changed, then `place` means nothing."""

    points: int
    noise: float
    heavy: bool
    change: float = 0.0
    place: str = "newest"

    @property
    def at(self) -> int:
        """The first point of the new level."""
        after = {"newest": 1, "2nd newest": 2, "5th newest": 5, "middle": self.points // 2}
        return self.points - after[self.place]

    def series(self, count: int) -> Iterator[np.ndarray]:
        """The same ones at each call."""
        place = PLACES.index(self.place)
        generator = np.random.default_rng([self.points, round(1000 * self.noise), self.heavy, round(100 * self.change), place])
        for _ in range(count):
            values = 0.04 * noise(generator, self.points, self.noise, self.heavy)
            values[self.at :] *= 1 + self.change
            yield values


def slow_downs(values: np.ndarray) -> dict[str, list[int]]:
    """Where each detector reports a slow-down: the first point after it."""
    own = [int(step.commit, 16) for step in history.steps(ratios(values)) if step.change > 0]
    steps = detect_steps([float(value) for value in values])
    found = {"harness": own}
    for name, threshold in zip(DETECTORS[1:], (0.02, 0.05), strict=True):
        found[name] = [after for _, after, _, _ in detect_regressions(steps, threshold)[2] or ()]
    return found


def hits(cell: Cell, count: int) -> dict[str, int]:
    """In how many of `count` series each detector finds the slow-down, or imagines one where there is none."""
    total = dict.fromkeys(DETECTORS, 0)
    for values in cell.series(count):
        for name, places in slow_downs(values).items():
            total[name] += any(not cell.change or abs(place - cell.at) <= NEAR for place in places)
    return total


def lives(cell: Cell, count: int) -> dict[str, int]:
    """In how many of `count` histories without a change an alarm is raised at any commit from the 6th on, judged one by one."""
    total = dict.fromkeys(DETECTORS, 0)
    for values in cell.series(count):
        raised = {name for end in range(6, cell.points + 1) for name, places in slow_downs(values[:end]).items() if places}
        for name in raised:
            total[name] += 1
    return total


def interval(count: int, of: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson 1934)."""
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(0.975, count + 1, of - count))
    return low, high


def share(count: int, of: int) -> str:
    """A share in percent with its exact interval."""
    low, high = interval(count, of)
    digits = 1 if of > 200 else 0
    return f"{100 * count / of:.{digits}f} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def shape(heavy: bool) -> str:
    return "heavy tails" if heavy else "normal"


def document(series: int, workers: int) -> str:
    """The page. series: per cell with a slow-down; three times as many without one; half as many histories judged commit by commit."""
    quiet, whole = 3 * series, series // 2
    kinds = [(points, level) for points in POINTS for level in NOISES]
    still = [Cell(points, level, heavy) for heavy in (False, True) for points, level in kinds]
    lived = [Cell(48, level, heavy) for heavy in (False, True) for level in (0.01, 0.03)]
    every = itertools.product(kinds, (False, True), CHANGES, PLACES)
    stepped = [Cell(*kind, heavy, change, place) for kind, heavy, change, place in every]
    with ProcessPoolExecutor(workers) as pool:
        of_lived = pool.map(lives, lived, [whole] * len(lived))
        of_still = pool.map(hits, still, [quiet] * len(still))
        of_stepped = pool.map(hits, stepped, [series] * len(stepped))
        found = dict(zip(stepped, of_stepped, strict=True))
        imagined, ever = dict(zip(still, of_still, strict=True)), dict(zip(lived, of_lived, strict=True))
    lines = [*INTRODUCTION, "", "## Nothing changed: imagined slow-downs", ""]
    lines += [f"Percent of {quiet} series, with the exact 95 % interval.", ""]
    rows = [(str(c.points), f"{100 * c.noise:g} %", shape(c.heavy), *(share(n, quiet) for n in imagined[c].values())) for c in still]
    lines += table(("points", "noise", "shape", *DETECTORS), rows)
    lines += ["", f"Judged at each commit from the 6th to the 48th: percent of {whole} histories that were ever red without a reason.", ""]
    rows = [(f"{100 * c.noise:g} %", shape(c.heavy), *(share(n, whole) for n in ever[c].values())) for c in lived]
    lines += table(("noise", "shape", *DETECTORS), rows)
    for change, heavy in itertools.product(CHANGES, (False, True)):
        lines += ["", f"## A slow-down of {100 * change:g} %, {shape(heavy)}: found", ""]
        lines += [f"Percent of {series} series: {' / '.join(DETECTORS)}; above: the place where the new level begins.", ""]
        rows = []
        for points, level in kinds:
            cells = [found[Cell(points, level, heavy, change, place)].values() for place in PLACES]
            rows.append((str(points), f"{100 * level:g} %", *(" / ".join(share(n, series) for n in cell) for cell in cells)))
        lines += table(("points", "noise", *PLACES), rows)
    return "\n".join(lines) + "\n"


INTRODUCTION = f"""# Slow-downs in a history: how many are found, how many imagined

`harness judge --history` looks for changes of level in the ratio of each implementation to its reference (`harness/history/steps.py`).
This page holds its detector against asv's own, which draws the regressions of `asv publish`, on the same synthetic series: a constant
ratio, multiplied by noise of the given standard deviation (normal, or Student's t with 4 degrees of freedom), and by a step.

- asv {importlib.metadata.version("asv")}: `detect_steps`, then `detect_regressions` with its default `min_size`, under its default
  threshold (5 %) and under the 2 % that `asv.conf.json` sets for ratios here. All points weigh the same.
  Under 5 % it leaves out smaller slow-downs by intent; 2 % is what is fair to compare.
- harness: `history.steps` with its defaults (1 % false alarms, changes of at least 2 %), on one series at a time.
- Only slow-downs count. One is found where it is reported at most {NEAR} points beside its place; one that is reported elsewhere is not.
  Reports in series without a step are imagined.
- A slow-down that is found turns `harness judge --history` red while it is the last step of its series and at most {RECENT} points old;
  then it is the level that later points are held against.

Written by `python tests/step_quality.py` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} with NumPy {np.__version__},
Python {platform.python_version()}; seeded, so that the same versions give the same page. `tests/test_step_quality.py` repeats a part of it.
""".splitlines()


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--series", type=int, default=200, help="per cell (default 200)")
    options.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    options.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "docs" / "history.md")
    given = options.parse_args()
    text = document(given.series, given.workers)
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
