"""What a report shows: commands to see a failure again, and the order of things."""

from __future__ import annotations

import dataclasses

import pytest
from report_session import verdicts
from synthetic import MACHINE, parity, plan, record

from harness.record import Record
from harness.report.view import groups, next_steps, notes, reproduce
from harness.verdict import judge


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({}, "harness run spectrogram.native --only parity --case drums"),
        ({"settings": {"threads": 2, "affinity": (0, 1), "cache": True}, "variant": {"precision": "int8"}},
         "harness run spectrogram.native --only parity --case drums --affinity 0+1 --cache true --threads 2"),
        ({"case": "input-0123456789ab"}, "harness run spectrogram.native --only parity --input FILE"),
        ({"implementation": "x; rm", "case": "a b", "role": "optimized"}, "harness run 'spectrogram.x; rm' --only parity --case 'a b'"),
    ],
)  # fmt: skip
def test_the_reproduce_command_names_the_row(fields: dict[str, object], command: str) -> None:
    assert reproduce(plan([record(**fields)]).planned[0]) == command  # type: ignore[arg-type]


def test_what_only_timed_calls_show_is_reproduced_with_times() -> None:
    cheat = [record(outcome="untrusted", message="it replays results")]
    commands = {note.command for note in notes(judge(plan(cheat, launches=1), cheat, [], (), machine=MACHINE))}
    assert "harness run spectrogram.native --case drums" in commands
    assert "harness run spectrogram.native --only parity --case drums" not in commands


def test_a_message_that_knows_its_seed_gives_the_command() -> None:
    told = dataclasses.replace(parity(False), message="y differs by 3; reproduce: harness run a.b --only parity --seed 7")
    wrong = [record(parity=[told])]
    of = judge(plan(wrong, launches=1), wrong, [], (), machine=MACHINE)
    assert [(note.message, note.command) for note in notes(of)] == [("parity: y differs by 3", "harness run a.b --only parity --seed 7")]
    assert next_steps(of)[0].endswith("see it again with `harness run a.b --only parity --seed 7`")


def test_rows_that_may_be_compared_stand_together_fastest_first() -> None:
    found = [(group.case, group.kind[:11], [line.cells[0][0] for line in group.lines]) for group in groups(verdicts())]
    assert found == [
        ("stems", "", ["native", "torch_rfft", "madmom", "reference", "mlx_batched"]),
        ("stems", "approximate", ["torch_rfft[precision=float32]"]),
        ("stems", "peers (*) w", ["librosa"]),
        ("three-minutes", "", ["native (threads=2)", "native (threads=1)", "madmom", "reference", "numpy_semimarkov"]),
    ]


def test_notes_begin_with_the_worst() -> None:
    states = [note.state for note in notes(verdicts())]
    assert states == sorted(states, key=("invalid", "fail", "inconclusive", None).index)


def test_a_note_of_many_rows_names_the_first_and_counts_the_rest() -> None:
    busy = {"notes": ["its process had run another case"]}
    rows = [record(case=f"case-{number}", parity=[parity()], state=busy) for number in range(9)]
    (note,) = [note for note in notes(judge(plan(rows, launches=1), rows, [], (), machine=MACHINE)) if "another case" in note.message]
    assert note.where == f"{', '.join(f'spectrogram.native on case-{number}' for number in range(6))}, and 3 more"


def test_the_ceilings_are_asked_for_only_where_no_row_knows_its_share() -> None:
    without, known = record(case="a"), record(case="b", floor=0.001)

    def asked(*rows: Record) -> bool:
        return any("machine --limits" in step for step in next_steps(judge(plan(rows, launches=1), rows, [], (), machine=MACHINE)))

    assert asked(without)
    assert not asked(without, known)
