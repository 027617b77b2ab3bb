"""What is read for what is written, and that nothing that can be written breaks it."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implementations.tts.text.normalize import normalize
from implementations.tts.text.numbers import cardinal, ordinal, year


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Dr. Smith lives on Elm Dr. in St. Louis, not on 5th St.",
         "doctor smith lives on elm drive in saint louis, not on fifth street"),
        ("It cost $3.50, or £1.01; $5 million, €1, $2bn!",
         "it cost three dollars and fifty cents, or one pound and one penny, five million dollars, one euro, two billion dollars!"),
        ("On January 17, 2026 at 10:05 pm.", "on january seventeenth, twenty twenty six at ten oh five PM."),
        ("2026-01-17, 1/17/2026, 10:00 and 3 p.m.",
         "january seventeenth, twenty twenty six, january seventeenth, twenty twenty six, ten o'clock and three PM"),
        ("In 1984, 1900, 2005 and 2010; the 1990s, the '80s.",
         "in nineteen eighty four, nineteen hundred, two thousand five and twenty ten, the nineteen nineties, the eighties."),
        ("pi is 3.14; 1,234,567 kg; 0.5",
         "pi is three point one four, one million two hundred thirty four thousand five hundred sixty seven "
         "kilograms, zero point five"),
        ("-5 °C, 5-10 km/h, 22 kHz, 1 mph, 20%", "minus five degrees celsius, five to ten kilometers per hour, twenty two kilohertz, "
         "one mile per hour, twenty percent"),
        ("https://www.example.com/a-b?x=1", "WWW dot example dot com slash a dash b question mark x equals one"),
        ("mail me@foo.org or see foo.org.", "mail me at foo dot org or see foo dot org."),
        ("NASA, the U.S.A., e.g. GPUs; MP3", "NASA, the USA, for example, GPUs, MP three"),
        ("3/4 of 2 1/2 and 1/2", "three quarters of two and a half and one half"),
        ("the 22nd, the 101st; No. 7, room 007", "the twenty second, the one hundred first, number seven, room zero zero seven"),
        ("version 1.2.3", "version one point two point three"),
        ("Call 555-1234.", "call five five five, one two three four."),
        ("he said \u201chello\u201d \u2014 isn\u2019t it\u2026", "he said, hello, isn't it."),
        ("A & B @ C: and/or well-known (really)", "a and B at C, and or well known, really"),
        ("1000000000000000", "one" + " zero" * 15),
        ("999999999999999",
         "nine hundred ninety nine trillion nine hundred ninety nine billion nine hundred ninety nine million nine "
         "hundred ninety nine thousand nine hundred ninety nine"),
        ("caf\u00e9 na\u00efve Stra\u00dfe", "cafe naive strasse"),
    ],
)  # fmt: skip
def test_readings(written, read):
    assert normalize(written).text == read
    assert normalize(written).skipped == 0


@pytest.mark.parametrize(
    ("written", "read", "skipped"),
    [
        ("$" + "0" * 5000 + ".50", "fifty cents", 0),
        ("", "", 0),
        ("  \n", "", 0),
        ("...", "", 0),
        ("\x00\x07a", "a", 2),
        ("\u65e5\u672c hi \U0001f600", "hi", 3),
        ("\ud800x", "x", 1),
    ],
)
def test_what_has_no_reading_is_skipped_and_counted(written, read, skipped):
    assert (normalize(written).text, normalize(written).skipped) == (read, skipped)


def test_only_strings():
    with pytest.raises(TypeError, match="text: expected a string, found bytes"):
        normalize(b"hello")


@given(st.text(max_size=80) | st.text(alphabet="0123456789.,-/:$%'aAsS @\u20ac\u00b0", max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_string_becomes_words_and_pauses(text):
    normalized = normalize(text).text
    assert set(normalized) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,.!?'")
    assert "  " not in normalized
    assert normalized == normalized.strip(" ,")


@pytest.mark.parametrize("part", ["1", "a.", "1,", "www.", "a-", "a@", "' ", "1 1/", "a.b@", ", "])
def test_time_is_linear_in_length(part):
    def seconds(length):
        text, started = part * (length // len(part)), time.process_time()
        normalize(text)
        return time.process_time() - started

    # Quadratic rules would take minutes, linear ones a tenth of a second.
    assert seconds(50_000) < 5


def test_numbers():
    assert [cardinal(text) for text in ("0", "10", "100", "1001", "00")] == ["zero", "ten", "one hundred", "one thousand one", "zero zero"]
    assert [ordinal(text) for text in ("1", "12", "20", "100", "1000000")] == [
        "first", "twelfth", "twentieth", "one hundredth", "one millionth",
    ]  # fmt: skip
    assert [year(text) for text in ("2000", "2009", "1105", "2030")] == [
        "two thousand", "two thousand nine", "eleven oh five", "twenty thirty",
    ]  # fmt: skip
