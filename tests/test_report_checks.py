"""Lines for what is no verdict: of records that did not become history, one for each reason; of settings, which are dead."""

from harness.history import Refused
from harness.measure import Flip
from harness.report.checks import flips, refused


def test_reasons_that_differ_in_their_numbers_share_a_line() -> None:
    reasons = {"117 calls were timed, 99 % needs 299": 2, "27 calls were timed, 99 % needs 299": 1, "no audio": 1}
    found = {Refused("tts", "native", "quick", "c0ffee", reason): count for reason, count in reasons.items()}
    assert refused(found) == [
        ("not in the history", "3 records: 117 calls were timed, 99 % needs 299, and the like"),
        ("not in the history", "1 record: no audio"),
    ]


def test_settings_end_with_how_many_of_them_show_and_which_are_dead() -> None:
    told = "case quick: time between cache=True and cache=False: 9.5 times the wall time of a call"
    shown = Flip("tts", "native", "cache", True, f"tts.native, {told}")
    dead = Flip("tts", "", "pool", False, "no implementation of tts honours pool")
    one, other, total = flips([shown, dead])
    assert one == ("tts.native", told)
    assert other == ("tts", "DEAD no implementation of tts honours pool")
    assert total == ("settings", "1 of 2 show when turned; dead: pool of tts")
    assert flips([shown])[-1] == ("settings", "1 of 1 show when turned")
    assert flips([]) == []
