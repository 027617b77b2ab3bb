"""The user's own audio: wav, flac, mp3, ogg and what else libsndfile reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.settings import ConfigurationError

BLOCK_FRAMES = 1 << 18
MOST_SAMPLES = 1 << 30
"""Over all channels: three hours of stereo at 48 kHz, 4 GiB in memory, which is all that a worker can be sent."""


def read(path: Path) -> tuple[np.ndarray, int]:
    """Samples (channels, n) float32 and the sample rate in Hz.

    ConfigurationError: not audio, damaged, without a sample, or with samples that are NaN or infinite.
    """
    import soundfile  # loads libsndfile, which nothing else needs

    try:
        if path.is_fifo() or path.is_char_device():
            raise ValueError("a pipe or device, which may have no end")
        with open(path, "rb"):
            pass  # what the system has to say is clearer than what the library makes of it
        with soundfile.SoundFile(path) as file:
            blocks, total = [], 0
            # A header may promise anything: what is counted is what was decoded.
            for block in file.blocks(BLOCK_FRAMES // file.channels, dtype="float32", always_2d=True):
                total += block.size
                if total > MOST_SAMPLES:
                    raise ValueError(f"more than {MOST_SAMPLES} samples")
                blocks.append(block)
            rate = int(file.samplerate)
    # A name that ends in .raw makes it ask for arguments.
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        found = f"found {_reason(error)}; wav, flac, mp3, ogg are read"
        raise ConfigurationError(f"--input {path}: expected a readable audio file, {found}") from None
    samples = np.ascontiguousarray(np.concatenate(blocks).T) if blocks else np.zeros((1, 0), np.float32)
    if samples.shape[1] == 0:
        raise ConfigurationError(f"--input {path}: expected audio, found a file without a sample")
    if not np.isfinite(samples).all():
        raise ConfigurationError(f"--input {path}: expected finite samples, found NaN or infinity; write the file anew")
    return samples, rate


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error).rstrip(".")
