"""What a wrong result looks like: where it differs, or both sides of it, from the picture that its failure kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.evidence import Picture
from harness.parity import ParityResult
from harness.report import text
from harness.report.html.markup import join, tag
from harness.report.html.plots import Plot
from harness.report.html.sheet import COLOURS, WIDTH, style, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 6
"""Of one component: the first wrong outputs; the table of its parity has them all."""

TOLERANCE_SECONDS = 0.07
"""Beats that are further apart are not the same (Davies, Degara, Plumbley 2009)."""


def render(result: ParityResult, row: str, name: str) -> Plot:
    """The picture of a failure. name: unique in the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    picture = result.picture
    assert picture is not None
    height = {"map": 190, "curve": 170, "events": 110}[picture.kind]
    with mpl.rc_context({**style(name), "svg.image_inline": True}):
        figure = Figure(figsize=(WIDTH / 72, height / 72), frameon=False)
        bottom = 36 / height
        axes = figure.add_axes((0.13, bottom, 0.82, 0.96 - bottom))
        axes.set_facecolor("none")
        says = {"map": _map, "curve": _curve, "events": _events}[picture.kind](axes, picture)
        axes.tick_params(length=0, labelcolor=COLOURS["muted"], labelsize=9)
        axes.spines[:].set_color(COLOURS["line"])
        drawing = svg(figure, name, f"{row}, output {result.output}: {says}")
    key = join([tag("span", tag("i", sign, class_=f"k-{colour}"), f" {words}") for sign, colour, words in _KEYS[picture.kind]])
    return Plot(f"{row}: output {result.output} differs", drawing, key, text.sentence(result.message))


_KEYS = {
    "map": (("■", "fail", "largest difference of each cell: the darker, the larger"), ("○", "ink", "worst")),
    "curve": (("━", "muted", "reference"), ("━", "fail", "this row")),
    "events": (("│", "muted", "reference, above"), ("│", "accent", "this row, below"), ("│", "fail", "without partner within 70 ms")),
}


def _map(axes: Axes, picture: Picture) -> str:
    """Time to the right, the last axis upwards, as a spectrogram is drawn."""
    rows, columns = picture.shape
    cells = np.asarray(picture.candidate, dtype=np.float64).reshape(rows, columns)
    finite = cells[np.isfinite(cells)]
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    strength = np.clip(np.where(np.isfinite(cells), cells / most, 1.0), 0, 1).T ** 0.8
    image = np.zeros((*strength.shape, 4))
    image[..., :3], image[..., 3] = np.array([0.84, 0.24, 0.22]), strength
    (top, left), (high, wide) = picture.start, picture.extent
    axes.imshow(image, origin="lower", aspect="auto", interpolation="nearest", extent=(top, top + high, left, left + wide))
    worst = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(cells), cells, np.inf))), cells.shape)
    at = (top + (worst[0] + 0.5) * high / rows, left + (worst[1] + 0.5) * wide / columns)
    axes.plot(*at, "o", ms=9, markerfacecolor="none", markeredgecolor=COLOURS["ink"], markeredgewidth=1.3)
    axes.set_xlabel("index along the last axis but one (time)", color=COLOURS["muted"], fontsize=9.5)
    axes.set_ylabel("last axis", color=COLOURS["muted"], fontsize=9.5)
    return f"map of the difference, largest {most:.3g} near [{at[0]:.0f}, {at[1]:.0f}]"


def _curve(axes: Axes, picture: Picture) -> str:
    places = picture.start[0] + np.arange(len(picture.reference))
    axes.plot(places, picture.reference, color=COLOURS["muted"], lw=3.5, alpha=0.6)
    axes.plot(places, picture.candidate, color=COLOURS["fail"], lw=1.2)
    axes.ticklabel_format(useOffset=False)
    axes.locator_params(axis="x", nbins=4, integer=True)  # indices are long
    axes.set_xlabel("index", color=COLOURS["muted"], fontsize=9.5)
    return f"reference and this row around the worst element, indices {places[0]} to {places[-1]}"


def _events(axes: Axes, picture: Picture) -> str:
    sides = (picture.reference, "muted", picture.candidate, 1.0), (picture.candidate, "accent", picture.reference, 0.0)
    lonely = 0
    for times, colour, others, floor in sides:
        for time in times:
            alone = not any(abs(time - other) <= TOLERANCE_SECONDS for other in others)
            lonely += alone
            axes.plot([time, time], [floor + 0.08, floor + 0.92], color=COLOURS["fail" if alone else colour], lw=1.6)
    axes.set_ylim(0, 2)
    axes.set_yticks([])
    axes.set_xlabel("seconds", color=COLOURS["muted"], fontsize=9.5)
    return f"timeline of events, {lonely} without a partner within 70 ms"
