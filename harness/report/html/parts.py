"""What every section is built of: states, tables, figures, commands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from harness.report.html.markup import Child, Markup, tag
from harness.report.html.plots import Plot
from harness.stats import Interval
from harness.targets import Target

SIGNS = {
    "pass": "✓", "fail": "✕", "inconclusive": "?", "invalid": "!", "no target": "·",
    "held": "✓", "not held": "✕", "contradicts itself": "↯", "unreachable": "⊘", "needs hardware": "⌂", "not yet measured": "…",
}  # fmt: skip
"""A sign beside each state's word: colour alone would not tell everybody."""

MOST_PASSED = 100
"""Of a list: what did not pass is always there, of what passed so many. The tables of rows, and the JSON report, have all."""

DECADES = 1.5
"""From the bound in the middle of a bar to either of its ends."""


def chip(state: str, words: str = "") -> Markup:
    """A state: sign, word, colour."""
    sign = tag("span", SIGNS.get(state, "·"), aria_hidden="true")
    return tag("span", sign, " ", words or state, class_=f"chip s-{state.replace(' ', '-')}")


def section(identity: str, title: str, *children: Child, level: str = "h2", class_: str | None = None) -> Markup:
    """A part of the page with its heading, and a name that links lead to."""
    heading = tag(level, title, id=f"{identity}-title")
    return tag("section", heading, *children, id=identity, aria_labelledby=f"{identity}-title", class_=class_)


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Child]], *, class_: str = "") -> Markup:
    """A table whose rows become cards on a narrow screen; the first cell of a row is its name."""
    head = tag("thead", tag("tr", [tag("th", column, scope="col") for column in columns]))
    body = [
        tag("tr", tag("th", first, scope="row"), [tag("td", cell, data_l=name) for name, cell in zip(columns[1:], rest, strict=True)])
        for first, *rest in rows
    ]
    inside = tag("table", tag("caption", caption), head, tag("tbody", body), class_=class_ or None)
    return tag("div", inside, class_="scroll", role="group", aria_label=caption)


def lines(cell: Sequence[str]) -> Markup | None:
    """The lines of a table's cell."""
    return tag("span", [[tag("br") if number else None, line] for number, line in enumerate(cell)], class_="l") if cell else None


def kept(passed: Sequence[bool], others: str = "passed") -> tuple[list[int], str]:
    """Which of a list to show, and what to say of the others."""
    chosen = sorted([*(n for n, ok in enumerate(passed) if not ok), *[n for n, ok in enumerate(passed) if ok][:MOST_PASSED]])
    left = len(passed) - len(chosen)
    return chosen, f"; {left} more {others}" if left else ""


def figures(plots: Iterable[Plot]) -> Markup | None:
    """Charts side by side, as many as fit."""
    found = [
        tag("figure", tag("figcaption", tag("b", plot.title), plot.key), plot.drawing,
            tag("p", plot.note, class_="note") if plot.note else None)
        for plot in plots
    ]  # fmt: skip
    return tag("div", found, class_="figures") if found else None


def command(text: str) -> Markup:
    """A command to copy."""
    button = tag("button", "copy", type="button", class_="copy", aria_label=f"copy the command {text}", hidden=True)
    return tag("span", tag("code", text), button, class_="command")


def bar(target: Target, value: Interval) -> Markup | None:
    """Where an interval stands to its bound: the bound in the middle, the good side tinted, a decade and a half to either end."""
    ends = [value.point if end is None else end for end in (value.low, value.high)]
    if not target.bound > 0 or not all(math.isfinite(end) for end in ends):
        return None
    left, right = (_place(end / target.bound) for end in ends)
    side = "most" if target.at_most is not None else "least"
    style = f"--a:{left:.1f}%;--b:{max(right - left, 1.5):.1f}%"
    return tag("span", tag("i", style=style), class_=f"bar {side}", aria_hidden="true")


def _place(ratio: float) -> float:
    return 0.0 if ratio <= 0 else min(98.5, max(0.0, 50 + 50 * math.log10(ratio) / DECADES))
