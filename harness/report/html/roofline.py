"""The roofline: how fast rows compute, against what the machine's memory and arithmetic allow at their intensity."""

from __future__ import annotations

from collections.abc import Sequence
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
    low, high = min(x for _, x, _ in points) / 4, max(max(x for _, x, _ in points) * 4, 100.0)
    with mpl.rc_context(style("roof")):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), frameon=False)
        axes = figure.add_axes((0.13, 0.14, 0.85, 0.84), facecolor="none")
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(min(y for _, _, y in points) / 4, 4e9 * max(flat.values())))
        _roofs(axes, flat, slopes, low, high)
        for row, x, y in points:
            colour, sign, _ = looks[row.planned.component]
            axes.plot([x], [y], sign, color=COLOURS[colour], ms=6, clip_on=False, zorder=3)
        axes.set_xlabel("operations per byte", color=COLOURS["muted"])
        axes.set_ylabel("operations per second", color=COLOURS["muted"])
        axes.tick_params(which="both", length=0, labelcolor=COLOURS["muted"], labelsize=9)
        axes.xaxis.set_major_formatter(lambda x, _: text.significant(x).removesuffix(".00").removesuffix(".0"))
        axes.yaxis.set_major_formatter(lambda y, _: _rate(y))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(COLOURS["line"])
        said = [f"{row.planned.component}.{view.name(row)} on {row.planned.case} {_rate(y)} at {x:.3g} per byte" for row, x, y in points]
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


def _roofs(axes: Axes, flat: dict[str, float], slopes: dict[str, float], low: float, high: float) -> None:
    top = 1e9 * max(flat.values())
    for detail, rate in slopes.items():
        bend = top / (1e9 * rate)
        axes.plot([low, bend], [1e9 * rate * low, top], color=COLOURS["muted"], lw=1, alpha=0.7)
        axes.text(low * 1.1, 1e9 * rate * low * 1.25, detail, color=COLOURS["muted"], fontsize=9, parse_math=False)
    for detail, rate in flat.items():
        axes.plot([1e9 * rate / (1e9 * max(slopes.values())), high], [1e9 * rate] * 2, color=COLOURS["muted"], lw=1, alpha=0.7)
        axes.text(high, 1e9 * rate * 1.08, detail, color=COLOURS["muted"], fontsize=9, ha="right", parse_math=False)


def _rate(value: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
