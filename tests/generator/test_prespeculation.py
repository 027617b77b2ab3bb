"""The simulated schedule beside what it must tend to, and its edges."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from implementations.generator.prespeculation import Scheme, chances, expected, misses, prepared, simulate

SCHEME = Scheme(acceptance=0.8, ahead=3, draft=0.1, outcomes=16, decay=0.8)


def test_the_chances_of_a_round_are_those_of_all_its_outcomes():
    counted = np.zeros(4)
    for right in product([False, True], repeat=3):
        counted[(*right, False).index(False)] += np.prod([0.8 if one else 0.2 for one in right])
    np.testing.assert_allclose(chances(SCHEME), counted)
    assert chances(SCHEME).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("outcomes", [0, 1, 5, 12])
def test_no_other_way_to_share_out_the_candidates_misses_less(outcomes):
    scheme = replace(SCHEME, outcomes=outcomes)
    ways = [np.array(counts) for counts in product(range(outcomes + 1), repeat=4) if sum(counts) == outcomes]
    best = min(chances(scheme) @ misses(scheme, counts) for counts in ways)
    assert prepared(scheme).sum() == outcomes
    assert chances(scheme) @ misses(scheme, prepared(scheme)) == pytest.approx(best)


@pytest.mark.parametrize("acceptance", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("draft", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("prespeculate", [False, True])
def test_the_simulation_tends_to_what_is_expected(acceptance, draft, prespeculate):
    scheme = replace(SCHEME, acceptance=acceptance, draft=draft)
    found = simulate(scheme, 20_000, prespeculate=prespeculate)
    assert found == pytest.approx(expected(scheme, prespeculate=prespeculate), rel=0.02)


def test_nothing_prepared_is_ordinary_speculation():
    nothing = replace(SCHEME, outcomes=0)
    assert (misses(nothing, prepared(nothing)) == 1).all()
    assert simulate(nothing, 500, prespeculate=True) == pytest.approx(simulate(SCHEME, 500, prespeculate=False))


def test_all_that_can_be_hidden_is_the_time_of_drafting():
    """Twice ordinary speculation takes drafts that cost as much as the verification, and an outcome that is always prepared for."""
    certain = Scheme(acceptance=1.0, ahead=4, draft=0.25, outcomes=100, decay=5.0)
    assert expected(certain, prespeculate=True) / expected(certain, prespeculate=False) == pytest.approx(2.0, rel=1e-3)
    free = replace(SCHEME, draft=0.0)
    assert expected(free, prespeculate=True) == pytest.approx(expected(free, prespeculate=False))
    slow = replace(SCHEME, draft=1.0)
    assert expected(slow, prespeculate=True) < 4 / 3


def test_schemes_that_cannot_be_are_refused():
    for change in ({"acceptance": 1.1}, {"ahead": 0}, {"draft": -1.0}, {"decay": 0.0}):
        with pytest.raises(ValueError, match="expected acceptance 0 to 1"):
            replace(SCHEME, **change)


def test_the_program_tells_the_best_of_its_table(told_by, capsys):
    told = told_by("implementations.generator.prespeculation", "--rounds", "300")
    ratios = [float(line.split()[-1].rstrip("x")) for line in capsys.readouterr().out.splitlines()[1:]]
    assert told["speedup_prespeculation"].how == "simulated"
    assert told["speedup_prespeculation"].value == pytest.approx(max(ratios), abs=0.005)
