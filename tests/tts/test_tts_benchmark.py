"""The document's printout: its rule, what padding would waste, the grade, and the whole of it by the small voice."""

import mmap
import re

import pytest

from implementations.tts import benchmark
from implementations.tts.benchmark import Found, leak, padding, rule


@pytest.mark.parametrize(("cores", "gigabytes", "batch"), [(2, 24, 6), (8, 24, 16), (8, 2, 4), (1, 0.1, 1)])
def test_the_documents_rule(cores, gigabytes, batch):
    assert rule(cores, gigabytes * 1e9) == batch


def test_what_padding_would_waste():
    assert padding([4, 4, 4], 2) == 0
    assert padding([1, 3, 4], 2) == pytest.approx(1 - 8 / 10)
    assert padding([1, 3, 4], 1) == 0


def test_the_grade_counts_the_documents_targets():
    assert Found(0.05, 0.08, 11.0, 1e9).grade == "EXCELLENT (4 of the document's 4 targets)"
    assert Found(0.05, 0.08, 11.0, 3e9).grade == "GOOD (3 of the document's 4 targets)"
    assert Found(0.2, 0.2, 9.0, 1e9).grade == "POOR (1 of the document's 4 targets)"


def test_memory_that_is_kept_with_each_sentence_shows():
    kept = []

    def keep():
        # Pages of its own: the allocator may have kept as many from tests before this one.
        kept.append(mmap.mmap(-1, 102_400, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        kept[-1].write(bytes(102_400))

    assert leak(keep) == pytest.approx(102_400, rel=0.2)


@pytest.mark.long
def test_all_of_it_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "SENTENCES", 10)
    assert benchmark.main(["--row=torch_planar", "--voice=small", "--threads=1", "--calls=1", "--words=20"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"one sentence, 5\.0 s: \d+ ms, RTF [\d.]+", said)
    assert re.search(r"first audio: \d+ ms", said)
    assert [int(batch) for batch in re.findall(r"^ +(\d+) +[\d.]+ +[\d.]+x", said, re.MULTILINE)] == [1, 3, 4, 8, 16]
    assert re.search(r"the document's rule says 3: [\d.]+ of the throughput of the best", said)
    assert re.search(r"would waste \d+% in batches of 4, \d+% in batches of 8, \d+% in batches of 16", said)
    assert re.search(r"20 words, [\d.]+ s: \d+ ms", said)
    assert re.search(r"memory: \d+ MB, [+-]\d+ bytes with each of 10 sentences\ngrade: ", said)


def test_a_row_that_cannot_run_is_told(capsys, monkeypatch):
    def missing(*given):
        raise ImportError("native: not built")

    monkeypatch.setitem(benchmark.ROWS, "native", (missing, "int16"))
    assert benchmark.main(["--threads=1"]) == 2
    assert "native cannot run here: native: not built" in capsys.readouterr().err
