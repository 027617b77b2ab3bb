"""The charts of a component: speed-ups, latencies, real-time factors, memory, slow-downs. Rows stand as in its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics import Key, key
from harness.record import Record
from harness.report import text, view
from harness.report.html.markup import Markup, join, tag
from harness.report.html.sheet import COLOURS, Draw, Sheet, mark, render
from harness.report.view import Block
from harness.stats import Interval
from harness.verdict import Answer, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 48
"""Of one chart. What is beyond stands in the table, and the chart says so."""

WIDEST_LATENCY = 4.0
"""Times the median: beyond it lies what an axis shared by all rows cannot show."""

_SIGNS = {"o": "●", "s": "■", "D": "◆", "^": "▲", "v": "▼", "P": "✚"}
_BASES = (("muted", "o"), ("one", "s"), ("two", "D"), ("three", "^"), ("four", "v"), ("five", "P"))


@dataclass(frozen=True)
class Plot:
    """A chart with its title; key explains its marks, note says what is not on it."""

    title: str
    drawing: Markup
    key: Markup | None = None
    note: str = ""


def of_component(blocks: Sequence[Block], records: Mapping[Key, Sequence[Record]], name: str) -> list[Plot]:
    """Every chart that the rows of a component have something for. records: by row. name: unique in the page."""
    found = [speedups(blocks, f"{name}s"), latencies(blocks, records, f"{name}l"), factors(blocks, f"{name}r"), memory(blocks, f"{name}m"),
             slowdowns(blocks, f"{name}g")]  # fmt: skip
    return [plot for plot in found if plot is not None]


def speedups(blocks: Sequence[Block], name: str) -> Plot | None:
    """Intervals over the reference, the peers and (of a gate) base; a line at 1, where nothing is gained."""
    rows = [(block, row, view.speedups(row)) for block, row in _rows(blocks)]
    bases = list(dict.fromkeys(base for _, _, found in rows for base, _ in found))
    bases.sort(key=lambda base: (base != "reference", base))
    looks = dict(zip(bases, _BASES[: 1 if bases[:1] == ["reference"] else 0] + _BASES[1:] * len(bases), strict=False))
    sheet, drawn, values = _Rows(), [], [1.0]
    for block, row, found in rows:
        if found and sheet.begins(block, row, len(found)):
            for base, value in found:
                colour, sign = looks[base]
                words = text.times(value) if value.bounded else f"{text.significant(value.point)}x"
                sheet.line(_interval(value, colour, sign), words, colour=colour)
                values += _ends(value)
                drawn.append(f"{view.name(row)} on {row.planned.case} {text.times(value)} over {base}")
    if not drawn:
        return None
    even = {"color": COLOURS["muted"], "lw": 1, "linestyle": (0, (3, 3))}
    sheet.items.insert(0, (0.0, lambda axes, _: mark(axes, [1, 1], [0, sheet.height], **even)))
    drawing = render(sheet, name, _says("speed-ups", drawn), *_range(values), form=lambda x: f"{x:g}x")
    return Plot("Speed-up", drawing, _key(looks), sheet.note)


def latencies(blocks: Sequence[Block], records: Mapping[Key, Sequence[Record]], name: str) -> Plot | None:
    """How single calls scatter around the median of their row: an axis of seconds would show only which row is slow."""
    sheet, drawn, widest = _Rows(), [], 1.2
    for block, row in _rows(blocks):
        median, worst = (row.metrics.get(f"latency_{which}_seconds") for which in ("p50", "p99"))
        calls = np.array([call for record in records.get(key(row.planned), ()) for call in record.samples.calls])
        if isinstance(median, Interval) and calls.size and median.point > 0 and np.isfinite(calls).all() and sheet.begins(block, row, 1):
            tail = worst.point if isinstance(worst, Interval) else None
            words = text.seconds(median.point) + (f" · {text.seconds(tail)}" if tail else "")
            shares = np.sort(calls) / median.point
            widest = min(WIDEST_LATENCY, max(widest, float(shares[int(0.995 * (len(shares) - 1))])))
            sheet.line(_ridge(shares, tail / median.point if tail else None, row.planned.role), words, height=20)
            drawn.append(f"{view.name(row)} on {row.planned.case} p50 · p99 {words}")
    if not drawn:
        return None
    drawing = render(sheet, name, _says("latencies", drawn), 0.8, widest, form=lambda x: f"{x:g}x", log=False)
    legend = tag("span", "shape: calls around the median of their row; ", tag("i", "│", class_="k-fail"), " 99 %; figures: p50 · p99")
    return Plot("Latency of a call", drawing, legend, sheet.note)


def factors(blocks: Sequence[Block], name: str) -> Plot | None:
    """Real-time factors with the bounds of the profile; what is left of a bound meets it."""
    return _bounded(blocks, name, "rtf", "Real-time factor", text.significant, log=True)


def memory(blocks: Sequence[Block], name: str) -> Plot | None:
    """Peak memory of a fresh process, and its bounds."""
    return _bounded(blocks, name, "peak_bytes", "Peak memory", text.size, log=False)


def slowdowns(blocks: Sequence[Block], name: str) -> Plot | None:
    """What a gate found: head over base by metric, and the margin beyond which it is a regression."""
    sheet, drawn, values = _Rows(), [], [0.0]
    for block, row in _rows(blocks):
        answers = [(answer, answer.value) for answer in row.of("regression") if isinstance(answer.value, Interval) and answer.limit]
        shown = [(answer, value) for answer, value in answers if _finite(value)]
        if shown and sheet.begins(block, row, 2 * len(shown)):
            for answer, value in shown:
                limit = answer.limit or 0.0
                sheet.label(answer.metric, colour="muted")
                sheet.line(_both(_interval(value, _colour(answer)), _bound(limit)), f"{value.point:+.1%}", colour=_colour(answer))
                values += [*_ends(value), limit]
                drawn.append(f"{view.name(row)} on {row.planned.case} {answer.metric} {value.point:+.1%}: {answer.state}")
    if not drawn:
        return None
    low, high = min(values), max(values)
    drawing = render(sheet, name, _says("slow-downs", drawn), low, high, form=lambda x: f"{x:+.1%}", log=False)
    return Plot("Slower than base by", drawing, tag("span", tag("i", "│", class_="k-fail"), " margin"), sheet.note)


def _bounded(blocks: Sequence[Block], name: str, metric: str, title: str, form: Callable[[float], str], *, log: bool) -> Plot | None:
    sheet, drawn, values, profiles = _Rows(), [], [], dict[str, None]()
    for block, row in _rows(blocks):
        value = row.metrics.get(metric)
        if isinstance(value, Interval) and _finite(value) and (value.point > 0 or not log) and sheet.begins(block, row, 1):
            answers = [answer for answer in row.of("target") if answer.metric == metric and answer.target is not None]
            bounds = [answer.limit for answer in answers if answer.limit is not None]
            profiles |= dict.fromkeys(answer.target.profile for answer in answers if answer.target)
            colour = _colour(answers[0]) if answers else "accent" if row.planned.role == "optimized" else "muted"
            mark = _interval(value, colour) if log else _bar(value.point, colour)
            sheet.line(_both(mark, *map(_bound, bounds)), form(value.point), colour=colour)
            values += [*_ends(value), *bounds]
            verdict = "".join(f", allowed {form(answer.limit or 0.0)}: {answer.state}" for answer in answers)
            drawn.append(f"{view.name(row)} on {row.planned.case} {form(value.point)}{verdict}")
    if not drawn:
        return None
    low, high = _range(values) if log else (0.0, max(values))
    drawing = render(sheet, name, _says(title.lower(), drawn), low, high, form=form, log=log)
    legend = tag("span", tag("i", "│", class_="k-fail"), f" bound (profile {', '.join(profiles)})") if profiles else None
    return Plot(title, drawing, legend, sheet.note)


class _Rows(Sheet):
    """A sheet that knows which case it is at, and when it is full."""

    def __init__(self) -> None:
        super().__init__()
        self.place = ""
        self.lines = self.left = 0

    def begins(self, block: Block, row: Row, lines: int) -> bool:
        """Name the row and, where they change, the case and what kind of rows follow; False where the sheet is full."""
        if self.lines + lines > MOST_LINES and self.lines:
            self.left += 1
            return False
        heading = ": ".join(filter(None, (block.case, block.kind.partition(":")[0])))
        if heading != self.place:
            self.place = heading
            self.heading(heading)
        self.lines += lines
        self.label(view.name(row), strong=row.planned.role == "optimized", colour="ink" if row.planned.role == "optimized" else "muted")
        return True

    @property
    def note(self) -> str:
        """What does not fit."""
        return f"{self.left} more row{'s' if self.left > 1 else ''} in the table" if self.left else ""


def _rows(blocks: Iterable[Block]) -> list[tuple[Block, Row]]:
    return [(block, row) for block in blocks for row in block.rows]


def _key(looks: Mapping[str, tuple[str, str]]) -> Markup:
    return join([tag("span", tag("i", _SIGNS[sign], class_=f"k-{colour}"), f" over {base}") for base, (colour, sign) in looks.items()])


def _says(what: str, drawn: Sequence[str], most: int = 12) -> str:
    more = f"; {len(drawn) - most} more" if len(drawn) > most else ""
    return f"Chart of {what}: {'; '.join(drawn[:most])}{more}. The table below has every figure."


def _colour(answer: Answer) -> str:
    return answer.state if answer.state != "no target" else "muted"


def _finite(value: Interval) -> bool:
    return bool(np.isfinite([value.point, *(end for end in (value.low, value.high) if end is not None)]).all())


def _ends(value: Interval) -> list[float]:
    return [end for end in (value.point, value.low, value.high) if end is not None and np.isfinite(end)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Of a logarithmic axis; an interval that reaches too far is cut off there."""
    above = sorted(value for value in values if value > 0)
    return max(above[0], above[-1] / 1e7), above[-1]


def _interval(value: Interval, colour: str, sign: str = "o") -> Draw:
    def draw(axes: Axes, y: float) -> None:
        filled = value.low is not None and value.high is not None
        if value.low is not None and value.high is not None:
            mark(axes, [value.low, value.high], [y, y], color=COLOURS[colour], lw=2.4, alpha=0.45, solid_capstyle="round")
        inside = COLOURS[colour] if filled else "none"
        mark(axes, [value.point], [y], marker=sign, ms=5, color=COLOURS[colour], markerfacecolor=inside, markeredgewidth=1.2)

    return draw


def _bar(value: float, colour: str) -> Draw:
    return lambda axes, y: mark(axes, [0, value], [y, y], color=COLOURS[colour], lw=6, alpha=0.75, solid_capstyle="butt")


def _bound(value: float) -> Draw:
    return lambda axes, y: mark(axes, [value, value], [y - 6, y + 6], color=COLOURS["fail"], lw=1.6)


def _ridge(shares: np.ndarray, tail: float | None, role: str) -> Draw:
    colour = COLOURS["accent" if role == "optimized" else "muted"]
    counts, edges = np.histogram(np.clip(shares, 0.8, WIDEST_LATENCY), bins=96, range=(0.8, WIDEST_LATENCY))
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
    kept = np.flatnonzero(smooth)

    def draw(axes: Axes, y: float) -> None:
        from matplotlib.patches import Polygon

        part = slice(kept[0], kept[-1] + 1)
        middles, heights = (edges[:-1] + edges[1:])[part] / 2, 15 * smooth[part] / smooth.max()
        outline = [(middles[0], y + 8), *zip(middles, y + 8 - heights, strict=True), (middles[-1], y + 8)]
        axes.add_artist(Polygon(outline, color=colour, alpha=0.5, lw=0.8, zorder=2.5))
        if tail is not None:
            mark(axes, [tail, tail], [y - 2, y + 8], color=COLOURS["fail"], lw=1.4)

    return draw


def _both(*draws: Draw) -> Draw:
    def draw(axes: Axes, y: float) -> None:
        for one in draws:
            one(axes, y)

    return draw

