"""The history as charts: one line per series, its levels and the commits at which they changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.history import Trend
from harness.report import text
from harness.report.html.markup import tag
from harness.report.html.plots import Plot
from harness.report.html.sheet import COLOURS, Draw, Sheet, mark
from harness.report.html.sheet import render as draw
from harness.report.trend import ALWAYS, LEAST_SPAN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SERIES = 24
"""Of one chart; those with a step come first."""

_HEIGHT = 30.0


def render(trends: Sequence[Trend], name: str) -> list[Plot]:
    """One chart per component. Series of seconds per call always, of other metrics where they have a step."""
    shown = [trend for trend in trends if trend.key.metric == ALWAYS or trend.steps]
    plots = []
    for number, component in enumerate(dict.fromkeys(trend.key.component for trend in shown)):
        mine = sorted((trend for trend in shown if trend.key.component == component), key=lambda t: (not t.steps, t.key.case))
        plots.append(_plot(component, mine, f"{name}c{number}"))
    return plots


def _plot(component: str, trends: Sequence[Trend], name: str) -> Plot:
    sheet, said, kept = Sheet(), [], trends[:MOST_SERIES]
    commits = kept[0].commits
    for trend in kept:
        row = f"{trend.key.implementation} on {trend.key.case}" + ("" if trend.key.metric == ALWAYS else f": {trend.key.metric}")
        newest = "failed" if trend.newest is None else f"{text.significant(trend.newest)}x"
        change = "" if trend.change is None else f" {trend.change:+.1%}"
        sheet.label(row, newest + change)
        if len(commits) > 1:  # of a single one there is a figure, and nothing to draw
            sheet.line(_line(trend), height=_HEIGHT + 6)
        said.append(f"{row} {newest}{change}" + "".join(f", {step.change:+.1%} at {step.commit[:8]}" for step in trend.steps))
    ends = sorted({0, len(commits) - 1})
    says = f"Chart of the history of {component}: {'; '.join(said[:12])}. The table below has every change."
    # Half a commit of room at either end, where the first and the last mark, and a single one, would be cut.
    drawing = draw(sheet, name, says, -0.5, len(commits) - 0.5, form=lambda x: commits[int(x)][:7], log=False, words=0, places=ends)
    many = f"{len(commits)} commits, oldest at the left; "
    legend = tag("span", many, tag("i", "│", class_="k-fail"), " slower, ",
                 tag("i", "│", class_="k-pass"), " faster from here; newest over the reference, change against its level")  # fmt: skip
    legend = legend if len(commits) > 1 else tag("span", "1 commit: over the reference; a second one makes a line")
    left = len(trends) - len(kept)
    return Plot(component, drawing, legend, f"{left} more series in asv's dashboards" if left else "")


def _line(trend: Trend) -> Draw:
    place = {commit: number for number, commit in enumerate(trend.commits)}
    measured = [(place[point.commit], math.log(point.value)) for point in trend.points if point.value]
    failed = [place[point.commit] for point in trend.points if point.value is None]
    low, high = (pick((value for _, value in measured), default=0.0) for pick in (min, max))
    span = max(high - low, math.log1p(LEAST_SPAN))
    middle = (low + high) / 2

    def draw(axes: Axes, y: float) -> None:
        def height(value: float) -> float:
            return y - (value - middle) / span * (_HEIGHT - 6)

        mark(axes, [x for x, _ in measured], [height(v) for _, v in measured], marker="o", color=COLOURS["accent"], lw=1.1, ms=2.6)
        mark(axes, failed, [y] * len(failed), ls="", marker="x", color=COLOURS["fail"], ms=5)
        starts = [place[step.commit] for step in trend.steps]
        for step, start, end in zip(trend.steps, starts, [*starts, len(trend.commits)][1:], strict=True):
            colour = COLOURS["fail" if step.change > 0 else "pass"]
            mark(axes, [start - 0.5] * 2, [y - _HEIGHT / 2, y + _HEIGHT / 2], color=colour, lw=1.4)
            mark(axes, [start - 0.4, end - 0.6], [height(math.log(step.after))] * 2, color=colour, lw=4, alpha=0.35)

    return draw
