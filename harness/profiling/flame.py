"""Flame graphs as SVG that needs nothing else: no script, no network, light and dark, every figure in a tooltip; pure.

A frame is as wide as it takes; its callees stand on it. In a difference both profiles are drawn as one: a frame is as wide as
its part of the larger of the two, red where it takes more than before and blue where it takes less.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.profiling.stacks import Frame, Weights

WIDTH, ROW, TOP, SIDE = 1200.0, 18.0, 56.0, 10.0
LEAST_WIDTH = 0.4
"""Narrower frames are not drawn; their caller is as wide as they make it."""

CHARACTER = 6.6
MOST_ROWS = 120

Show = Callable[[float], str]
"""A value with its unit."""

_STYLE = """
text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #1a1a1a; }
.title { font: 600 15px system-ui, sans-serif; fill: var(--ink); }
.about { font: 12px system-ui, sans-serif; fill: var(--ink); }
rect.frame { stroke: var(--paper); stroke-width: 0.5; }
g.frame:hover rect { stroke: var(--ink); stroke-width: 1.5; }
svg { --paper: #ffffff; --ink: #1a1a1a; }
@media (prefers-color-scheme: dark) { svg { --paper: #16181d; --ink: #e8e8e8; } }
"""


@dataclass
class _Node:
    """A function below its callers. own, total: before and after (equal where there is one profile)."""

    frame: Frame
    own: tuple[float, float] = (0.0, 0.0)
    children: dict[Frame, _Node] = field(default_factory=dict)
    total: tuple[float, float] = (0.0, 0.0)
    width: float = 0.0
    depth: int = 0

    def add(self, stack: tuple[Frame, ...], value: tuple[float, float]) -> None:
        node = self
        for frame in stack[:MOST_ROWS]:
            node = node.children.setdefault(frame.function, _Node(frame.function))
        node.own = _sum(node.own, value)

    def measure(self) -> None:
        """Totals, widths and depths, from the leaves down."""
        for child in self.children.values():
            child.measure()
        self.total, self.width = self.own, max(self.own)
        for child in self.children.values():
            self.total = _sum(self.total, child.total)
            self.width += child.width
        self.depth = 1 + max((child.depth for child in self.children.values()), default=0)


def graph(weights: Weights, *, title: str, about: str, show: Show) -> str:
    """The flame graph of one profile."""
    root = _Node(Frame("all"))
    for stack, value in weights.items():
        root.add(stack, (value, value))
    root.measure()

    def tip(node: _Node) -> str:
        value = node.total[1]
        return f"{node.frame.words}: {show(value)}, {value / root.total[1]:.1%}; itself {show(node.own[1])}"

    return _drawing(root, title, about, lambda node: _warm(node.frame), tip)


def difference(before: Weights, after: Weights, *, title: str, about: str, show: Show) -> str:
    """The flame graph of what changed from one profile to the other."""
    root = _Node(Frame("all"))
    for stack, value in before.items():
        root.add(stack, (value, 0.0))
    for stack, value in after.items():
        root.add(stack, (0.0, value))
    root.measure()
    scale = max(abs(root.total[1] - root.total[0]), 0.02 * root.width)

    def color(node: _Node) -> str:
        share = max(-1.0, min(1.0, (node.total[1] - node.total[0]) / scale))
        pale = round(245 - 150 * abs(share))
        return f"rgb(250,{pale},{pale})" if share > 0 else f"rgb({pale},{pale},250)"

    def tip(node: _Node) -> str:
        was, now = node.total
        more = f"{'+' if now >= was else '-'}{show(abs(now - was))}"
        return f"{node.frame.words}: {show(was)} before, {show(now)} after ({more})"

    return _drawing(root, title, about, color, tip)


def _drawing(root: _Node, title: str, about: str, color: Callable[[_Node], str], tip: Callable[[_Node], str]) -> str:
    rows = min(root.depth, MOST_ROWS)
    height = TOP + rows * ROW + SIDE
    scale = (WIDTH - 2 * SIDE) / root.width if root.width else 0.0
    parts: list[str] = []

    def draw(node: _Node, left: float, row: int) -> None:
        width = node.width * scale
        if width < LEAST_WIDTH or row >= rows:
            return
        bottom = height - SIDE - (row + 1) * ROW
        letters = int((width - 6) / CHARACTER)
        name = node.frame.name
        label = name if len(name) <= letters else f"{name[: letters - 2]}.." if letters > 3 else ""
        text = f'<text x="{left + 3:.1f}" y="{bottom + 13:.1f}">{_escaped(label)}</text>' if label else ""
        parts.append(
            f'<g class="frame"><title>{_escaped(tip(node))}</title><rect class="frame" x="{left:.2f}" y="{bottom:.1f}" '
            f'width="{width:.2f}" height="{ROW - 1:.0f}" rx="2" fill="{color(node)}"/>{text}</g>'
        )
        for child in sorted(node.children.values(), key=lambda child: child.frame.words):
            draw(child, left, row + 1)
            left += child.width * scale

    draw(root, SIDE, 0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" width="100%" role="img" '
        f'aria-label="{_escaped(title)}"><style>{_STYLE}</style>\n'
        f'<rect width="100%" height="100%" fill="var(--paper)"/>\n'
        f'<text class="title" x="{SIDE:.0f}" y="22">{_escaped(title)}</text>\n'
        f'<text class="about" x="{SIDE:.0f}" y="42">{_escaped(about)}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _sum(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] + other[0], one[1] + other[1]


def _warm(frame: Frame) -> str:
    """A warm colour of the frame's file, another shade for each function: the same in every graph."""
    file, name = (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=2).digest(), "big") for text in (frame.file, frame.words))
    hue = 200 + file % 40 if frame.native else file % 50
    return f"hsl({hue},{70 if not frame.native else 45}%,{66 + name % 14}%)"


def _escaped(text: str) -> str:
    """Names come from plugins: nothing in them is markup, and controls are no XML."""
    return html.escape("".join(character if character.isprintable() else "?" for character in text))
