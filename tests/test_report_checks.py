"""Lines for what is no verdict: of records that did not become history, one for each reason."""

from harness.history import Refused
from harness.report.checks import refused


def test_reasons_that_differ_in_their_numbers_share_a_line() -> None:
    reasons = {"117 calls were timed, 99 % needs 299": 2, "27 calls were timed, 99 % needs 299": 1, "no audio": 1}
    found = {Refused("tts", "native", "quick", "c0ffee", reason): count for reason, count in reasons.items()}
    assert refused(found) == [
        ("not in the history", "3 records: 117 calls were timed, 99 % needs 299, and the like"),
        ("not in the history", "1 record: no audio"),
    ]
