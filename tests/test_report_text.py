"""Numbers in human units, and harmless text."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics import Absent
from harness.report import text
from harness.stats import Interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.00012, "0.00012"), (5.5e-5, "5.5e-05"), (0.9, "0.90"), (4.3, "4.30"), (9.996, "10.0"), (25.08, "25.1"), (99.96, "100"),
     (128.4, "128"), (1.2e6, "1.2e+06"), (math.inf, "inf"), (-0.5, "-0.50")],
)  # fmt: skip
def test_three_digits(value: float, shown: str) -> None:
    assert text.significant(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0 s"), (85e-9, "85.0 ns"), (12.34e-6, "12.3 us"), (0.99949e-3, "999 us"), (0.9996e-3, "1.00 ms"), (0.0491, "49.1 ms"),
     (2.5, "2.50 s")],
)  # fmt: skip
def test_times(value: float, shown: str) -> None:
    assert text.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(512, "512 B"), (3600, "3.60 kB"), (312e6, "312 MB"), (999.6e6, "1.00 GB"), (2.1e9, "2.10 GB"), (-5e6, "-5.00 MB")]
)
def test_bytes(value: float, shown: str) -> None:
    assert text.size(value) == shown


def test_values_with_their_unit() -> None:
    assert text.point("limit_share", Interval(0.61, 0.6, 0.62, 3)) == "61.0 %"
    assert text.point("snr_db", Interval(math.inf, math.inf, math.inf, 3)) == "inf dB"
    assert text.point("throughput_per_second", Interval(12.0, 11.0, 13.0, 3)) == "12.0/s"
    assert text.point("max_abs_difference", Interval(3.6e-7, 0.0, 3.6e-7, 3)) == "3.6e-07"
    assert text.point("rtf", Absent("no audio")) == text.point("rtf", None) == "-"


def test_ratios_show_their_interval_or_their_launches() -> None:
    assert text.times(Interval(25.08, 24.31, 25.97, 3)) == "25.1x [24.3, 26.0]"
    assert text.times(Interval(25.08, None, None, 1)) == "25.1x (1 launch)"
    assert text.times(Interval(25.08, None, None, 2)) == "25.1x (2 launches)"


def test_measured_says_why_not() -> None:
    assert text.measured("rtf", None) == "not measured"
    assert text.measured("rtf", Absent("no audio")) == "not measured: no audio"
    assert text.measured("latency_p50_seconds", Interval(0.01, 0.009, 0.011, 3)) == "10.0 ms [9.00 ms, 11.0 ms]"
    assert text.measured("peak_bytes", Interval(3e8, 3e8, 3e8, 3)) == "300 MB"


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "a\\x1b[31mred\\x1b[0m"),
        ("one\r\ntwo\tthree", "one  two three"),
        ("abc\u202edef", "abc\\u202edef"),
        ("half \ud800 and none \uffff", "half \\ud800 and none \\uffff"),
        ("zero\x00 bell\x07 next line\x9b", "zero\\x00 bell\\x07 next line\\x9b"),
        ("plain é 漢 [bold] std::vector::size", "plain é 漢 [bold] std::vector::size"),
        ("::error::forged ::Set-Output name=x::1 ##[error]old", ": :error::forged : :Set-Output name=x::1 # #[error]old"),
    ],
)
def test_commands_to_the_terminal_become_visible(given_text: str, shown: str) -> None:
    assert text.clean(given_text) == shown


@given(st.text(alphabet=st.characters()))
def test_clean_text_is_one_line_that_commands_nothing_and_is_clean(anything: str) -> None:
    found = text.clean(anything)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn") for character in found)
    assert found.splitlines() in ([], [found])
    assert text.clean(found) == found


def test_line_breaks_can_be_kept() -> None:
    assert text.clean("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_long_text_is_cut_and_says_so() -> None:
    found = text.sentence("x" * 5000)
    assert len(found) < 700
    assert "(4400 characters left out)" in found
