"""The user's own audio: wav, flac, mp3, ogg and what else libsndfile reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.settings import ConfigurationError

BLOCK_FRAMES = 1 << 18


def read(path: Path) -> tuple[np.ndarray, int]:
    """Samples (channels, n) float32 and the sample rate in Hz.

    ConfigurationError: not audio, damaged, without a sample, or with samples that are NaN or infinite.
    """
    import soundfile  # loads libsndfile, which nothing else needs

    try:
        with open(path, "rb"):
            pass  # what the system has to say is clearer than what the library makes of it
        with soundfile.SoundFile(path) as file:
            blocks = list(file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True))
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
