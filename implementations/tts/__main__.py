"""`python -m implementations.tts "Hello" -o hello.wav`: a text as a wave file, and where the time went."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from implementations.tts.voices import VOICES

if TYPE_CHECKING:
    from implementations.tts.chain import Engine

LONGEST = 1_000_000
"""Characters: a day of speech."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 where the request cannot be: one line says why."""
    parser = argparse.ArgumentParser(prog="python -m implementations.tts", description="Speaks a text into a wave file.")
    parser.add_argument("text", help="what to say; - reads it from standard input")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the wave file to write")
    parser.add_argument("--acoustic", type=Path, metavar="FILE", help="FastSpeech2 checkpoint: .pth.tar, or safetensors")
    parser.add_argument("--vocoder", type=Path, metavar="FILE", help="HiFi-GAN checkpoint: a state dict, or safetensors")
    parser.add_argument("--configuration", help="of the FastSpeech2: ljspeech, paper, source-48k, small")
    parser.add_argument("--shape", help="of the HiFi-GAN: v1, v2, v3, v1-48khz")
    parser.add_argument("--random", choices=VOICES, help="speak with the random weights of a benchmark voice: noise, no speech")
    parser.add_argument("--lexicon", type=Path, metavar="FILE", help="dictionary in CMUdict's format")
    parser.add_argument("--espeak", type=Path, metavar="FILE", help="libespeak-ng (GPL), to say words that the dictionary lacks")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--bits", type=int, choices=(16, 24), default=16, help="of a sample in the file (default 16)")
    given = parser.parse_args(arguments)
    try:
        text = sys.stdin.read(LONGEST + 1) if given.text == "-" else given.text
        if len(text) > LONGEST:
            raise ValueError(f"text: expected at most {LONGEST} characters, found more; split it")
        started = perf_counter()
        engine = _engine(given)
        _speak(engine, text, given.output, given.bits, perf_counter() - started)
    except (OSError, ValueError, ImportError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def _engine(given: argparse.Namespace) -> Engine:
    from implementations.tts.speech import load_voice, shipped

    if given.random is None and (given.acoustic or given.vocoder or shipped()):
        names = ("configuration", "shape", "lexicon", "espeak", "precision")
        return load_voice(given.acoustic, given.vocoder, **{name: getattr(given, name) for name in names})

    from implementations.tts.acoustic.serving import model_of
    from implementations.tts.text.espeak import by_espeak
    from implementations.tts.text.lexicon import best
    from implementations.tts.torch_planar import engine
    from implementations.tts.vocoder.hifigan import generator, weights_of

    voice = VOICES[given.random or "small"]
    print("random weights: this is noise as long and as costly as speech, not speech", file=sys.stderr)
    made = generator(voice.shape, weights_of(voice.vocoder))
    beyond = by_espeak(given.espeak) if given.espeak else None
    return replace(engine(model_of(voice.configuration), made, best(given.lexicon), precision=given.precision), beyond=beyond)


def _speak(engine: Engine, text: str, output: Path, bits: int, loading: float) -> None:
    """Writes the file chunk by chunk, so that a book needs no more memory than its longest sentence."""
    import soundfile

    from implementations.tts.chain import stream
    from implementations.tts.text import phonemize

    stages: dict[str, float] = {}
    started = perf_counter()
    read = _timed(stages, "text", phonemize)(text, engine.lexicon, engine.beyond)
    timed = replace(engine, speak=_timed(stages, "acoustic", engine.speak), vocode=_timed(stages, "vocoder", engine.vocode))
    first, samples, rate = 0.0, 0, engine.shape.sample_rate
    with soundfile.SoundFile(output, "w", rate, 1, f"PCM_{bits}", format="WAV") as file:
        for chunk in stream(timed, text):
            first = first or perf_counter() - started - stages["text"]  # which has been read twice until here
            samples += len(chunk)
            file.write(np.clip(chunk, -1, 1))
    spent, seconds = sum(stages.values()), samples / rate
    print(f"{output}: {seconds:.2f} s of audio at {rate} Hz, {bits} bit")
    known = f"{read.out_of_vocabulary:.1%} not in the dictionary of {len(engine.lexicon)}"
    steps = ", ".join(f"{step} {count}" for step, count in read.steps.items() if count and step != "lexicon")
    print(f"{read.words} words, {known}{f' ({steps})' if steps else ''}; {read.skipped} characters without a reading")
    if samples:
        print(f"models {loading * 1e3:.0f} ms, first audio {first * 1e3:.0f} ms, all {spent * 1e3:.0f} ms: RTF {spent / seconds:.3f}")
        print("of that " + ", ".join(f"{name} {spent * 1e3:.1f} ms" for name, spent in stages.items()))


def _timed(stages: dict[str, float], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, its seconds added to a stage's."""

    def timed(*given: Any, **named: Any) -> Any:
        started = perf_counter()
        found = call(*given, **named)
        stages[name] = stages.get(name, 0.0) + perf_counter() - started
        return found

    return timed


if __name__ == "__main__":
    sys.exit(main())
