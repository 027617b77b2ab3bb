"""Floors and memory that follow from counts; verdicts that follow from floors; time of all layers from the time of a few."""

import math

import pytest

from harness.stats import Interval
from harness.targets import Target
from harness.verdict import answer_target
from implementations.generator.flavours import FLAVOURS
from implementations.generator.limits import (
    PLAIN,
    Split,
    amdahl,
    board_floors,
    board_teraflops,
    codec_bytes,
    counted_sizes,
    floor_rtf,
    frame_bytes,
    memory_bytes,
    speculative_speedup,
)

WHOLE = FLAVOURS["3B+300M"]


@pytest.mark.parametrize(
    ("bandwidth", "rtf"),
    [(4800, 0.028), (936, 0.146), (273, 0.50), (51, 2.66), (42, 3.2)],
    ids=["H200", "RTX 3090", "GB10", "the document's board", "two cores"],
)
def test_floors_of_a_song_of_three_minutes(bandwidth, rtf):
    assert floor_rtf(WHOLE, bandwidth) == pytest.approx(rtf, rel=0.03)


def test_the_documents_budget_is_beyond_its_own_board():
    """RTF 1.5 at 51 GB/s: said as `unreachable`. At 273 GB/s it is within reach."""
    target = Target("generator", "gb10", "rtf", "001", "stated", at_most=1.5)
    slow, fast = (answer_target(target, Interval(4.0, 3.9, 4.1, 3), floor=floor_rtf(WHOLE, memory)) for memory in (51, 273))
    assert (slow.state, fast.state) == ("fail", "fail")
    assert slow.notes == ("unreachable: this machine allows 2.672 at best",) or slow.notes[0].startswith(
        "unreachable: this machine allows 2.6"
    )
    assert not fast.notes


def test_memory_of_a_song_of_three_minutes():
    """Upstream's own caches break the document's 12 GB; caches of the length of the song do not."""
    assert memory_bytes(WHOLE, upstream=True) == pytest.approx(13.6e9, rel=0.01)
    assert memory_bytes(WHOLE) == pytest.approx(8.5e9, rel=0.01)
    assert memory_bytes(WHOLE, width=1) < 4.3e9


def test_a_frame_reads_its_weights_and_half_of_the_last_caches():
    weights = frame_bytes(WHOLE, seconds=0) - 2 * 2 * 200 * WHOLE.backbone.position_values
    assert weights == 2 * WHOLE.frame_parameters
    assert frame_bytes(WHOLE, seconds=180) - weights == pytest.approx(0.30e9, rel=0.02)
    assert frame_bytes(WHOLE, seconds=180, rows=1) < frame_bytes(WHOLE, seconds=180)


def test_layers_cost_the_same():
    split = Split(layers=2, backbone=0.010, rest=0.1)
    assert split.at(2) == pytest.approx(0.110)
    assert split.at(28) == pytest.approx(0.240)
    assert split.rtf(28) == pytest.approx(3.0)


def test_speed_is_a_function_of_acceptance():
    """A free draft that is always right saves all but one of the backbone's passes, one that never is costs what checking costs."""
    speed = {a: speculative_speedup(a, ahead=3, draft=0.0, flavour=WHOLE) for a in (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)}
    assert list(speed.values()) == sorted(speed.values())
    assert 0.9 < speed[0.0] < 1.05
    assert speed[0.98] > 2.5
    assert speed[0.95] < 4, "the document's 4x needs more than 95 % of single codes right"
    assert speculative_speedup(0.9, ahead=3, draft=0.1, flavour=WHOLE) < speed[0.9]


def test_the_documents_board_is_beyond_the_floor_with_the_best_of_drafts_too():
    floors = board_floors()
    assert floors[PLAIN] == pytest.approx(floor_rtf(WHOLE, 51))
    assert board_teraflops(4) == pytest.approx(8 * 2 * 4 * 2 * 3.0e9 / 1e12)
    assert floors["codec, float32"] == pytest.approx(2 * floors["codec, float16"])
    drafted = next(floor for name, floor in floors.items() if "drafts" in name)
    assert drafted < 1.5 < min(floor for name, floor in floors.items() if "drafts" not in name)


def test_amdahl():
    assert amdahl(0.0, math.inf) == 1.0
    assert amdahl(0.5, math.inf) == 2.0
    assert amdahl(0.6, 4.0) == pytest.approx(1 / 0.55), "by the document's own shares, 4 times on the LM is no more than this"
    assert amdahl(1.0, 4.0) == 4.0


def test_exact_rows_keep_wider_caches():
    positions = 200 + 2250
    wider = memory_bytes(WHOLE, kept=4) - memory_bytes(WHOLE)
    assert wider == pytest.approx(2 * 2 * positions * WHOLE.backbone.position_values, rel=1e-3)


def test_the_program_tells_what_the_ledger_asks_of_it(told_by):
    """Its own figures are the document's verdicts: memory of both models at once, the codec's sizes, no Snake."""
    told = told_by("implementations.generator.limits")
    assert told["rtf_floor"].limit
    assert told["rtf_floor"].value == pytest.approx(2.66, abs=0.01)
    assert told["counted_peak_bytes"].value == memory_bytes(WHOLE, kept=4) + codec_bytes()
    assert told["component_size_error"].value == pytest.approx(1 - 500e6 / counted_sizes()["flow matching"])
    assert (told["speedup_snake"].value, told["speedup_snake"].limit) == (1.0, True)
