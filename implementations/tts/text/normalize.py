"""Text normalisation: any text to English words, pauses, and acronyms in capitals.

Each rule is a pattern and what is said for it, tried in the order written: what has more context comes first. Rules never look at a text
twice, so the time is linear in its length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from implementations.tts.text.numbers import cardinal, decimal, digits, ordinal, plural, year


@dataclass(frozen=True)
class Normalized:
    """text: words in small letters, acronyms in capitals, pauses as , . ! ?, with single spaces. skipped: characters that have no
    reading here (other scripts, emoji, control characters), each as often as it was found."""

    text: str
    skipped: int


def normalize(text: str) -> Normalized:
    """Never fails on a string: what cannot be read aloud is left out and counted. TypeError for anything but a string."""
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, found {type(text).__name__}")
    text, skipped = _latin(text)
    for pattern, say in _RULES:
        text = pattern.sub(say, text)
    return Normalized(_tidy(text), skipped)


_REPLACED = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201a": ",", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2013": "-", "\u2014": ", ",
    "\u2212": "-", "\u2026": ".", "\u00d7": " times ", "\u00f7": " divided by ", "\u00b1": " plus or minus ", "\u00b7": " ",
    "\u2022": ", ", "\u00a7": " section ", "\u00a9": " copyright ", "\u00ae": " ", "\u2122": " ", "\u00bd": " 1/2", "\u00bc": " 1/4",
    "\u00be": " 3/4", "\u00b2": " squared", "\u00b3": " cubed", "\u00b5": "u", "\u03bc": "u", "\u03a9": " ohms", "\u00df": "ss",
    "\u00e6": "ae", "\u00c6": "Ae", "\u0153": "oe", "\u00f8": "o", "\u00d8": "O", "\u00f0": "th", "\u00fe": "th", "\u0142": "l",
    "\u0141": "L", "\u0131": "i", "\u0111": "d",
})  # fmt: skip
_KEPT = frozenset("\u20ac\u00a3\u00a5\u00b0")
"""Signs beyond ASCII that the rules read."""


def _latin(text: str) -> tuple[str, int]:
    """ASCII letters without their accents, and `_KEPT`; white space for what is left out, and how much that was."""
    characters, skipped = [], 0
    for character in unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).translate(_REPLACED)):
        if character in _KEPT or (character.isascii() and (character.isprintable() or character.isspace())):
            characters.append(character)
        elif character == "\u2044":  # what NFKD writes a fraction with
            characters.append("/")
        elif not unicodedata.combining(character):
            characters.append(" ")
            skipped += not character.isspace()
    return "".join(characters), skipped


# What is said for what stands there.

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "prof": "professor", "jr": "junior", "sr": "senior", "vs": "versus", "etc": "et cetera",
    "inc": "incorporated", "ltd": "limited", "co": "company", "corp": "corporation", "ave": "avenue", "blvd": "boulevard", "rd": "road",
    "gen": "general", "col": "colonel", "capt": "captain", "sgt": "sergeant", "lt": "lieutenant", "rev": "reverend", "hon": "honorable",
    "approx": "approximately", "dept": "department", "est": "established", "fig": "figure", "vol": "volume", "gov": "governor",
    "sen": "senator", "rep": "representative", "pres": "president", "assn": "association", "bros": "brothers", "tel": "telephone",
    "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june", "jul": "july", "aug": "august", "sep": "september",
    "sept": "september", "oct": "october", "nov": "november", "dec": "december", "mon": "monday", "tue": "tuesday", "wed": "wednesday",
    "thu": "thursday", "fri": "friday",
}  # fmt: skip
_UNITS = {
    "km/h": "kilometer per hour", "m/s": "meter per second", "mph": "mile per hour", "kbps": "kilobit per second",
    "mbps": "megabit per second", "gbps": "gigabit per second", "fps": "frame per second", "rpm": "revolution per minute",
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "um": "micrometer", "nm": "nanometer", "m": "meter", "ft": "foot",
    "in.": "inch", "yd": "yard", "mi": "mile", "kg": "kilogram", "mg": "milligram", "g": "gram", "lb": "pound", "lbs": "pound",
    "oz": "ounce", "ml": "milliliter", "l": "liter", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "hz": "hertz",
    "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte", "kw": "kilowatt", "mw": "megawatt", "kwh": "kilowatt hour",
    "w": "watt", "v": "volt", "ma": "milliamp", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond", "s": "second",
    "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "db": "decibel", "%": "percent",
    "\u00b0c": "degree celsius", "\u00b0f": "degree fahrenheit", "\u00b0": "degree",
}  # fmt: skip
_CURRENCIES = {"$": ("dollar", "cent"), "\u20ac": ("euro", "cent"), "\u00a3": ("pound", "penny"), "\u00a5": ("yen", "")}
_SCALES = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}
_IRREGULAR = {"foot": "feet", "inch": "inches", "penny": "pence", "hertz": "hertz", "kilohertz": "kilohertz", "megahertz": "megahertz",
              "gigahertz": "gigahertz", "yen": "yen", "percent": "percent"}  # fmt: skip
_FRACTIONS = {"2": "half", "3": "third", "4": "quarter"}
_SIGNS = {"&": "and", "@": "at", "%": "percent", "+": "plus", "=": "equals", "#": "number", "<": "less than", ">": "greater than",
          "\u00b0": "degrees", "$": "dollars", "\u20ac": "euros", "\u00a3": "pounds", "\u00a5": "yen", "\\": "backslash"}  # fmt: skip


def _counted(number: str, unit: str) -> str:
    """ "1" and "mile per hour" is "one mile per hour", "2" "two miles per hour"."""
    first, _, rest = unit.partition(" ")
    if number not in ("1", "1.0"):
        first = _IRREGULAR.get(first, first + "s")
    return f"{decimal(number)} {first} {rest}".rstrip()


def _address(match: re.Match[str]) -> str:
    """A URL or e-mail address: its words, and the signs between them by name."""
    text = re.sub(r"^(https?|ftp)://", "", match[0]).rstrip("/")
    signs = {".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", ":": "colon", "?": "question mark", "=": "equals",
             "&": "and", "#": "hash", "%": "percent", "~": "tilde", "+": "plus"}  # fmt: skip
    words = re.findall(r"[a-zA-Z]+|\d+|[^\sa-zA-Z\d]", text)
    return " " + " ".join("WWW" if word == "www" else signs.get(word, word) for word in words) + " "


def _money(match: re.Match[str]) -> str:
    (whole, small), amount, scale = _CURRENCIES[match["sign"]], match["amount"].replace(",", ""), match["scale"]
    if scale:
        return f" {decimal(amount)} {_SCALES.get(scale.lower(), scale.lower())} {_IRREGULAR.get(whole, whole + 's')} "
    units, _, cents = amount.partition(".")
    if len(cents) != 2 or not small:
        return f" {_counted(amount, whole)} "
    some, more = units.strip("0") != "", int(cents) > 0
    parts = [_counted(units, whole)] if some or not more else []
    parts += [_counted(str(int(cents)), small)] if more else []
    return f" {' and '.join(parts)} "


def _time(match: re.Match[str]) -> str:
    minutes, half = match["minutes"], (match["half"] or "").replace(".", "").upper()
    spoken = ("oh " if minutes[0] == "0" else "") + cardinal(str(int(minutes)))
    if minutes == "00":
        spoken = "" if half else "o'clock"
    return f" {cardinal(str(int(match['hours'])))} {spoken} {half} "


def _day(month: str, day: str, in_year: str | None) -> str:
    return f" {month} {ordinal(str(int(day)))}{f', {year(in_year)}' if in_year else ''} "


def _numbered_date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return _day(_MONTHS[month - 1], match["day"], match["year"])


def _fraction(match: re.Match[str]) -> str:
    whole, above, below = match["whole"], match["above"], match["below"]
    named = _FRACTIONS.get(below) or (ordinal(below) if 2 < int(below) <= 20 or below == "100" else "")
    if not named or int(above) >= int(below):
        return match[0]
    several = above != "1"
    spoken = f"{cardinal(above)} {('halves' if named == 'half' else named + 's') if several else named}"
    return f" {cardinal(whole)} and {'a ' + named if above == '1' else spoken} " if whole else f" {spoken} "


def _saint_or_street(match: re.Match[str]) -> str:
    return "saint " if match["next"] else "street"


def _doctor_or_drive(match: re.Match[str]) -> str:
    return "doctor " if match["next"] else "drive"


def _dotted(match: re.Match[str]) -> str:
    """U.S.A. is USA; e.g., i.e., a.m. and p.m. have readings of their own."""
    letters = match[0].replace(".", "")
    return {"eg": "for example,", "ie": "that is,"}.get(letters.lower(), letters.upper()) + " "


def _capitals(match: re.Match[str]) -> str:
    """A letter on its own is a word (a, I) or its name."""
    return match[0].lower() if match[0] in ("A", "I") else match[0]


_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+"
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_MONTH = "|".join(_MONTHS) + "|" + "|".join(month[:3] for month in _MONTHS) + "|sept"
_FULL = {month[:3]: month for month in _MONTHS} | {"sept": "september"}


def _month(name: str) -> str:
    return _FULL.get(name.lower().rstrip("."), name.lower())


_Say = Callable[[re.Match[str]], str]


def _rule(pattern: str, say: _Say | str, flags: int = re.IGNORECASE) -> tuple[re.Pattern[str], _Say]:
    return re.compile(pattern, flags), (lambda match: say) if isinstance(say, str) else say


_RULES = (
    _rule(r"\b(?:https?://|ftp://|www\.)[^\s<>\"]+[^\s<>\".,;:!?)]", _address),
    _rule(r"\b[a-z0-9][a-z0-9._+-]{0,63}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+", _address),
    _rule(r"\b[a-z0-9-]{1,63}\.(?:com|org|net|edu|gov|io|uk|de)\b(?:/[^\s<>\".,;:!?)]*)?", _address),
    _rule(r"\bSt\.(?P<next> +(?=[A-Z]))?", _saint_or_street, 0),
    _rule(r"\bDr\.(?P<next> +(?=[A-Z]))?", _doctor_or_drive, 0),
    _rule(r"\b(?:No|no|Nos)\. *(?=\d)", "number ", 0),
    _rule(r"(?P<sign>[$\u20ac\u00a3\u00a5]) ?(?P<amount>" + _NUMBER + r")"
          r"(?: ?(?P<scale>thousand|million|billion|trillion|[kmb]|bn)\b)?", _money),
    _rule(r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b", _numbered_date),
    _rule(r"\b(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>(?:1[1-9]|20)\d\d)\b", _numbered_date),
    _rule(rf"\b(?P<month>{_MONTH})\b\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<year>(?:1[1-9]|20)\d\d)\b)?(?![:.]\d)",
          lambda m: _day(_month(m["month"]), m["day"], m["year"])),
    _rule(r"\b(?P<hours>[01]?\d|2[0-3]):(?P<minutes>[0-5]\d)\b(?::\d\d\b)?(?: ?(?P<half>[ap](?:\.m\.|m\b)))?", _time),
    _rule(r"\b(\d{1,2}) ?([ap])(?:\.m\.|m\b)", lambda m: f" {cardinal(m[1])} {m[2].upper()}M "),
    _rule(r"\b((?:1[1-9]|20)\d)0'?s\b", lambda m: " " + plural(year(m[1] + "0")) + " "),
    _rule(r"'([2-9]0)s\b", lambda m: " " + plural(cardinal(m[1])) + " "),
    _rule(r"\b([2-9]0)'?s\b", lambda m: " " + plural(cardinal(m[1])) + " "),
    _rule(r"\b(\d+)(?:st|nd|rd|th)\b", lambda m: " " + ordinal(m[1]) + " "),
    _rule(r"(?:\b\d{3}-)?\b\d{3}-\d{4}\b", lambda m: f" {', '.join(digits(part) for part in m[0].split('-'))} "),
    _rule(r"(?<=\d) ?- ?(?=\.?\d)", " to "),
    _rule(rf"(?P<minus>(?<![\w)])-)?(?<![\w.])(?P<number>{_NUMBER}) ?(?P<unit>{_UNIT})(?![\w/])",
          lambda m: f" {'minus ' if m['minus'] else ''}{_counted(m['number'].replace(',', ''), _UNITS[m['unit'].lower()])} "),
    _rule(r"(?:\b(?P<whole>\d{1,15}) )?\b(?P<above>\d{1,3})/(?P<below>\d{1,3})\b(?![/\d])", _fraction),
    _rule(r"\b(\d+)\.(\d+)\.(\d+)(?:\.(\d+))?\b", lambda m: " " + " point ".join(cardinal(part) for part in m.groups() if part) + " "),
    _rule(r"(?<![\w)])-(?=\.?\d)", " minus "),
    _rule(r"(?<![\d.,\w])(?:1[1-9]|20)\d\d(?![\d\w]|[.,]\d)", lambda m: " " + year(m[0]) + " "),
    _rule(r"\b\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+", lambda m: " " + decimal(m[0]) + " "),
    _rule(r"\b(?:[a-z]\.){2,}", _dotted),
    _rule(r"\b(" + "|".join(_ABBREVIATIONS) + r")\.", lambda m: _ABBREVIATIONS[m[1].lower()]),
    _rule(r"[&@%+=#<>\u00b0$\u20ac\u00a3\u00a5\\]", lambda m: f" {_SIGNS[m[0]]} "),
    _rule(r"[;:()\[\]{}\"]+|\s-+\s|--+", " , "),
    _rule(r"'(?![a-z])|(?<![a-z])'(?!(?:em|til|tis|twas|cause|bout)\b)", lambda m: " "),
    _rule(r"[^a-zA-Z',.!? ]+", " ", 0),
    _rule(r"\b[A-Z]\b", _capitals, 0),
    _rule(r"\b[A-Z]?[a-z']+[A-Za-z']*|\b[A-Z]+'[A-Za-z]+|\b[A-Z]{7,}\b", lambda m: m[0].lower(), 0),
)  # fmt: skip


def _tidy(text: str) -> str:
    """Single spaces, one pause where several meet (the strongest), none at the beginning, no comma at the end."""

    def strongest(match: re.Match[str]) -> str:
        return next((f"{mark} " for mark in "?!.," if mark in match[0]), " ")

    return re.sub(r"[\s,.!?]+", strongest, text).lstrip(",.!? ").rstrip(", ")
