"""`python -m implementations.tts.training.evaluate` measures a voice on test sentences, each beside espeak's own recording of it.

Three ways to the same sentence say where it is lost: the vocoder on the recording's own spectrogram; the whole voice with espeak's
durations, pitch and energy; the whole voice with its own pitch and energy and espeak's durations, without which nothing is in time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from implementations.tts import checkpoints
from implementations.tts.mel import SAMPLE_RATE
from implementations.tts.quality import pesq, stoi
from implementations.tts.training import data
from implementations.tts.training.acoustic import collate
from implementations.tts.training.sentences import sentences


@torch.inference_mode()
def waves(one: data.Utterance, scale: data.Scale, folder: Path = checkpoints.FOLDER) -> Iterator[tuple[str, np.ndarray]]:
    """What each of the three ways says, by name; (samples,) float32, as long as the recording."""
    model, vocoder = checkpoints.acoustic_model(folder), checkpoints.vocoder(folder)

    def vocoded(mel: Tensor) -> np.ndarray:
        return np.asarray(vocoder(mel.transpose(1, 2))[0, 0].numpy())

    batch = collate([one], scale)
    yield "vocoder alone", vocoded(batch.mel)
    given = {"durations": batch.durations, "pitch": batch.pitch, "energy": batch.energy}
    yield "voice, all given", vocoded(model(batch.phonemes, batch.lengths, **given).mel_postnet)
    yield "voice, durations given", vocoded(model(batch.phonemes, batch.lengths, durations=batch.durations).mel_postnet)


def table(spoken: Sequence[data.Utterance], scale: data.Scale, folder: Path = checkpoints.FOLDER) -> str:
    """Markdown: mean and least STOI, mean PESQ."""
    found: dict[str, list[tuple[float, float]]] = {}
    for one in spoken:
        recording = one.wave.astype(np.float32) / 32768
        for name, wave in waves(one, scale, folder):
            found.setdefault(name, []).append((stoi(recording, wave), pesq(recording, wave)))
    lines = ["| way | STOI | least STOI | PESQ |", "|---|---|---|---|"]
    for name, measured in found.items():
        clear, like = np.array(measured).T
        lines.append(f"| {name} | {clear.mean():.3f} | {clear.min():.3f} | {like.mean():.2f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m implementations.tts.training.evaluate", description="Measures a voice beside espeak-ng."
    )
    parser.add_argument("folder", type=Path, nargs="?", default=checkpoints.FOLDER, help="of the weights (default: those that ship)")
    parser.add_argument("--sentences", type=int, default=20, metavar="N", help="of the test split (default 20)")
    given = parser.parse_args(arguments)
    record = checkpoints.record(given.folder)
    scale = data.Scale(**{name: tuple(values) for name, values in record["data"]["scale"].items()})
    # Shorter ones are too little speech for PESQ.
    spoken = [one for one in data.utterances(sentences("test", given.sentences, record["seed"])) if len(one.mel) > 86]
    print(f"{len(spoken)} sentences, {sum(len(one.wave) for one in spoken) / SAMPLE_RATE:.0f} s")
    print(table(spoken, scale, given.folder))


if __name__ == "__main__":
    main()
