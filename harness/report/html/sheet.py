"""A chart of lines under each other, as a list that is read on a phone: headings, labels, one mark per line, its figure in words.

The only file that knows matplotlib. What it draws becomes SVG whose text stays text and whose colours are those of the page, so that
one drawing serves light and dark.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from harness.report.html.markup import Markup, raw, tag
from harness.report.text import clean
from harness.settings import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 370
"""Of every chart, in pixels of a page: a phone shows it as it is, a wide screen side by side with others."""

WORDS = 112
"""The right part of a chart, which holds the figures in words."""

COLOURS = {
    "ink": "#010101", "muted": "#020202", "line": "#030303", "accent": "#050505", "pass": "#060606",
    "fail": "#070707", "inconclusive": "#080808", "invalid": "#090909", "one": "#0a0a0a", "two": "#0b0b0b", "three": "#0c0c0c",
    "four": "#0d0d0d", "five": "#0e0e0e",
}  # fmt: skip
"""The page's colours by name, each drawn in one that stands for it."""

Draw = Callable[["Axes", float], None]


@dataclass
class Sheet:
    """A chart as it grows: what is added stands under what was added before. Heights are pixels."""

    height: float = 4.0
    items: list[tuple[float, Draw]] = field(default_factory=list)
    texts: list[tuple[float, str, str, str, str]] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """The name of what follows."""
        self.height += 8 if self.texts else 0
        self._text(text, "left", "muted", "bold", 16)

    def label(self, text: str, words: str = "", *, strong: bool = False, colour: str = "ink") -> None:
        """The name of the lines that follow, and a figure at its right."""
        self.height += 4
        if words:
            self.texts.append((self.height + 8, words, "right", "muted", "normal"))
        self._text(shorten(text, 46 if words else 64), "left", colour, "bold" if strong else "normal", 15)

    def line(self, draw: Draw, words: str = "", *, colour: str = "ink", height: float = 13) -> None:
        """One mark, drawn around its own height, with its figure in words at the right."""
        middle = self.height + height / 2
        self.items.append((middle, draw))
        if words:
            self.texts.append((middle, words, "right", colour, "normal"))
        self.height += height

    def _text(self, text: str, side: str, colour: str, weight: str, height: float) -> None:
        self.texts.append((self.height + height / 2, text, side, colour, weight))
        self.height += height


def shorten(text: str, longest: int) -> str:
    """The text with its middle left out where it is too long for a line."""
    text = clean(text)
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[len(text) - longest // 2 + 1 :]}"


def need() -> None:
    """ConfigurationError where pages cannot be drawn: said before anything is measured for one."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise ConfigurationError("a page needs matplotlib, which is not installed: python -m pip install 'audio-perf-harness[report]'")


def render(
    sheet: Sheet, name: str, says: str, low: float, high: float, *, form: Callable[[float], str], log: bool = True, words: int = WORDS,
    places: Sequence[float] | None = None,
) -> Markup:  # fmt: skip
    """The sheet as SVG. name: unique in a page. says: what it shows, for who cannot see it. low, high, places: the axis and its marks."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    low, high = _span(low, high, log=log)
    total = sheet.height + 22
    with mpl.rc_context(style(name)):
        figure = Figure(figsize=(WIDTH / 72, total / 72), frameon=False)
        axes = figure.add_axes((0.015, 20 / total, 0.97 - words / WIDTH, 1 - 22 / total), frameon=False)
        axes.set_xscale("log" if log else "linear")
        axes.set_xlim(low, high)
        axes.set_ylim(sheet.height, 0)
        _frame(axes, ticks(low, high, log=log) if places is None else places, form)
        for middle, draw in sheet.items:
            draw(axes, middle)
        return svg(figure, name, says, [_text(*text) for text in sheet.texts])


def mark(axes: Axes, x: Sequence[float], y: Sequence[float], **look: Any) -> None:
    """A line, or a sign at its points. As axes.plot, without what that does to fit the axes to it: there are thousands."""
    from matplotlib.lines import Line2D

    axes.add_artist(Line2D(x, y, **look))


def _text(middle: float, text: str, side: str, colour: str, weight: str) -> Markup:
    """A line of text, at the left or the right."""
    x, anchor = ("2", None) if side == "left" else (str(WIDTH - 2), "end")
    return tag("text", text, x=x, y=f"{middle + 5.5:.1f}", text_anchor=anchor, class_=f"k-{colour}{' b' if weight == 'bold' else ''}")


def svg(figure: Any, name: str, says: str, texts: Sequence[Markup] = ()) -> Markup:
    """A matplotlib figure as an element of the page, with texts on it."""
    out = StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    body = text[text.index("<svg") :]
    head, inside = body[: body.index(">") + 1], body[body.index(">") + 1 : body.rindex("</svg>")]
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None
    for pattern in _DROPPED:
        inside = pattern.sub("", inside)
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', inside))
    inside = _BETWEEN.sub("><", _TAG.sub(lambda found: _own(found[0], name, used), inside))
    return tag("svg", raw(inside.strip()), texts, viewBox=box[1], role="img", aria_label=says)


def _own(element: str, name: str, used: set[str]) -> str:
    """A tag as the page has it: its colours, its font, names that no other chart has, two decimals."""
    element = _COLOUR.sub(lambda found: f"var(--{_NAMES[found[0]]})", element)
    element = _FONT.sub(lambda found: f"font-size: {found[2]}px" + ("; font-weight: 600" if found[1] else ""), element)
    element = _NEEDLESS.sub("", element)
    element = re.sub(r' id="([\w.-]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", element)
    element = re.sub(r'(href="#|url\(#)([\w-]+)', rf"\g<1>{name}-\g<2>", element)
    return re.sub(r"(\d\.\d\d)\d+", r"\1", re.sub(r"\s+", " ", element)) if "data:" not in element else element


def ticks(low: float, high: float, *, log: bool = True, most: int = 5) -> list[float]:
    """At most so many round numbers from low to high."""
    if log and math.log10(high / low) > 0.7:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for steps in ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
            found = [step * 10.0**power for power in range(first, last + 1) for step in steps if low <= step * 10.0**power <= high]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]
    size = 10.0 ** math.floor(math.log10((high - low) / 2))
    step = next(step for factor in (1, 2, 5, 10, 20) if (high - low) / (step := factor * size) < most)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _span(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """Some room around what is shown; an axis of no length gets one."""
    if log:
        room = max((high / low) ** 0.06, 1.15)
        return low / room, high * room
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.1
    return low - (room if low else 0.0), high + room


def style(name: str) -> dict[Any, Any]:
    """How matplotlib draws for a page."""
    return {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10.5, "text.parse_math": False, "axes.unicode_minus": False}


def _frame(axes: Axes, places: Sequence[float], form: Callable[[float], str]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(places), [form(place) for place in places], fontsize=9.5)
    # A label at the very edge would be cut off there.
    low, high = axes.transData.inverted().transform(axes.transAxes.transform([(0.04, 0), (0.96, 0)]))[:, 0]
    for place, label in zip(places, axes.get_xticklabels(), strict=True):
        label.set_horizontalalignment("left" if place < low else "right" if place > high else "center")
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, pad=4, labelcolor=COLOURS["muted"])
    axes.grid(axis="x", color=COLOURS["line"], linewidth=1, zorder=0)


_NAMES = {code: name for name, code in COLOURS.items()}
_COLOUR = re.compile("|".join(COLOURS.values()))
_FONT = re.compile(r'font: (?:(?:italic|normal) )?(?:(\d{3}|bold) )?([\d.]+)px [^;"]*')
_NEEDLESS = re.compile(r' transform="rotate\(-0 [^"]*"|; stroke-linecap: \w+|; font-family: [^;"]*|; stroke-width: 1(?=[;"])')
_BETWEEN = re.compile(r">\s+<")
_TAG = re.compile(r"<[^>]+>")
_DROPPED = [
    re.compile(pattern, re.DOTALL)
    for pattern in (r"<metadata>.*?</metadata>", r'<style type="text/css">.*?</style>', r"<!--.*?-->", r"<defs>\s*</defs>")
]
