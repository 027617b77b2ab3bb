"""The benchmark that the source document prints: `python -m implementations.tts.benchmark`: one sentence, batches, 500 words, a grade.

Times are the least of a few calls in this process, batch sizes in turn. `harness run tts --sweep batch=1,4,8,16` judges the same in fresh
processes, beside the reference.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import psutil

from harness.settings import Settings
from implementations._cpus import usable_cpus
from implementations._torch import threads
from implementations.tts import native, torch_planar
from implementations.tts.component import text_of
from implementations.tts.voices import VOICES

if TYPE_CHECKING:
    from implementations.tts.chain import Engine

ROWS = {
    "native": (native.make, "int16"),
    "quantized": (native.make, "int8"),
    "quantized_throughout": (native.make_narrowest, "int8"),
    "torch_planar": (torch_planar.make, "float32"),
}
BATCHES = (1, 4, 8, 16)
NATURAL = (4, 9, 5, 12, 3, 7, 16, 6, 8, 4, 11, 5, 6, 14, 3, 9)
"""Words of sentences as they come, to see what padding them would waste."""

SENTENCES = 200
"""Over which memory must not grow."""

GRADES = {4: "EXCELLENT", 3: "GOOD", 2: "FAIR"}
"""By how many of the document's four targets are met; POOR below."""


@dataclass(frozen=True)
class Found:
    """What the document has targets for. first_audio: seconds, the median of a few streams. bytes: held by the process."""

    rtf: float
    first_audio: float
    sentences_per_second: float
    bytes: float

    @property
    def grade(self) -> str:
        met = sum((self.rtf < 0.1, self.first_audio < 0.1, self.sentences_per_second > 10, self.bytes < 2e9))
        return f"{GRADES.get(met, 'POOR')} ({met} of the document's 4 targets)"


def rule(cores: int, memory_bytes: float) -> int:
    """The document's batch size: three texts a core, 500 MB a text, 16 at most."""
    return max(1, min(3 * cores, int(memory_bytes / 0.5e9), 16))


def padding(lengths: Sequence[int], batch: int) -> float:
    """The share of work that padding each batch to its longest text would waste, texts in their order."""
    batches = [lengths[start : start + batch] for start in range(0, len(lengths), batch)]
    return 1 - sum(lengths) / sum(max(each) * len(each) for each in batches)


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 where the row cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m implementations.tts.benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--row", choices=ROWS, default="native")
    parser.add_argument("--voice", choices=VOICES, default="v2", help="acoustic model and HiFi-GAN (default v2)")
    parser.add_argument("--threads", type=int, default=usable_cpus())
    parser.add_argument("--calls", type=int, default=5, help="of which the fastest counts (default 5)")
    parser.add_argument("--words", type=int, default=500, help="of the long text (default 500)")
    given = parser.parse_args(arguments)
    try:
        with threads(given.threads):
            found = _measured(given)
    except ImportError as error:
        print(f"{parser.prog}: {given.row} cannot run here: {error}", file=sys.stderr)
        return 2
    print(f"grade: {found.grade}")
    return 0


def _measured(given: argparse.Namespace) -> Found:
    from implementations.tts.chain import spectrograms, waves
    from implementations.tts.text.lexicon import best

    make, precision = ROWS[given.row]
    memory = psutil.virtual_memory().total
    print(f"{given.row} in {precision}, voice {given.voice}, {given.threads} threads, {memory / 1e9:.0f} GB")
    engine = make(VOICES[given.voice], best(), Settings(precision=precision, threads=given.threads))
    rtf = _text("one sentence", engine, 16, 431, given.calls)
    first = _first_audio(engine, given.calls)
    print(f"first audio: {first * 1e3:.0f} ms")
    rate = _batches(engine, rule(given.threads, memory), given.calls)
    lengths = [sum(map(len, spectrograms(engine, text_of(words, words)))) for words in NATURAL]
    wasted = ", ".join(f"{padding(lengths, batch):.0%} in batches of {batch}" for batch in BATCHES[1:])
    print(f"padding: none, only equal lengths share a batch; to pad sentences of 3 to 16 words would waste {wasted}")
    _text(f"{given.words} words", engine, given.words, 0, 1)
    slope = leak(partial(waves, engine, ["Hello you."]))
    held = float(psutil.Process().memory_info().rss)
    print(f"memory: {held / 1e6:.0f} MB, {slope:+.0f} bytes with each of {SENTENCES} sentences")
    return Found(rtf, first, rate, held)


def _text(name: str, engine: Engine, words: int, frames: int, calls: int) -> float:
    """Prints the time of a text; its real-time factor."""
    from implementations.tts.chain import waves

    say = partial(waves, engine, [text_of(words, 0)], frames)
    audio = len(say()[0]) / engine.shape.sample_rate
    spent = min(_seconds(say) for _ in range(calls))
    print(f"{name}, {audio:.1f} s: {spent * 1e3:.0f} ms, RTF {spent / audio:.3f}")
    return spent / audio


def _first_audio(engine: Engine, calls: int) -> float:
    """Seconds to the first chunk of a sentence of 5 s: the middle of several streams, each played to its end."""
    from implementations.tts.chain import stream

    firsts = []
    for _ in range(calls + 1):
        chunks = stream(engine, text_of(16, 0), 431)
        firsts.append(_seconds(partial(next, chunks)))
        list(chunks)
    return statistics.median(firsts[1:])


def _batches(engine: Engine, ruled: int, calls: int) -> float:
    """Prints the table of batch sizes; the most texts a second."""
    from implementations.tts.chain import waves

    texts, seconds = [text_of(4, number) for number in range(16)], 129 * engine.shape.hop / engine.shape.sample_rate
    times: dict[int, list[float]] = {batch: [] for batch in sorted({*BATCHES, ruled})}
    for _ in range(calls + 1):
        for batch, spent in times.items():
            spent.append(_seconds(partial(waves, engine, texts, 129, batch=batch)))
    rates = {batch: len(texts) / min(spent[1:]) for batch, spent in times.items()}
    print(f"batch of texts of {seconds:.1f} s  texts/s  over 1    RTF")
    for batch, rate in rates.items():
        print(f"{batch:23d}  {rate:7.1f}  {rate / rates[1]:5.2f}x  {1 / rate / seconds:.3f}")
    fastest = max(rates, key=rates.__getitem__)
    print(f"the document's rule says {ruled}: {rates[ruled] / rates[fastest]:.2f} of the throughput of the best, {fastest}")
    return rates[fastest]


def leak(say: Callable[[], object]) -> float:
    """Bytes by which this process grows with each call, over the second half of `SENTENCES` of them."""
    held = []
    for _ in range(SENTENCES):
        say()
        held.append(psutil.Process().memory_info().rss)
    half = held[SENTENCES // 2 :]
    return float(np.polyfit(range(len(half)), half, 1)[0])


def _seconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
