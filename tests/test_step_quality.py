"""A part of docs/history.md again: our steps beside asv's on the same series, and the page is what its script writes."""

from pathlib import Path

import pytest
from step_quality import CHANGES, DETECTORS, Cell, hits, interval, lives, share, slow_downs, table

ROOT = Path(__file__).parent.parent
SERIES = 40


@pytest.mark.parametrize("heavy", [False, True])
def test_neither_imagines_slow_downs_in_a_quiet_series(heavy):
    """Nominal 1 % of the series, about 2 % under heavy tails: 6 of 80 would be far outside both."""
    total = dict.fromkeys(DETECTORS, 0)
    for points in (12, 24):
        for name, count in hits(Cell(points, 0.02, heavy), SERIES).items():
            total[name] += count
    assert max(total.values()) <= 5


def test_the_newest_point_of_a_series_is_where_the_two_differ_most():
    found = hits(Cell(24, 0.01, False, 0.10, "newest"), SERIES)
    assert found["harness"] >= 0.95 * SERIES
    assert found["asv at 2 %"] <= 0.5 * SERIES


@pytest.mark.parametrize(
    ("cell", "least"),
    [
        (Cell(24, 0.01, False, 0.05, "5th newest"), 0.95),
        (Cell(24, 0.02, False, 0.10, "middle"), 0.95),
        (Cell(24, 0.02, True, 0.10, "5th newest"), 0.9),
        (Cell(48, 0.005, False, 0.03, "2nd newest"), 0.95),
    ],
)
def test_a_slow_down_that_stays_is_found(cell, least):
    found = hits(cell, SERIES)
    assert found["harness"] >= least * SERIES
    assert found["harness"] >= found["asv at 2 %"]


def test_a_step_that_both_see_is_seen_at_its_place_by_both():
    cell = Cell(48, 0.005, False, 0.10, "middle")
    for values in cell.series(3):
        assert slow_downs(values) == {name: [cell.at] for name in DETECTORS}
    assert slow_downs(1 / values)["harness"] == [], "a speed-up is none"


def test_series_repeat_and_a_whole_life_holds_its_last_verdict():
    cell = Cell(12, 0.03, True)
    assert [list(one) for one in cell.series(2)] == [list(one) for one in cell.series(2)]
    ever, last = lives(cell, 20), hits(cell, 20)
    assert all(ever[name] >= last[name] for name in DETECTORS)


def test_intervals_are_exact():
    assert interval(0, 300) == (0, pytest.approx(0.01222, abs=1e-4))
    assert interval(300, 300) == (pytest.approx(0.98778, abs=1e-4), 1)
    assert interval(2, 20) == pytest.approx((0.01235, 0.31698), abs=1e-4)
    assert share(2, 20) == "10 [1, 32]"


def test_the_page_is_what_the_script_writes():
    page = (ROOT / "docs" / "history.md").read_text(encoding="utf-8")
    count = int(page.partition("Percent of ")[2].partition(" ")[0]) // 3
    assert count >= 100
    assert page.count("\n## ") == 1 + 2 * len(CHANGES)
    cell = Cell(12, 0.01, False, 0.10, "newest")
    row = next(line for line in page.partition("10 %, normal: found")[2].splitlines() if line.startswith("| 12 | 1 % |"))
    for written, (name, found) in zip(row.split(" | ")[2].split(" / "), hits(cell, count).items(), strict=True):
        low, high = map(float, written.partition("[")[2].rstrip("]").split(", "))
        assert low <= 100 * found / count <= high, f"{name}: {written}"
    assert table(("a",), [("b",)]) == ["| a |", "| --- |", "| b |"]
