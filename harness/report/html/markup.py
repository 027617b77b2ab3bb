"""HTML that cannot be broken by the text in it: every string is text, unless `tag` made it."""

from __future__ import annotations

import functools
import html
from collections.abc import Iterable

from harness.report.text import clean

_VOID = frozenset(("meta", "br", "hr", "link"))


class Markup(str):
    """Complete, escaped markup. Any other string that is put into markup is escaped."""

    __slots__ = ()


Child = str | Markup | Iterable["Child"] | None


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """An element. Attributes: `class_` is class, `aria_label` is aria-label; True is a bare one, None and False are left out."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    return Markup(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """What stands side by side."""
    return Markup("".join(_one(child) for child in children))


def raw(text: str) -> Markup:
    """Text of this package that is markup already: style, script, the output of a drawing library."""
    return Markup(text)


@functools.lru_cache(maxsize=4096)
def escape(text: str) -> Markup:
    """Text as a reader shall see it, also where it holds markup, quotes or characters that command a terminal."""
    return Markup(html.escape(clean(text), quote=True))


def with_code(text: str) -> Markup:
    """Our own advice, which holds commands between backticks."""
    return join(tag("code", part) if number % 2 else part for number, part in enumerate(text.split("`")))


def _one(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return escape(child) if isinstance(child, str) else join(child)


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
