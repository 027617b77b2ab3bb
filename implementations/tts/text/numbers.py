"""Numbers in English words.

Written here because the libraries cost more than they save: `inflect` takes 1.6 s to import, `num2words` is LGPL.
"""

from __future__ import annotations

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip

LIMIT = 10**15
"""From here on a number is read digit by digit: nobody follows "quadrillion"."""


def cardinal(text: str) -> str:
    """Words of a whole number written in digits; from `LIMIT` on, and with zeros in front, digit by digit."""
    if len(text.lstrip("0")) > 15 or (len(text) > 1 and text[0] == "0"):
        return digits(text)
    number = int(text)
    if number == 0:
        return "zero"
    words: list[str] = []
    for power in range(4, -1, -1):
        part = number // 1000**power % 1000
        if part:
            words += [_below_thousand(part), _SCALES[power]]
    return " ".join(words).strip()


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [_SMALL[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(_SMALL[rest])
    return " ".join(words)


def ordinal(text: str) -> str:
    """Words of the place that a whole number in digits names: "22" is "twenty second"."""
    *before, last = cardinal(text).split()
    regular = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return " ".join([*before, _ORDINALS.get(last, regular)])


def digits(text: str) -> str:
    """Each digit by its name."""
    return " ".join(_SMALL[int(digit)] for digit in text)


def year(text: str) -> str:
    """Words of a year from 1100 to 2099: two numbers, but "two thousand six" and "nineteen hundred"."""
    number = int(text)
    century, rest = divmod(number, 100)
    if number // 10 == 200 or number % 1000 == 0:
        return cardinal(text)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def plural(words: str) -> str:
    """Of a number: "nineties", "twenty tens", "hundreds"."""
    return words[:-1] + "ies" if words.endswith("y") else words + ("es" if words.endswith("x") else "s")


def decimal(text: str) -> str:
    """Words of a number in digits that may have thousands separators and a fraction: "1,234.50"."""
    whole, _, fraction = text.replace(",", "").partition(".")
    return cardinal(whole or "0") + (f" point {digits(fraction)}" if fraction else "")
