"""The account of a whole song, on given costs; what is measured for it, at tiny sizes."""

from dataclasses import replace

import pytest
import torch

from implementations.codec.configuration import FLAVOURS as CODECS
from implementations.codec.song import SEGMENT, cut
from implementations.generator import account
from implementations.generator import costs as account_costs
from implementations.generator.account import (
    BACKBONE,
    STATED_SHARES,
    evaluation_seconds,
    first_audio,
    second_of,
    share_error,
    shares_of,
    shortest_segment,
    spread,
    table_of,
)
from implementations.generator.costs import Costs, Others, Round, median_of
from implementations.generator.flavours import FLAVOURS
from implementations.generator.limits import Split, amdahl
from implementations.generator.pipeline import SHORT_SEGMENT

WEIGHTS = 0.2


def costs(factor=1.0, row=1.2):
    """A frame of 0.08 s at all layers, so an RTF of 1, and an evaluation of 0.64 s, so one of 1 at 10 steps; a second row costs `row`."""
    frames = (Split(2, factor * 0.04 * 2 / BACKBONE, factor * 0.04), Split(2, row * factor * 0.04 * 2 / BACKBONE, row * factor * 0.04))
    return Costs(frames, (factor * 0.64, row * factor * 0.64), factor * 0.1)


def test_a_second_of_a_song():
    overlap = SHORT_SEGMENT / cut(SHORT_SEGMENT, SHORT_SEGMENT).hop
    found = second_of(costs(), 10, "none")
    assert (found.lm, found.flow, found.decoder) == pytest.approx((1.0, 1.0, 0.1 * overlap))
    assert found.rtf == pytest.approx(2 + 0.1 * overlap)
    batched, turns = (second_of(costs(row=1.2), 10, pair) for pair in ("batched", "in turn"))
    assert (batched.lm, batched.flow) == pytest.approx((1.2, 1.2))
    assert (turns.lm, turns.flow, turns.decoder) == pytest.approx((2.0, 2.0, found.decoder))
    assert second_of(costs(), 20, "none").flow == pytest.approx(2.0)


def test_shares_are_of_all_of_the_time():
    shares = shares_of(costs(row=1.5))
    assert sum(shares.values()) == pytest.approx(1.0)
    whole = second_of(costs(row=1.5), 20, "batched").rtf
    assert (shares["LM"], shares["flow matching"], shares["CFG overhead"]) == pytest.approx((1 / whole, 2 / whole, 1.5 / whole))
    assert shares_of(costs(row=1.0))["CFG overhead"] == pytest.approx(0.0)


def test_the_error_of_shares_is_the_worst_one():
    assert share_error(STATED_SHARES) == 0.0
    assert share_error({"LM": 0.5, "flow matching": 0.27, "CFG overhead": 0.2, "decoder": 0.03}) == pytest.approx(0.1)


def test_the_cumulative_table_falls_row_by_row():
    table = table_of(costs(4), costs(2), costs(1))
    assert [row.rtf for row in table] == sorted((row.rtf for row in table), reverse=True)
    assert len(table) == 6
    assert all(row.assumed <= row.rtf for row in table)
    assert [row.assumed == row.rtf for row in table] == [True] * 3 + [False] * 3, "drafts come with the fourth row"
    before, after = table[2], table[3]
    share = second_of(costs(4), 10, "batched").lm / before.rtf
    assert before.rtf / after.assumed == pytest.approx(amdahl(share, 4.0)), "4 times on a part of the time"


def test_a_row_that_gains_nothing_says_so(capsys):
    """A pair that costs as much together as in turn."""
    rounds = [Round((costs(4, row=2.0), costs(2)), (costs(2), costs(1)), 1.0)]
    account.report(rounds, WEIGHTS)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  +")]
    assert ["no gain here" in line for line in lines] == [False, True, False, False, False]


def test_an_evaluation_takes_at_least_the_reading_of_its_weights():
    whole = evaluation_seconds(costs(), SHORT_SEGMENT, WEIGHTS)
    assert whole == pytest.approx(1.2 * 0.64)
    assert evaluation_seconds(costs(), 1, WEIGHTS) == WEIGHTS
    assert 4 * whole < evaluation_seconds(costs(), SEGMENT, WEIGHTS) < 5 * whole, "attention is of all latents with all"


def test_the_first_sound_comes_later_of_longer_segments():
    seconds = [first_audio(costs(), segment, 2.0, WEIGHTS) for segment in (1, 5, 93, 372)]
    assert seconds == sorted(seconds)
    frame = costs().frame[1]
    expected = 2.0 + 94 * frame.rest + 93 * frame.at(BACKBONE) - 93 * frame.rest + 10 * 1.2 * 0.64 + 0.1 * 93 / 12.5
    assert seconds[2] == pytest.approx(expected), "a text, 94 frames of which the text foretells the first, ten evaluations, a decoder"
    assert first_audio(costs(), 93, 3.0, WEIGHTS) == pytest.approx(seconds[2] + 1.0)


def test_no_shorter_segment_is_worth_it():
    shortest = shortest_segment(costs(), WEIGHTS)
    assert evaluation_seconds(costs(), shortest, 0.0) >= WEIGHTS > evaluation_seconds(costs(), shortest - 1, 0.0)
    assert shortest_segment(costs(), 1e9) == SEGMENT


def rounds_of(*factors):
    return [Round((costs(4 * noise), costs(2 * noise)), (costs(2 * noise), costs(noise)), noise) for noise in factors]


def test_medians_are_of_each_cost():
    assert median_of(rounds_of(1.2, 0.9, 1.0)) == rounds_of(1.0)[0]
    mixed = replace(rounds_of(1.0)[0], text=9.0)
    assert median_of([mixed, *rounds_of(0.5, 2.0)]).text == 2.0


def test_one_spoiled_round_moves_neither_value_nor_interval():
    quiet, spoiled = (spread(rounds_of(*factors), lambda one: one.text) for factors in ([1.0] * 9, [1.0] * 8 + [50.0]))
    assert spoiled == quiet == (1.0, (1.0, 1.0))
    found = spread(rounds_of(0.9, 1.0, 1.1, 1.2, 1.3), lambda one: one.text)
    assert found.value == 1.1
    assert 0.9 <= found.interval[0] < 1.1 < found.interval[1] <= 1.3


def test_costs_are_measured_round_by_round(monkeypatch):
    """All calls at the sizes of the goldens: a frame of each way, evaluations, blocks, the decoder, the reading of a text."""
    monkeypatch.setattr(account_costs, "FLAVOURS", {"real-width": FLAVOURS["tiny"]})
    monkeypatch.setattr(account_costs, "CODECS", {"width": CODECS["tiny"]})
    for name in ("TEXT", "MIDDLE", "SHORT_SEGMENT"):
        monkeypatch.setattr(account_costs, name, 6)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # two would wait for each other longer than they compute
    rounds = account_costs.measure(2)
    assert len(rounds) == 2
    for one in rounds:
        for found in (*one.upstream, *one.native):
            assert min(*found.evaluation, found.decoder, *(split.at(BACKBONE) for split in found.frame)) > 0
            assert [split.layers for split in found.frame] == [FLAVOURS["tiny"].backbone.layers] * 2
        assert one.text > 0


def test_the_program_tells_what_the_ledger_asks_of_it(told_by, monkeypatch):
    monkeypatch.setattr(account, "measure", lambda count: rounds_of(0.9, 1.0, 1.2))
    monkeypatch.setattr(account, "bandwidth", lambda threads: 30.0)
    monkeypatch.setattr(Others, "share", 0.02)
    told = told_by("implementations.generator.account")
    assert {metric for metric, figure in told.items() if figure.how == "measured"} == set(account.GAINS)
    assert all(figure.how in ("measured", "modelled") and not figure.limit for figure in told.values())
    assert told["speedup_kernels"].value == told["speedup_cores"].value == 2.0
    assert told["speedup_core_apart"].value == 0.5
    rtf = told["modelled_rtf"]
    assert (rtf.low / rtf.value, rtf.high / rtf.value) == pytest.approx((0.9, 1.2))
    assert told["time_share_error"].value == pytest.approx(share_error(shares_of(costs())))
    assert told["modelled_first_audio_seconds"].value > SEGMENT * 0.08


def test_a_busy_machine_tells_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["account"])
    monkeypatch.setenv("HARNESS_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setattr(account, "measure", lambda count: [Round((costs(4), costs(2)), (costs(2), costs(1)), 1.0)])
    monkeypatch.setattr(account, "bandwidth", lambda threads: 30.0)
    monkeypatch.setattr(Others, "share", 0.3)
    assert account.main() == 1
    assert "other work took 30% of the cores" in capsys.readouterr().out
    assert not (tmp_path / "figures").exists()


def test_the_time_of_others_is_what_this_process_did_not_take(monkeypatch):
    """Ten seconds of two cores, fourteen of them busy, ten by this process."""
    readings = iter([(100.0, 50.0, 5.0), (110.0, 64.0, 15.0)])
    monkeypatch.setattr(Others, "_now", lambda self=None: next(readings))
    monkeypatch.setattr("psutil.cpu_count", lambda: 2)
    assert Others().share == pytest.approx(0.2)
