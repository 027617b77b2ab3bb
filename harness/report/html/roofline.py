"""The roofline: how fast rows compute, against what the machine's memory and arithmetic allow at their intensity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.limits import Ceiling, Limits
from harness.report import text, view
from harness.report.html.markup import join, tag
from harness.report.html.plots import Plot
from harness.report.html.sheet import COLOURS, WIDTH, style, svg
from harness.stats import Interval
from harness.verdict import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 300
PLACE = (0.14, 0.14, 0.82, 0.84)
"""Left, bottom, width and height of the axes, as shares of the drawing."""

_LOOKS = (("one", "s", "■"), ("two", "D", "◆"), ("three", "^", "▲"), ("four", "v", "▼"), ("five", "P", "✚"), ("accent", "o", "●"))


def render(rows: Sequence[Row], limits: Limits) -> Plot | None:
    """The fastest row of every component and case whose work is known; None where there is none, or no roof."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    points = _points(rows)
    flat, slopes = _best(limits.of("gemm")), _best(limits.of("read"))
    if not points or not (flat and slopes):
        return None
    components = list(dict.fromkeys(row.planned.component for row, _, _ in points))
    looks = dict(zip(components, _LOOKS * len(components), strict=False))
    x, y = _span(points, flat, slopes)
    with mpl.rc_context(style("roof")):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), frameon=False)
        axes = figure.add_axes(PLACE, facecolor="none")
        axes.set(xscale="log", yscale="log", xlim=x, ylim=y)
        _slopes(axes, slopes, 1e9 * max(flat.values()))
        _flats(axes, flat, 1e9 * max(slopes.values()))
        for row, intensity, rate in points:
            colour, sign, _ = looks[row.planned.component]
            axes.plot([intensity], [rate], sign, color=COLOURS[colour], ms=6, clip_on=False, zorder=3)
        axes.set_xlabel("operations per byte", color=COLOURS["muted"])
        axes.set_ylabel("operations per second", color=COLOURS["muted"])
        axes.tick_params(which="both", length=0, labelcolor=COLOURS["muted"], labelsize=9)
        axes.xaxis.set_major_formatter(lambda x, _: text.significant(x).removesuffix(".00").removesuffix(".0"))
        axes.yaxis.set_major_formatter(lambda y, _: _rate(y))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(COLOURS["line"])
        said = [f"{row.planned.component}.{view.name(row)} on {row.planned.case} {_rate(a)} at {b:.3g} per byte" for row, b, a in points]
        drawing = svg(figure, "roof", f"Roofline: {'; '.join(said[:12])}. The table below has the share of the limit of every row.")
    key = join([tag("span", tag("i", sign, class_=f"k-{colour}"), f" {component}") for component, (colour, _, sign) in looks.items()])
    return Plot("Roofline: the fastest row of each case", drawing, key)


def _points(rows: Sequence[Row]) -> list[tuple[Row, float, float]]:
    """(row, operations per byte, operations per second) of the fastest row per case."""
    fastest: dict[tuple[str, str], tuple[float, Row]] = {}
    for row in rows:
        seconds, place = row.metrics.get("seconds_per_call"), (row.planned.component, row.planned.case)
        if row.planned.role == "optimized" and row.floor and row.floor.operations and row.floor.bytes and isinstance(seconds, Interval):
            fastest[place] = min(fastest.get(place, (seconds.point, row)), (seconds.point, row), key=lambda found: found[0])
    return [
        (row, row.floor.operations / row.floor.bytes, row.floor.operations / seconds)
        for seconds, row in fastest.values()
        if row.floor and row.floor.operations and row.floor.bytes and seconds > 0
    ]


def _best(ceilings: Sequence[Ceiling]) -> dict[str, float]:
    """The most of each kind, whatever the threads."""
    found: dict[str, float] = {}
    for ceiling in ceilings:
        found[ceiling.detail] = max(found.get(ceiling.detail, 0.0), ceiling.value)
    return found


def _span(
    points: Sequence[tuple[Row, float, float]], flat: Mapping[str, float], slopes: Mapping[str, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The axes: all points, and the places where the slopes end under the highest roof, with room around them."""
    bends = [max(flat.values()) / rate for rate in slopes.values()]
    low, high = min([*(x for _, x, _ in points), *bends]) / 5, max([*(x for _, x, _ in points), *bends]) * 5
    return (low, high), (min([*(y for _, _, y in points), 2e9 * min(slopes.values()) * low]) / 2, 3e9 * max(flat.values()))


def _slopes(axes: Axes, slopes: Mapping[str, float], top: float) -> None:
    """What may be computed at an intensity while all of it is read from a cache or from memory; each named along its line."""
    (low, high), (bottom, above) = axes.get_xlim(), axes.get_ylim()
    aspect = HEIGHT * PLACE[3] * math.log(high / low) / (WIDTH * PLACE[2] * math.log(above / bottom))
    for number, (detail, rate) in enumerate(sorted(slopes.items(), key=lambda one: -one[1])):
        bend, start = top / (1e9 * rate), max(low, bottom / (1e9 * rate))
        axes.plot([start, bend], [1e9 * rate * start, top], color=COLOURS["muted"], lw=1, alpha=0.7)
        # Neighbours are named at different heights: their lines are often closer than a line of text.
        at = start * (bend / start) ** (0.3 if number % 2 else 0.1)
        axes.text(at, 1e9 * rate * at, f" {detail}", color=COLOURS["muted"], fontsize=9, va="bottom", parse_math=False,
                  rotation=math.degrees(math.atan(aspect)), rotation_mode="anchor")  # fmt: skip


def _flats(axes: Axes, flat: Mapping[str, float], fastest: float) -> None:
    """The most that each precision allows, named at its end; lines that are too close for two names share one."""
    _, high = axes.get_xlim()
    bottom, above = axes.get_ylim()
    apart = (above / bottom) ** (11 / (HEIGHT * PLACE[3]))
    named: list[tuple[float, list[str]]] = []
    for detail, rate in sorted(flat.items(), key=lambda one: -one[1]):
        axes.plot([1e9 * rate / fastest, high], [1e9 * rate] * 2, color=COLOURS["muted"], lw=1, alpha=0.7)
        if named and named[-1][0] < rate * apart:
            named[-1][1].append(detail)
        else:
            named.append((rate, [detail]))
    for rate, details in named:
        axes.annotate(", ".join(details), (high, 1e9 * rate), (0, 2), textcoords="offset points", color=COLOURS["muted"], fontsize=9,
                      ha="right")  # fmt: skip


def _rate(value: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
