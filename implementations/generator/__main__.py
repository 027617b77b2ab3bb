"""Makes a song: `python -m implementations.generator --tags "calm piano" --lyrics "la la" --seconds 10 --seed 3 -o song.wav`.

Without a checkpoint the small weights that come along are used. They were trained on made-up codes, and a score says what these sound like:
simple music, which shows the machinery.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from harness.settings import Settings
from implementations.generator.flavours import FRAMES_PER_SECOND
from implementations.generator.pipeline import SHORT_SEGMENT, Song, codec_folder, open_generator


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line that says what cannot be."""
    options = _options(arguments)
    try:
        make(options)
    except (ValueError, OSError, MemoryError) as error:
        print(f"generator: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


def make(options: argparse.Namespace) -> None:
    """Write the file while the song is being made: what is interrupted has sound up to there."""
    from implementations.codec import open_codec
    from implementations.codec.library import SHIPPED
    from implementations.codec.song import SEGMENT

    settings = Settings(threads=options.threads)
    song = Song(options.tags, options.lyrics, options.seconds, options.seed, options.guidance, options.temperature, options.top_k)
    small = SHIPPED / "small"
    source = options.codec or (small if options.checkpoint is None else codec_folder(options.checkpoint))
    segment = options.segment or (SHORT_SEGMENT if source == small else SEGMENT)
    with (
        open_generator(options.checkpoint, backend=options.backend, settings=settings) as generator,
        open_codec(source, backend="auto", threads=options.threads) as codec,
    ):
        generator.request(song)  # what cannot be is said before a file is begun
        started = time.perf_counter()
        first, samples, rate = 0.0, 0, codec.configuration.sample_rate
        with soundfile.SoundFile(options.output, "w", rate, 2) as file:
            for part in codec.stream(generator.codes(song, _show), seed=song.seed, segment=segment):
                first = first or time.perf_counter() - started
                file.write(np.clip(part, -1, 1))
                samples += len(part)
        seconds, taken = samples / rate, time.perf_counter() - started
    print(f"\n{options.output}: {seconds:.2f} s at {rate} Hz; first sound after {first:.1f} s, {taken / seconds:.2f} s of work per second")


def _show(frame: int, frames: int) -> None:
    print(f"\r{frame / FRAMES_PER_SECOND:.1f} of at most {frames / FRAMES_PER_SECOND:.1f} s written", end="", file=sys.stderr, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator", description=__doc__)
    parser.add_argument("--tags", required=True)
    parser.add_argument("--lyrics", required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=50)
    parser.add_argument("--checkpoint", type=Path, help="upstream's folder, with HeartMuLa-oss-*, HeartCodec-oss and tokenizer.json")
    parser.add_argument("--codec", type=Path, help="the codec's folder, where it is another")
    parser.add_argument("--segment", type=int, help="frames the codec decodes together")
    parser.add_argument("--backend", default="native", choices=("native", "torch_prepacked"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("-o", "--output", default="song.wav")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
