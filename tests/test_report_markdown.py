"""The Markdown report, read back by a Markdown parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report_session import verdicts
from synthetic import MACHINE, in_chunks, launches, plan, record

from harness.report import markdown
from harness.report.text import clean
from harness.verdict import judge

PARSER = MarkdownIt("commonmark").enable("table")


def plain(tokens: list[Token]) -> str:
    """The text a reader sees."""
    return "".join(plain(token.children) if token.children else token.content for token in tokens if token.type != "html_inline")


def cells(text: str) -> list[list[str]]:
    rows, inside = [], False
    for token in PARSER.parse(text):
        inside = token.type in ("th_open", "td_open") or (inside and token.type not in ("th_close", "td_close"))
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and inside:
            rows[-1].append(plain(token.children or []))
    return rows


def test_the_table_of_a_session() -> None:
    rows = cells(markdown.render(verdicts()))
    assert rows[0] == ["row", "parity", "speed-up over", "RTF", "p50 / p99", "peak / limit", "verdict / targets"]
    assert rows[1][0] == "native"
    assert rows[1][2] == "49.8x [48.0, 51.6] reference9.82x [9.18, 10.5] librosa*26.2x [25.7, 26.7] madmom"
    assert {len(row) for row in rows} == {7}


def test_rows_in_chunks_have_a_table_of_their_own() -> None:
    records = [*launches("native"), *in_chunks(launches("native_streaming"))]
    rows = cells(markdown.render(judge(plan(records), records, [], (), machine=MACHINE)))
    at = rows.index(["in chunks", "first audio", "p95", "cold", "with load", "jitter", "underruns"])
    assert rows[at + 1 :] == [["native_streaming", "85.9 ms", "91.2 ms", "2.40 s", "2.60 s", "1.50 ms", "1.00"]]


def test_notes_and_commands() -> None:
    text = markdown.render(verdicts())
    assert text.startswith("**fail (target, parity, crash or bad output): optimized rows: 3 pass, 3 fail, 1 no target; exit code 1**\n")
    assert "- **fail** spectrogram.mlx\\_batched on stems: parity: spectrogram differs at \\[812, 40\\]" in text
    assert "reproduce: `harness run spectrogram.mlx_batched --only parity --case stems`" in text
    assert "see where the time goes with `harness explain spectrogram.torch_rfft`" in text


@given(st.text(st.characters(), min_size=1, max_size=60))
def test_any_text_reads_back_as_itself(anything: str) -> None:
    wanted = " ".join(clean(anything).split())
    (inline,) = [token for token in PARSER.parse(f"- x {markdown.escape(wanted)}") if token.type == "inline"]
    assert plain(inline.children or []) == f"x {wanted}".strip()
    table = cells(f"| a | b |\n|---|---|\n| {markdown.escape(wanted)} | end |\n")
    assert table[1] == [wanted, "end"]


@given(st.text(st.characters(categories=("L", "P", "S", "N")), min_size=1, max_size=60))
def test_a_line_never_begins_a_list_a_heading_or_a_rule(anything: str) -> None:
    kinds = [token.type for token in PARSER.parse(markdown.escape(anything))]
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]


@given(st.text(st.characters(categories=("L", "P", "S", "N")), min_size=1, max_size=30))
def test_code_reads_back_as_itself(anything: str) -> None:
    (inline,) = [token for token in PARSER.parse(f"x {markdown.code(anything)}") if token.type == "inline"]
    (code,) = [child for child in inline.children or [] if child.type == "code_inline"]
    assert code.content == anything


def test_html_of_a_plugin_is_text() -> None:
    records = [*launches(), record("evil", outcome="raised", message="<script>alert(1)</script> | `x` ![i](http://e)")]
    text = markdown.render(judge(plan(records), records, [], (), machine=MACHINE))
    html = PARSER.render(text)
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | `x` ![i](http://e)" in html
