"""What is kept of a difference, so that it can be looked at later."""

from __future__ import annotations

import json

import numpy as np
import pages
import pytest
from synthetic import record

from harness.component import Close, Identical
from harness.evidence import AROUND, MOST_CELLS, picture
from harness.parity import compare
from harness.store import from_json, to_json


def test_a_map_keeps_the_worst_of_each_cell_in_the_plane_of_the_worst_element():
    found = pages.wrong_spectrogram().picture
    assert found is not None
    assert (found.kind, found.shape, found.extent) == ("map", (64, 40), (400, 81))
    cells = np.array(found.candidate).reshape(found.shape)
    worst = np.unravel_index(cells.argmax(), cells.shape)
    assert cells.max() == pytest.approx(3.1e-6, rel=0.03)
    assert (worst[0] * 400 / 64, worst[1] * 81 / 40) == pytest.approx((150, 32), abs=7)


def test_small_outputs_are_kept_whole():
    reference, candidate = np.zeros((3, 4)), np.zeros((3, 4))
    candidate[1, 2] = 5.0
    found = compare({"y": reference}, {"y": candidate}, {"y": Close(1.0)})[0].picture
    assert found is not None
    assert np.array(found.candidate).reshape(found.shape).tolist() == candidate.tolist()


def test_a_curve_is_kept_around_its_worst_element():
    found = pages.wrong_samples().picture
    assert found is not None
    assert found.kind == "curve"
    assert found.start[0] <= 2000 <= found.start[0] + 2 * AROUND
    assert len(found.reference) == len(found.candidate) == 2 * AROUND + 1


def test_events_are_kept_around_the_first_that_differs():
    found = pages.wrong_beats().picture
    assert found is not None
    assert found.kind == "events"
    assert 9.5 in found.reference
    assert 9.62 in found.candidate


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [(np.float64(1), np.float64(2)), (np.zeros(3), np.zeros(4)), (np.zeros(0), np.zeros(0)), (np.array(["a"]), np.array(["b"])),
     (np.zeros((2, 3), complex), np.ones((2, 3), complex))],
)  # fmt: skip
def test_where_there_is_nothing_to_draw_there_is_no_picture(reference, candidate):
    result = compare({"y": reference}, {"y": candidate}, {"y": Identical()})[0]
    assert result.picture is None


def test_what_is_not_finite_is_a_picture_too():
    reference, candidate = np.zeros((4, 4)), np.zeros((4, 4))
    candidate[2, 1] = np.nan
    result = compare({"y": reference}, {"y": candidate}, {"y": Close(1.0)})[0]
    assert result.picture is not None
    assert np.isinf(result.picture.candidate).sum() == 1


def test_a_passing_output_keeps_none():
    assert compare({"y": np.zeros((4, 4))}, {"y": np.zeros((4, 4))}, {"y": Identical()})[0].picture is None


def test_pictures_stay_small_and_survive_the_store():
    kept = record(parity=[pages.wrong_spectrogram(), pages.wrong_beats(), pages.wrong_samples()])
    line = to_json(kept)
    assert len(json.dumps(json.loads(line)["parity"])) < 45_000
    assert from_json(line) == kept


def test_a_long_axis_is_cut_into_cells():
    difference = np.zeros((100_000, 3))
    difference[77_777, 1] = 1.0
    found = picture(np.zeros((100_000, 3)) - 1, difference - 1, difference, (77_777, 1))
    assert found is not None
    assert found.shape == (MOST_CELLS[0], 3)
    assert int(np.argmax(found.candidate)) // 3 == 77_777 * 64 // 100_000
