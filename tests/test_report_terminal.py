"""The terminal report: what it shows, at every width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_session import verdicts
from rich.cells import cell_len
from rich.console import Console
from synthetic import MACHINE, in_chunks, launches, parity, plan, record

from harness.record import LeftOut
from harness.report import terminal
from harness.targets import Target
from harness.verdict import Verdicts, judge


def shown(of: Verdicts, width: int = 132, **arguments: bool) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, legacy_windows=False)
    terminal.render(of, console, **arguments)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_heart_of_the_table_reads_at_a_glance() -> None:
    lines = shown(verdicts()).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("native  "))
    assert " ".join(lines[start].split()) == "native close 49.8x [48.0, 51.6] reference 6.6e-05 48.1 ms 300 MB pass"
    assert " ".join(lines[start + 1].split()) == "3.6e-07 9.82x [9.18, 10.5] librosa* 49.5 ms 46.8 % 3 of 3 targets"
    assert " ".join(lines[start + 2].split()) == "26.2x [25.7, 26.7] madmom"


def test_the_plan_comes_first_and_can_be_left_out() -> None:
    text = shown(verdicts())
    assert text.startswith("session 20250102-030405-abc on x86_64-genuine-6-143-2c-a1b2c3, profile x86-64-avx512\n")
    assert text.index("unavailable: spectrogram.torch_cuda: no CUDA device") < text.index("row ")
    assert "left out: dbn on ten-minutes: only with --thorough: over 60 s of audio per call" in text
    assert "no CUDA device" not in shown(verdicts(), plan=False)


def test_approximate_rows_and_differing_peers_stand_in_blocks_of_their_own() -> None:
    lines = shown(verdicts()).splitlines()
    starts = ("native  ", "mlx_batched", "approximate: another", "torch_rfft[precision", "peers (*)", "librosa  ", "dbn /")
    order = [next(i for i, line in enumerate(lines) if line.strip().startswith(start)) for start in starts]
    assert order == sorted(order)


def test_wrong_rows_show_no_time() -> None:
    line = next(line for line in shown(verdicts()).splitlines() if line.startswith("mlx_batched"))
    assert line.split() == ["mlx_batched", "differs", "times", "withheld", "-", "-", "-", "fail:", "parity,", "target"]


def test_notes_say_why_where_and_how_to_see_it_again() -> None:
    text = shown(verdicts(), 300)
    assert (
        "fail: spectrogram.mlx_batched on stems: parity: spectrogram differs at [812, 40]: 0.31 vs 0.30 by 2.1e-06 (allowed <= 1e-06)\n"
        "    reproduce: harness run spectrogram.mlx_batched --only parity --case stems\n"
    ) in text
    assert "fail: dbn.numpy_semimarkov on three-minutes: run: crashed in launch 1: signal 11 (SIGSEGV) in run()\n" in text
    assert "note: spectrogram.librosa on stems: parity:" in text
    assert "bound set in implementations/spectrogram/targets.toml: entry 1" in text
    assert text.rstrip().endswith(
        "fail (target, parity, crash or bad output): optimized rows: 3 pass, 3 fail, 1 no target; exit code 1"
    )


def test_a_settings_sweep_tells_its_rows_apart() -> None:
    lines = [line for line in shown(verdicts()).splitlines() if line.startswith("native (threads=")]
    assert [line.split()[1] for line in lines] == ["(threads=2)", "(threads=1)"]


@pytest.mark.parametrize("width", [40, 60, 80, 99, 100, 109, 110, 120, 140, 250])
def test_no_line_is_wider_than_the_terminal_and_no_figure_breaks(width: int) -> None:
    text = shown(verdicts(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    if width >= terminal.TABLE_WIDTH:
        for whole in ("49.8x [48.0, 51.6] reference", "9.82x [9.18, 10.5] librosa*", "0.00086", "1.40 GB", "3 of 3 targets"):
            assert whole in text
    else:
        joined = " ".join(text.split())
        assert "speed-up over: 49.8x [48.0, 51.6] reference, 9.82x [9.18, 10.5] librosa*, 26.2x [25.7, 26.7] madmom" in joined
        assert "p50 / p99: 48.1 ms, 49.5 ms" in joined


@pytest.mark.parametrize("width", [50, 100, 140])
def test_rows_in_chunks_have_a_table_of_their_own_below(width: int) -> None:
    records = [*launches("native"), *in_chunks(launches("native_streaming", settings={"threads": 2}, jitter=0.001)), *launches("reference")]
    text = shown(judge(plan(records), records, [], (), machine=MACHINE), width)
    assert max(map(cell_len, text.splitlines())) <= width
    words = [" ".join(line.split()) for line in text.splitlines()]
    if width < terminal.TABLE_WIDTH:
        figures = "first audio 85.9 ms, p95 91.2 ms, cold 2.40 s, with load 2.60 s, jitter 1.50 ms, underruns 1.00"
        assert f"in chunks: {figures}" in " ".join(words)
        assert " ".join(words).count("in chunks") == 1
    else:
        at = words.index("in chunks first audio p95 cold with load jitter underruns")
        assert words[at + 1] == "native_streaming (threads=2) 85.9 ms 91.2 ms 2.40 s 2.60 s 1.50 ms 1.00"
        assert words[at + 2] == ""
    assert "in chunks" not in shown(verdicts(), width)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (judge(None, [], [], (), machine=MACHINE), "inconclusive: session: the session has no plan"),
        (judge(plan([]), [], [], (), machine=MACHINE), "nothing was planned"),
        (judge(plan(launches()), launches(), [], (), machine="other"), "records of another machine"),
    ],
)
def test_a_session_without_rows_says_why(of: Verdicts, expected: str) -> None:
    text = shown(of, 300)
    assert expected in text
    assert "pass" not in text.splitlines()[-1].replace("pass:", "")


def test_what_all_rows_have_to_say_is_said_once() -> None:
    busy = {"busy": "CPU pressure 35 %"}
    records = launches("native", state=busy) + launches("torch", state=busy)
    bound = Target("spectrogram", "any", "rtf", "s", "stated", at_most=1.0)
    text = shown(judge(plan(records), records, [bound], ("any",), machine=MACHINE), 300)
    assert "inconclusive: spectrogram.native on drums, spectrogram.torch on drums: target: rtf <= 1: not judged: the machine" in text
    assert text.count("CPU pressure 35 %") == 1
    assert "next: the machine was busy" in text


def test_next_steps() -> None:
    good = launches(floor=0.001) + launches("reference", 0.2)
    assert "next: keep this as history with `harness run --record`" in shown(judge(plan(good), good, [], (), machine=MACHINE))
    few = launches(n=2, floor=0.001)
    assert "next: less than planned was measured" in shown(judge(plan(few), few, [], (), machine=MACHINE))


HOSTILE = st.text(st.characters(), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(HOSTILE, HOSTILE, st.sampled_from([60, 120]))
def test_text_of_plugins_cannot_command_the_terminal(name: str, message: str, width: int) -> None:
    records = [
        *launches(name, role="optimized", parity=[parity(kind="approximate", **{f"m{name}": 1.0})], exact=False),
        record("broken", outcome="crashed", message=message),
        record(case=name, outcome="raised", message="[bold]markup[/bold]"),
    ]
    of = judge(plan(records, unavailable=[LeftOut("spectrogram", name, "", message)]), records, [], (), machine=MACHINE)
    text = shown(of, width)
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in text.replace("\n", ""))
    assert "[bold]markup[/bold]" in " ".join(text.split())
