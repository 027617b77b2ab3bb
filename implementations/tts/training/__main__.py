"""`python -m implementations.tts.training --seed 0 -o DIR` writes what `implementations/tts/checkpoints` holds, in about 25 core minutes.

The same seed gives the same sentences, first weights and batches everywhere. espeak-ng's version decides how they sound, and sums round
differently on another processor: a voice trained elsewhere is as good as the shipped one, not equal to it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import soundfile
import torch
from safetensors.torch import save_file

from implementations.tts.acoustic.weights import save_model
from implementations.tts.checkpoints import ACOUSTIC, HELD_OUT_SPEECH, HELD_OUT_TEXT, RECORD, VOCODER
from implementations.tts.mel import SAMPLE_RATE
from implementations.tts.training import acoustic, data, espeak, vocoder
from implementations.tts.training.data import Utterance
from implementations.tts.training.sentences import HELD_OUT

PARTS = ("acoustic", "vocoder")


def train(folder: Path, *, seed: int = 0, sentences: int | None = None, steps: int | None = None, parts: Sequence[str] = PARTS) -> None:
    """Weights, the held-out recordings and a record of how they came about, into folder.

    sentences: of the training split; steps: of each of the `parts` that are trained; by default as many as the shipped voice had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Always in this order: the noise of espeak's fricatives goes on from one sentence to the next.
    save_recordings(folder, data.utterances(HELD_OUT, seed))
    spoken, held = data.corpus(sentences, seed=seed)
    scale = data.scale(spoken)
    record = _record(folder) | {
        "command": f"python -m implementations.tts.training --seed {seed} -o DIR",
        "seed": seed,
        "data": {
            "speech": f"espeak-ng {espeak.version()}, voice en-us",
            "sentences": {"train": len(spoken), "validation": len(held)},
            "minutes": round(sum(len(one.wave) for one in spoken) / SAMPLE_RATE / 60, 1),
            "scale": asdict(scale),
        },
        "versions": {"torch": version("torch")},
    }
    if "acoustic" in parts:
        with _Log(record, "acoustic") as report:
            model = acoustic.fit(spoken, held, scale, seed=seed, steps=steps or acoustic.STEPS, report=report)
        save_model(model, folder / ACOUSTIC)
    if "vocoder" in parts:
        with _Log(record, "vocoder") as report:
            made = vocoder.fit(spoken, held[:20], seed=seed, steps=steps or vocoder.STEPS, report=report)
        save_file({name: value.half().contiguous() for name, value in made.state_dict().items()}, folder / VOCODER)
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")


def save_recordings(folder: Path, spoken: Sequence[Utterance]) -> None:
    """One FLAC of all, and their texts, phonemes and durations as JSON; how long each is, the durations say."""
    samples = torch.cat([torch.from_numpy(one.wave) for one in spoken]).numpy()
    soundfile.write(folder / HELD_OUT_SPEECH, samples, SAMPLE_RATE, subtype="PCM_16")
    told = [{"text": one.text, "phonemes": " ".join(one.phonemes), "durations": one.durations.tolist()} for one in spoken]
    (folder / HELD_OUT_TEXT).write_text(json.dumps(told) + "\n")


def _record(folder: Path) -> dict[str, Any]:
    """What an earlier run wrote of the part that is not trained now."""
    path = folder / RECORD
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


class _Log:
    """Prints the validation losses of one part as they come, and keeps them with the CPU seconds in the record."""

    def __init__(self, record: dict[str, Any], part: str) -> None:
        self._record, self._part = record, part

    def __enter__(self) -> Callable[[int, dict[str, float]], None]:
        self._start = time.process_time()
        self._losses: list[dict[str, float]] = []
        return self._report

    def _report(self, step: int, found: dict[str, float]) -> None:
        self._losses.append({"step": step} | {name: round(value, 4) for name, value in found.items()})
        seconds = time.process_time() - self._start
        print(f"{self._part} {step:5} {seconds:6.0f} s", *(f"{name} {value:.3f}" for name, value in found.items()), flush=True)

    def __exit__(self, *raised: object) -> None:
        seconds = round(time.process_time() - self._start)
        self._record[self._part] = {"cpu_seconds": seconds, "validation_losses": self._losses}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m implementations.tts.training", description="Trains the small voice on espeak-ng's speech."
    )
    parser.add_argument("--seed", type=int, default=0, help="of sentences, first weights and batches (default 0)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the weights")
    parser.add_argument("--only", choices=PARTS, help="train this part, leave the other as DIR has it")
    parser.add_argument("--sentences", type=int, metavar="N", help="train on the first N (default 2000)")
    parser.add_argument("--steps", type=int, metavar="N", help=f"of each part (default {acoustic.STEPS} and {vocoder.STEPS})")
    given = parser.parse_args(arguments)
    # One thread trains: the result does not depend on how many there are.
    torch.set_num_threads(1)
    parts = (given.only,) if given.only else PARTS
    train(given.output, seed=given.seed, sentences=given.sentences, steps=given.steps, parts=parts)


if __name__ == "__main__":
    main()
