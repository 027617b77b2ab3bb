"""Error rates of the gate and its peers: counted from a file that grows and is resumed."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from harness.gate import quality, selftest, tally, trial
from harness.gate.peers import PEERS
from harness.gate.quality import SLOWER, Quality, jobs, wanted
from harness.gate.tally import GATE, ORDER, Verdict, append, mend, rates, read, specimens, wrong
from harness.gate.trial import Specimen
from harness.report import errors
from harness.settings import ConfigurationError

DOCS = Path(__file__).parents[1] / "docs"
MEAN = "--benchmark-compare-fail=mean:5%"
SLOWED = Specimen("1ms", 0.03, 0.034, 0.0297, 0.029, 0.0304, 24)


def verdict(**fields):
    values = {"machine": "here", "when": "2025-01-02T03:04:05+00:00", "case": "1ms", "slower": 0.0, "busy": False, "state": "pass",
              "other": "pass", "seconds": 2.0, "launches": 3, **fields}  # fmt: skip
    return Verdict(**values)


def line(one):
    return json.dumps(dataclasses.asdict(one))


def test_rates_are_counted_by_cell_with_exact_intervals():
    found = rates([*[verdict()] * 9, verdict(state="fail", seconds=4.0), verdict(slower=0.05, state="fail"), verdict(busy=True)])
    assert [(one.busy, one.slower, one.n) for one in found] == [(False, 0.0, 10), (False, 0.05, 1), (True, 0.0, 1)]
    share, low, high = found[0].states["fail"]
    assert share == pytest.approx(0.1)
    assert low == pytest.approx(0.0025, abs=1e-3)
    assert high == pytest.approx(0.445, abs=1e-3)
    assert found[0].median_seconds == 2.0


def test_tools_on_one_kernel_stand_together_in_order_and_are_never_added_up():
    found = rates([verdict(tool=tool, case=case) for tool in reversed(ORDER) for case in ("50ms", "10us")])
    assert [one.case for one in found] == ["10us"] * len(ORDER) + ["50ms"] * len(ORDER)
    assert [one.tool for one in found[: len(ORDER)]] == list(ORDER)
    assert {one.n for one in found} == {1}


def test_what_was_not_recorded_has_no_median():
    (old,) = rates([verdict()])
    (new,) = rates([verdict(), verdict(cpu_seconds=3.0, found=0.01)])
    assert (old.median_cpu_seconds, old.found) == (None, None)
    assert (new.median_cpu_seconds, new.found) == (3.0, 0.01)


def test_what_the_gate_must_never_do_is_wrong():
    assert wrong(rates([verdict(state="fail")])[0])
    assert wrong(rates([verdict(other="fail")])[0])
    assert wrong(rates([verdict(slower=0.05)])[0])
    assert wrong(rates([verdict(slower=0.05, state="error")])[0])
    assert not wrong(rates([verdict(slower=0.03)])[0])
    assert not wrong(rates([verdict(state="inconclusive")])[0])
    assert not wrong(rates([verdict(slower=0.1, state="fail")])[0])
    assert not wrong(rates([verdict(state="fail", tool=MEAN)])[0]), "that is the peer's fault"


def test_a_file_is_read_to_its_last_whole_line_and_for_all_machines(tmp_path):
    file = tmp_path / "quality.jsonl"
    lines = [line(one) for one in (verdict(), verdict(machine="there"), verdict(state="fail"))]
    file.write_text("\n".join(lines) + "\n" + lines[0][:20])
    assert [(one.machine, one.state) for one in read(file)] == [("here", "pass"), ("there", "pass"), ("here", "fail")]
    assert read(tmp_path / "none") == []


def test_what_follows_an_unfinished_line_is_not_lost_with_it(tmp_path):
    file = tmp_path / "quality.jsonl"
    file.write_text(line(verdict()) + "\n" + line(verdict(state="fail"))[:20])
    mend(file)
    append(file, dataclasses.asdict(verdict(state="inconclusive")))
    assert [one.state for one in read(file)] == ["pass", "inconclusive"]
    mend(file)
    assert len(read(file)) == 2
    mend(tmp_path / "none")


def test_a_line_that_is_no_verdict_is_named(tmp_path):
    file = tmp_path / "quality.jsonl"
    file.write_text(line(verdict()) + "\nnonsense\n" + line(verdict()) + "\n")
    with pytest.raises(ConfigurationError, match="line 2"):
        read(file)


def test_verdicts_of_another_gate_and_lines_of_an_older_harness_are_told_apart(tmp_path):
    file = tmp_path / "quality.jsonl"
    old = {name: value for name, value in dataclasses.asdict(verdict()).items() if name not in ("tool", "code", "found", "versions")}
    append(file, old)
    append(file, dataclasses.asdict(verdict(code="a", tool=MEAN)))
    append(file, {"machine": "here", "code": "a", "when": "", **dataclasses.asdict(SLOWED)})
    append(file, {"machine": "here", "code": "a", "when": "", **dataclasses.asdict(dataclasses.replace(SLOWED, share=0.0301))})
    assert [one.tool for one in read(file)] == [GATE, MEAN]
    assert [one.tool for one in read(file, "a")] == [MEAN]
    assert [one.share for one in specimens(file, "here", "a")] == [0.0301], "the latest"
    assert specimens(file, "here", "b") == specimens(file, "there", "a") == []


@pytest.mark.parametrize("n", [1, 2, 7, 60, 300])
def test_each_cell_gets_its_number(n):
    count = Counter((job.asks, job.slower) for job in jobs([], n))
    cells = 2 * len(tally.CASES)
    for slower in SLOWER:
        assert count[GATE, slower] == cells * (n if slower == 0 else -(-n // 3))
        for package in PEERS:
            assert count[package, slower] == cells * min(20, -(-n // 3))
    assert wanted(GATE, 0.0, n) == n


def test_wherever_a_run_ends_its_cells_are_equally_long_and_it_goes_on_there():
    all_ = list(jobs([], 60))
    for done in (1, 100, 250, len(all_) - 1):
        found = [
            verdict(tool=tool, case=job.case, slower=job.slower, busy=job.busy)
            for job in all_[:done]
            for tool in PEERS.get(job.asks, (GATE,))
        ]
        gate = Counter((one.case, one.slower, one.busy) for one in found if one.tool == GATE)
        shares = [gate[case, slower, busy] / wanted(GATE, slower, 60) for case in tally.CASES for slower in SLOWER for busy in (0, 1)]
        assert max(shares) - min(shares) <= 1 / 20 + 1e-9
        assert len(list(jobs(found, 60))) == len(all_) - done


def test_a_peer_is_asked_right_after_the_gate():
    last = None
    for job in jobs([], 60):
        if job.asks != GATE:
            assert last == (job.case, job.slower, job.busy)
        last = (job.case, job.slower, job.busy)


def test_a_busy_neighbour_is_busy_and_gone_afterwards():
    with quality._neighbour() as used:
        deadline = quality.time.monotonic() + 20
        while used() < 0.05:
            assert quality.time.monotonic() < deadline
    with pytest.raises(quality.psutil.Error):
        used()


def test_a_tool_that_breaks_has_said_so():
    class Broken:
        def gate(self, *_):
            raise RuntimeError("no verdict today")

        def peer(self, *_):
            raise RuntimeError("none here")

    stamp = quality._Stamp("here", "code")
    (own,) = quality._verdicts(Broken(), quality.Job(GATE, "1ms", 0.0, False), stamp, {})
    theirs = quality._verdicts(Broken(), quality.Job("asv", "1ms", 0.0, False), stamp, {("1ms", 0.0, False): 1.5})
    assert (own.state, own.reason, own.neighbour) == ("error", "RuntimeError: no verdict today", None)
    assert [(one.tool, one.state, one.budget_seconds) for one in theirs] == [(tool, "error", 1.5) for tool in PEERS["asv"]]
    assert own.versions["asv"]


def test_the_fingerprint_is_of_what_a_verdict_comes_from():
    assert trial.fingerprint() == trial.fingerprint()
    assert all((trial.Path(trial.__file__).parent / f"{name}.py").exists() for name in trial.APART)


def test_all_kernels_together_are_one_row_of_each_tool_and_slow_down():
    verdicts = [verdict(case=case, slower=slower) for case in ("10us", "1ms", "50ms") for slower in (0.0, 0.1) for _ in range(2)]
    together = Quality(verdicts, [], owed=0, older=0).together
    assert [(rate.slower, rate.n, rate.states["pass"][0]) for rate in together] == [(0.0, 6, 1.0), (0.1, 6, 1.0)]


def test_the_page_names_machine_dates_versions_and_every_rate():
    verdicts = [verdict(slower=one, versions={"asv": "0.6.6"}, commit="0123456789ab", neighbour=0.98) for one in SLOWER]
    verdicts.append(verdict(tool=MEAN, state="fail", when="2025-02-03T04:05:06+00:00", machine="there"))
    page = errors.markdown(Quality(verdicts, [SLOWED], owed=3, older=2), [("machine", "some|machine")], "harness gate --quality 9")
    assert "some\\|machine" in page
    assert page.count("\n| harness gate | 1ms | idle |") == len(SLOWER)
    assert page.count("\n| harness gate | idle |") == len(SLOWER)
    assert "2025-01-02 03:04 to 2025-02-03 04:05 UTC" in page
    for words in (
        "asv 0.6.6",
        "0123456789ab",
        "3% is 2.97",
        "`harness gate --quality 9`",
        "0.98 CPUs",
        "4 by here, 1 by there",
        "3 more runs are owed",
        "2 verdicts",
    ):
        assert words in page, words


def test_one_of_many_is_not_shown_as_none_nor_the_others_as_all():
    page = errors.markdown(Quality([verdict(), *[verdict(state="inconclusive")] * 899], [], owed=0, older=0), [], "")
    assert "| 900 | 0 \\[0.0, 0.4\\] | 0.1 \\[0.0, 0.6\\] | 99.9 \\[99.4, 100.0\\] |" in page


def test_the_page_of_this_project_says_what_the_verdicts_beside_it_say():
    page, file = DOCS / "gate-quality.md", DOCS / "gate-quality.jsonl"
    verdicts = read(file)
    assert len({one.code for one in verdicts}) == 1, "one gate"
    known = Quality(verdicts, specimens(file, verdicts[-1].machine, verdicts[-1].code), owed=0, older=0)
    told = set(page.read_text(encoding="utf-8").splitlines())
    missing = [line for line in errors.markdown(known, [], "").splitlines() if line.startswith("|") and line not in told]
    assert missing == []
    assert not any(wrong(one) for one in known.rates)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_run_over_all_tools_goes_on_where_it_stopped_and_sees_ten_percent(tmp_path, monkeypatch):
    monkeypatch.setattr(selftest, "CASES", {"1ms": 100})
    monkeypatch.setattr(quality, "CASES", ("1ms",))
    monkeypatch.setattr(quality, "SLOWER", (0.0, 0.10))
    file = tmp_path / "quality.jsonl"
    stopped = quality.run(file, 1, machine="here", profile="any", note=lambda *_: None, seconds=0)
    assert (stopped.owed, stopped.verdicts, stopped.specimens) == (12, [], [])
    stopped = quality.run(file, 1, machine="here", profile="any", note=lambda *_: None, seconds=1)
    assert (stopped.owed, stopped.verdicts) == (12, [])
    assert {one.slower for one in stopped.specimens} == set(trial.SLOWER)
    assert all(one.share == pytest.approx(one.slower, abs=0.01) for one in stopped.specimens)
    found = quality.run(file, 1, machine="here", profile="any", note=lambda *_: None)
    assert found.owed == 0
    assert found.specimens == stopped.specimens
    assert {(one.tool, one.slower, one.busy): one.n for one in found.rates} == {
        (tool, slower, busy): 1 for tool in ORDER for slower in (0.0, 0.10) for busy in (False, True)
    }
    assert not any(wrong(one) for one in found.rates)
    assert [one.reason for one in found.verdicts if one.state == "error"] == []
    assert all(one.budget_seconds for one in found.verdicts if one.tool != GATE)
    assert all(one.neighbour > 0.2 for one in found.verdicts if one.busy)
