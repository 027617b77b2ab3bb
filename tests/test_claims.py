"""The ledger: which status follows from what was measured."""

from __future__ import annotations

import io
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from synthetic import MACHINE, launches, parity, plan, record

import harness.claims
from harness.claims import Claim, Entry, Session, ledger, load
from harness.installed import Code, Contract, Installed
from harness.played import Figures, Played
from harness.record import Build, Outcome, Record
from harness.report import ledger as report
from harness.settings import ConfigurationError

NATIVE = launches("native", 0.01) + launches("madmom", 0.05)


def claim(**changes: object) -> Claim:
    values = {"id": "1.fast", "source": "doc.txt", "says": "4x faster than madmom", "component": "spectrogram", "check": "here",
              "metric": "speedup_over_madmom", "at_least": 4.0, **changes}  # fmt: skip
    return Claim(**values)  # type: ignore[arg-type]


def session(records: Sequence[Record], **fields: object) -> Session:
    return plan(records, **fields), records  # type: ignore[arg-type]


def entry(of: Claim, *sessions: Session, components: Sequence[str] = ("spectrogram",), proofs: Sequence[Session] = ()) -> Entry:
    (found,) = ledger([of], sessions, components, proofs=proofs)
    return found


def test_a_claim_that_was_shown_is_held() -> None:
    found = entry(claim(), session(NATIVE))
    assert (found.status, found.row, found.machine, found.date) == ("held", "native on drums", MACHINE, "2025-01-02T03:04:05+00:00")
    assert found.value.point == pytest.approx(5.0)  # type: ignore[union-attr]


def test_a_session_under_another_contract_holds_no_claim() -> None:
    codes = dict.fromkeys(("native", "madmom"), Code((), Build()))
    for version, status in ((1, "held"), (2, "not yet measured")):
        now = Installed({"spectrogram": Contract(version, ("drums",), codes)})
        (found,) = ledger([claim()], [session(NATIVE)], ["spectrogram"], installed=now)
        assert found.status == status
    assert "not judged: it is not what is installed now" in found.reason


@pytest.mark.parametrize(
    ("of", "records", "status", "reason"),
    [
        (claim(at_least=6.0), NATIVE, "not held", ""),
        (claim(metric="rtf", at_least=None, at_most=1e-5), launches(floor=0.005), "unreachable", "this machine allows 2.778e-05 at best"),
        (claim(contradiction="2 + 2 is not 5"), NATIVE, "contradicts itself", "2 + 2 is not 5"),
        (claim(component="codec"), NATIVE, "not yet measured", "component not registered: codec"),
        (claim(check="hardware"), NATIVE, "needs hardware", "speedup_over_madmom >= 4 on the hardware it speaks of"),
        (claim(check="hardware", profiles=("apple-silicon",)), NATIVE, "needs hardware", "speedup_over_madmom >= 4 on apple-silicon"),
        (claim(metric="behaviour", at_least=None), NATIVE, "not yet measured", "a behaviour: no metric shows it"),
        (claim(metric="seconds_saved", at_least=None), NATIVE, "not yet measured", "nothing measures seconds_saved yet"),
        (claim(case="stems"), NATIVE, "not yet measured", "no session has speedup_over_madmom of an optimized implementation on stems"),
        (claim(case="stems"), NATIVE, "not yet measured", "harness run spectrogram --case stems"),
        (claim(metric="speedup_over_batch=1", settings={"batch": 4}), NATIVE, "not yet measured", "--thorough --sweep batch=1,4"),
        (claim(implementation="mlx"), NATIVE, "not yet measured", "no session has speedup_over_madmom of mlx: harness run spectrogram"),
        (claim(), launches("native"), "not yet measured", "madmom was not measured on this case"),
        (claim(), [r for r in NATIVE if r.launch < 2], "not yet measured", "2 of the 3 launches"),
        (claim(metric="rtf", at_least=None, at_most=1.0), launches(state={"busy": "steal 9 %"}), "not yet measured", "steal 9 %"),
        (claim(), launches("native", 0.01, parity=[parity(False)]) + launches("madmom", 0.05), "not yet measured", "parity did not pass"),
    ],
)
def test_statuses(of: Claim, records: list[Record], status: str, reason: str) -> None:
    found = entry(of, session(records))
    assert found.status == status
    assert reason in found.reason


def test_hardware_of_the_claim_decides_where_it_was_measured() -> None:
    of = claim(check="hardware", profiles=("apple-silicon",))
    assert entry(of, session(NATIVE, profile="apple-silicon")).status == "held"
    assert entry(claim(check="hardware"), session(NATIVE)).status == "needs hardware"


def test_one_implementation_is_enough_but_it_has_to_hold_on_every_case() -> None:
    slow = launches("torch", 0.04)
    assert entry(claim(), session(NATIVE + slow)).row == "native on drums"
    assert entry(claim(implementation="torch"), session(NATIVE + slow)).status == "not held"
    elsewhere = launches("native", 0.04, case="stems") + launches("madmom", 0.05, case="stems")
    found = entry(claim(), session(NATIVE + elsewhere))
    assert (found.status, found.row) == ("not held", "native on stems")
    assert entry(claim(case="drums"), session(NATIVE + elsewhere)).status == "held"


def test_the_newest_session_that_decides_counts() -> None:
    slow = launches("native", 0.04) + launches("madmom", 0.05)
    noisy = launches("native", 0.01, quiet=0.3) + launches("madmom", 0.05, quiet=0.3)
    assert entry(claim(), session(NATIVE), session(slow)).status == "not held"
    assert entry(claim(), session(slow), session(NATIVE)).status == "held"
    assert entry(claim(), session(slow), session(noisy)).status == "not held"
    assert "the machine was busy" in entry(claim(), session(noisy)).reason


def test_what_is_described_is_reported_not_judged() -> None:
    found = entry(claim(metric="peak_bytes", at_least=None), session(NATIVE))
    assert (found.status, found.reason) == ("not yet measured", "it states no bound to judge by")
    assert found.value.point == 3e8  # type: ignore[union-attr]


def test_the_ledger_of_the_project_is_whole() -> None:
    claims = load()
    assert len(claims) >= 70
    assert {one.source[:3] for one in claims} == {"000", "001", "002", "003", "004"}
    found = ledger(claims, [], ["spectrogram", "dbn"])
    assert {one.status for one in found} == {"not yet measured", "needs hardware", "contradicts itself"}
    assert all(one.reason for one in found)
    assert [one.claim.source for one in found] == sorted(one.claim.source for one in found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("check", '"here"', '"there"'), r"claim 1 \(1.fast\): check: expected here, hardware or model, found 'there'"),
        (("says", "says =", "say ="), "unexpected keyword argument 'say'"),
        (("bound", "at_least = 4.0", "at_least = 4.0\nat_most = 5.0"), "at most one of at_most and at_least, found both"),
        (("twice", "\n\n", "\n\n" + "{again}"), "the id is taken"),
        (("toml", "[[claim]]", "[[claim]"), "expected a readable TOML file"),
    ],
)
def test_a_ledger_that_cannot_be_is_a_configuration_error(change: tuple[str, str, str], message: str, tmp_path: Path) -> None:
    entry_ = '[[claim]]\nid = "1.fast"\nsource = "d"\nsays = "s"\ncomponent = "c"\nmetric = "rtf"\nat_least = 4.0\ncheck = "here"\n\n'
    path = tmp_path / "claims.toml"
    path.write_text(entry_.replace(change[1], change[2].replace("{again}", entry_)))
    with pytest.raises(ConfigurationError, match=message):
        load(path)


def test_the_data_lies_beside_the_module() -> None:
    path = Path(harness.claims.__file__).with_name("claims.toml")
    assert len(tomllib.loads(path.read_text(encoding="utf-8"))["claim"]) == len(load())


def test_the_ledger_is_shown_with_what_was_found() -> None:
    entries = ledger([claim(), claim(id="2.no", component="codec", says="a|b\x1b[31m")], [session(NATIVE)], ["spectrogram"])
    console = Console(file=io.StringIO(), width=200, highlight=False)
    report.render(entries, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"claim +stated +measured here +status +why", text)
    assert re.search(r"1\.fast +speedup_over_madmom >= 4 +5\.00 \[5\.00, 5\.00\] +held", text)
    assert "native on drums, 2025-01-02," in text
    assert re.search(r"2\.no +speedup_over_madmom >= 4 +- +not yet measured +component not registered: codec", text)
    assert "a|b\\x1b[31m" in text
    assert text.endswith("2 claims: 1 held, 1 not yet measured\n")
    table = report.markdown(entries)
    assert "| 2.no<br>a\\|b\\\\x1b\\[31m | speedup\\_over\\_madmom \\>= 4 | \\- | not yet measured | component not" in table


def test_the_ledger_fits_a_narrow_terminal() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    report.render(ledger([claim()], [session(NATIVE)], ["spectrogram"]), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "  held: 1.fast: 4x faster than madmom\n      speedup_over_madmom >= 4: found 5.00 [5.00, 5.00], native" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_programs_read_the_ledger_as_json() -> None:
    entries = ledger([claim(), claim(id="2.no", component="codec")], [session(NATIVE)], ["spectrogram"])
    body = json.loads(report.as_json(entries))
    assert body["counts"]["held"] == body["counts"]["not yet measured"] == 1
    first, second = body["claims"]
    five = pytest.approx(5.0)
    assert first["measured"] == {
        "unit": "x", "value": five, "low": five, "high": five, "launches": 3, "confidence": 0.95, "how": "measured",
        "row": "native on drums", "machine": MACHINE, "date": "2025-01-02T03:04:05+00:00",
    }  # fmt: skip
    assert first["stated"] == {"component": "spectrogram", "metric": "speedup_over_madmom", "at_least": 4.0, "settings": {}}
    assert "measured" not in second
    assert second["reason"] == "component not registered: codec"


def test_a_claim_may_be_about_a_components_own_metric() -> None:
    of = claim(metric="values_kept", at_least=12)
    kept = launches(parity=[parity(kind="approximate", values_kept=0.0)])
    assert entry(of, session(kept)).status == "not held"
    assert entry(of, session(launches())).reason == "nothing measures values_kept yet"
    described = entry(claim(metric="values_kept", at_least=None, contradiction="it skips them"), session(kept))
    assert (described.status, described.value.point) == ("contradicts itself", 0.0)  # type: ignore[union-attr]


def test_what_no_session_records_names_the_command_that_shows_it() -> None:
    found = entry(claim(component="settings", metric="behaviour", at_least=None, shown_by="pytest tests/x.py"), session(NATIVE))
    assert (found.status, found.reason) == ("not yet measured", "harness claims --show 1.fast shows it: pytest tests/x.py")
    root = Path(__file__).parent.parent
    commands = [one.shown_by for one in load() if one.shown_by.startswith("pytest ")]
    named = [word for command in commands for word in command.split() if word.startswith("tests/")]
    assert len(named) >= len(commands) >= 4
    assert [path for path in named if not (root / path).is_file()] == []


QUIET = Figures(
    callbacks=45000, seconds=60.0, misses=0, woken_late=0, missed_windows=(False,) * 60, run=(1e-6, 2e-6, 3e-6, 9e-6),
    wake=(4e-5, 6e-5, 2e-4), wakes=(6e-5,) * 60, voluntary=0, involuntary=0, faults=0, allocations=0, locks=0, latencies=(960,) * 60,
    results=None, realtime=True, watched=True, why="",
)  # fmt: skip
SAFE = claim(component="pipeline", metric="realtime", at_least=None)


def proof(frames: int = 64, *, number: int = 1, seconds: float = 60.0, **figures: object) -> Session:
    """What `harness run pipeline --only realtime --audio-buffer FRAMES` keeps."""
    subject = replace(QUIET, seconds=seconds, **figures)  # type: ignore[arg-type]
    played = Played(subject, replace(QUIET, seconds=seconds), 960, frames, 48000.0)
    settings = {"audio_buffer": frames}
    kept = record(component="pipeline", case=f"{frames} frames", settings=settings, session=f"{number}", parity=(), played=played)
    return plan([kept], launches=1, session=f"{number}"), [kept]


@pytest.mark.parametrize(
    ("sessions", "status", "reason"),
    [
        ([], "not yet measured", "no proof of 60 s is recorded: harness run pipeline --only realtime"),
        ([proof()], "held", ""),
        ([proof(64), proof(512, locks=1)], "not held", ""),
        ([proof(locks=1), proof()], "held", ""),
        ([proof(), proof(locks=1)], "not held", ""),
        ([proof(), proof(misses=1, missed_windows=(True,) + (False,) * 59)], "held", ""),
        ([proof(misses=1, missed_windows=(True,) + (False,) * 59)], "not yet measured", "too few to tell from chance"),
        ([proof(seconds=2.0)], "not yet measured", "too short for a proof"),
        ([proof(seconds=2.0, allocations=1)], "not held", ""),
    ],
)
def test_a_claim_about_an_audio_thread_holds_by_the_proof(sessions: list[Session], status: str, reason: str) -> None:
    found = entry(SAFE, components=("pipeline",), proofs=sessions)
    assert found.status == status
    assert reason in found.reason


def test_a_session_of_launches_says_nothing_of_an_audio_thread() -> None:
    found = entry(replace(SAFE, component="spectrogram"), session(NATIVE), proofs=())
    assert (found.status, found.reason) == ("not yet measured", "no proof of 60 s is recorded: harness run spectrogram --only realtime")


def test_a_claim_may_be_about_one_question_of_the_proof() -> None:
    of = replace(SAFE, metric="allocations", at_most=0)
    found = entry(of, components=("pipeline",), proofs=[proof(64), proof(512, locks=1)])
    assert (found.status, found.row, found.value.point) == ("held", "native on 512 frames", 0)  # type: ignore[union-attr]
    assert entry(of, components=("pipeline",), proofs=[proof(64), proof(512, allocations=2)]).status == "not held"
    short = entry(of, components=("pipeline",), proofs=[proof(seconds=2.0)])
    assert (short.status, short.value) == ("not yet measured", None)
    crashed = replace(proof()[1][0], played=None, outcome=Outcome("crashed", "died of SIGSEGV"))
    assert entry(of, components=("pipeline",), proofs=[(proof()[0], [crashed])]).status == "not held"
    now = Installed({"pipeline": Contract(2, ("frame",), {"native": Code((), Build())})})
    assert ledger([of], [], ["pipeline"], proofs=[proof()], installed=now)[0].status == "not yet measured"
