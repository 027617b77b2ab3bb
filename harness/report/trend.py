"""Trends of the history in a terminal: one line per series, 80 columns, without colour, and in ASCII where it must be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.history import Step, Trend
from harness.report.text import clean, significant

ALWAYS = "seconds_per_call"
"""Of the other metrics a series is drawn where it has a step: they are many, and mostly say the same."""

BARS, DIGITS = "▁▂▃▄▅▆▇█", "0123456789"
FAILED, STEP, GAP = "x", "|", "."
LEAST_SPAN = 0.1
"""Relative: less than this from lowest to highest does not fill the height, so that quiet series look quiet."""

WIDTH = 80
_SHORTEST = 12


def render(machine: str, trends: Sequence[Trend], console: Console, *, judged: bool = True) -> None:
    """Print the trends of a machine. judged: whether a verdict over them follows; times of another machine are never judged here."""
    ascii_only = console.options.ascii_only
    shown = [trend for trend in trends if trend.key.metric == ALWAYS or trend.steps]
    console.print(Text(f"trends on {clean(machine)}", style="bold"))
    console.print(Text("time over the reference's in the same session, less is better" + ("" if judged else "; drawn, not judged here")))
    for component, case in dict.fromkeys((trend.key.component, trend.key.case) for trend in shown):
        console.print(Text(f"{clean(component)} / {clean(case)}", style="cyan"))
        mine = [trend for trend in shown if (trend.key.component, trend.key.case) == (component, case)]
        longest = max(len(_name(trend)) for trend in mine)
        for trend in mine:
            for line in lines(trend, longest, ascii_only=ascii_only):
                console.print(Text(line), soft_wrap=True)
    for line in _legend(shown, len(trends) - len(shown), ascii_only=ascii_only):
        console.print(Text(line))
    console.print()


def lines(trend: Trend, longest: int = 0, *, ascii_only: bool = False, width: int = WIDTH) -> list[str]:
    """A series: name, its commits as bars (digits in ASCII) with the steps between them, newest value, change; then its steps.

    longest: of the names that it stands among.
    """
    name, newest, change = _name(trend), trend.newest, trend.change
    figures = f"{'failed' if newest is None else f'{significant(newest)}x':>9} {'' if change is None else f'{change:+.1%}':>9}"
    column = max(len(name), longest) + 2
    if width - column - 2 - len(figures) - 1 < _SHORTEST:
        column = max(0, width - 2 - len(figures) - 1 - _SHORTEST)
    above = [f"  {name}"] if len(name) + 2 > column else []
    drawn = sparkline(trend, width - column - 2 - len(figures) - 1, ascii_only=ascii_only)
    found = [*above, f"  {'' if above else name:{column}}{drawn}".ljust(width - len(figures)) + figures]
    return found + [f"    step {_described(step)}" for step in trend.steps]


def sparkline(trend: Trend, width: int, *, ascii_only: bool = False) -> str:
    """The newest commits that fit: a mark before the first of each level, a cross where it failed, a dot where there is no point."""
    marks, alphabet = {step.commit for step in trend.steps}, DIGITS if ascii_only else BARS
    values: dict[str, list[float | None]] = {}
    for point in trend.points:
        values.setdefault(point.commit, []).append(point.value)
    logs = [math.log(point.value) for point in trend.points if point.value]
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    span = max(high - low, math.log1p(LEAST_SPAN))
    low = (low + high - span) / 2
    signs = ""
    for commit in trend.commits:
        signs += STEP if commit in marks else ""
        # Several environments of one commit: the worst counts.
        found = [math.inf if value is None else value for value in values.get(commit, [])]
        worst = max(found, default=0.0)
        drawn = round((math.log(worst) - low) / span * (len(alphabet) - 1)) if 0 < worst < math.inf else 0
        signs += GAP if not found else FAILED if worst == math.inf else alphabet[drawn]
    return signs if len(signs) <= width else "<" + signs[1 - width :]


def _name(trend: Trend) -> str:
    return clean(trend.key.implementation + ("" if trend.key.metric == ALWAYS else f" {trend.key.metric}"))


def _described(step: Step) -> str:
    points = "its newest point alone" if step.points == 1 else f"{step.points} points"
    return f"{step.change:+.1%} at {step.commit[:8]} (after {step.previous_commit[:8]}; {points}, p {step.p:.2g})"


def _legend(shown: Sequence[Trend], quiet: int, *, ascii_only: bool) -> list[str]:
    if not shown:
        return ["no ratio to a reference is in the history: nothing to draw"]
    alphabet = DIGITS if ascii_only else BARS
    signs = f"{alphabet[0]} to {alphabet[-1]}: lowest to highest of its series ({LEAST_SPAN:.0%} at least), {STEP} a step"
    more = f"{FAILED} failed, {GAP} not measured; at the end of a line: the newest value, its change from the level before it"
    found = [signs, more]
    found += [] if any(trend.steps for trend in shown) else ["no change of level in the history"]
    return found + ([f"{quiet} series of other metrics, without a step, are not drawn"] if quiet else [])
