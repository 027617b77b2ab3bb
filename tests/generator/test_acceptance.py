"""What the program that measures acceptance makes of the times of songs."""

import pytest

from implementations.generator import acceptance
from implementations.generator.acceptance import TRAINED, Measured
from implementations.generator.speculative import Tally


def test_speed_is_of_all_songs_and_its_spread_of_each():
    found = Measured(plain=[2.0, 3.0], drafted=[4.0, 1.0])
    assert found.speedup == 1.0
    assert found.spread == (0.5, 3.0)


def test_the_program_tells_what_the_trained_draft_gives(told_by, monkeypatch):
    drafts = {TRAINED: Measured(Tally(), [1.0, 1.0], [3.0, 2.0]), "dial, 0% wrong": Measured(Tally(), [1.0, 1.0], [0.2, 0.2])}
    monkeypatch.setattr(acceptance, "measure", lambda songs, frames: drafts)
    figure = told_by("implementations.generator.acceptance")["speedup_speculative"]
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.4, 1 / 3, 0.5))
