"""Numbers in human units, and text of plugins made harmless."""

from __future__ import annotations

import math
import re
import unicodedata

from harness.metrics import Absent, Unit, Value, about
from harness.stats import Interval

NOTHING = "-"
LONGEST = 600


# What a CI runner obeys when it reads it in a log: at the start of a line, or anywhere (the older form).
_COMMANDS = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|set-output|stop-commands|warning"
)
_COMMAND = re.compile(rf":(?=:(?:{_COMMANDS})\b)|#(?=#\[)", re.IGNORECASE)


def clean(text: str, *, keep: str = "") -> str:
    """The text without characters that command a terminal, reorder a line or break XML: each is written as its code.

    Line breaks and tabs become spaces unless they are in `keep`; workflow commands of a CI runner are pulled apart.
    """
    plain = "".join(character if character in keep or character.isalnum() else _visible(character) for character in str(text))
    return _COMMAND.sub(lambda found: f"{found[0]} ", plain)


def shorten(text: str, longest: int = LONGEST) -> str:
    """The text, cut in the middle when it is long; what was cut is counted."""
    if len(text) <= longest:
        return text
    head, tail = longest * 2 // 3, longest // 3
    return f"{text[:head]} ... ({len(text) - head - tail} characters left out) ... {text[-tail:]}"


def sentence(text: str) -> str:
    """One clean line of bounded length: how every message of a plugin is shown."""
    return shorten(clean(text).strip())


def significant(value: float) -> str:
    """Three digits that matter: 128, 25.1, 4.30, 0.90, 0.00012."""
    size = abs(value)
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if size >= 1e5 or 0 < size < 1e-4:
        return f"{value:.2g}"
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.0995 else f"{value:.2g}"


def seconds(value: float) -> str:
    """A time in the unit that suits it: 850 ns, 12.3 us, 49.1 ms, 2.50 s."""
    if value == 0:
        return "0 s"
    for limit, factor, unit in ((0.9995e-6, 1e9, "ns"), (0.9995e-3, 1e6, "us"), (0.9995, 1e3, "ms")):
        if abs(value) < limit:
            return f"{significant(value * factor)} {unit}"
    return f"{significant(value)} s"


def size(value: float) -> str:
    """Bytes in decimal units: 512 B, 3.60 kB, 312 MB, 2.10 GB."""
    for limit, factor, unit in ((999.5, 1, "B"), (999.5e3, 1e3, "kB"), (999.5e6, 1e6, "MB")):
        if abs(value) < limit:
            return f"{value:.0f} B" if unit == "B" else f"{significant(value / factor)} {unit}"
    return f"{significant(value / 1e9)} GB"


def number(value: float, unit: Unit) -> str:
    """A value in its unit."""
    match unit:
        case "seconds":
            return seconds(value)
        case "bytes":
            return size(value)
        case "share":
            return f"{significant(100 * value)} %"
        case "dB":
            return f"{value:.1f} dB"
        case "per second":
            return f"{significant(value)}/s"
        case _:
            return f"{value:.2g}" if 0 < abs(value) < 0.1 else significant(value)


def point(metric: str, value: Value | None) -> str:
    """A metric's point alone; `-` where it was not measured."""
    return number(value.point, about(metric).unit) if isinstance(value, Interval) else NOTHING


def times(value: Interval) -> str:
    """A ratio with its interval: `25.1x [24.3, 26.0]`; without one it says of how many launches it is."""
    if value.low is None or value.high is None:
        return f"{significant(value.point)}x ({value.n} launch{'es' if value.n != 1 else ''})"
    return f"{significant(value.point)}x [{significant(value.low)}, {significant(value.high)}]"


def measured(metric: str, value: Value | None) -> str:
    """A metric with its interval, or why it is absent."""
    if value is None:
        return "not measured"
    if isinstance(value, Absent):
        return f"not measured: {value.reason}"
    unit = about(metric).unit
    if value.low is None or value.high is None or value.low == value.high:
        return number(value.point, unit)
    return f"{number(value.point, unit)} [{number(value.low, unit)}, {number(value.high, unit)}]"


def _visible(character: str) -> str:
    if character in "\n\r\t\v\f\x85\u2028\u2029":
        return " "
    code, category = ord(character), unicodedata.category(character)
    # Cc: controls, Cf: invisible and reordering marks, Cs: half characters, Cn: unassigned (some are no XML), Co: private use.
    if category in ("Cc", "Cf", "Cs", "Cn", "Co"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character
