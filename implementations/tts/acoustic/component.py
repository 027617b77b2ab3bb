"""The acoustic model alone, given the same decisions: what is computed, on what, how equal, at least how much work.

Inputs: `phonemes` (sentences, longest) int64, numbers of the configuration's symbols, 0 behind the end of a sentence; `configuration`, a
name of `CONFIGURATIONS`; where decisions are given, `durations` (as phonemes) int64 in frames, `pitch` and `energy` float32 (as phonemes,
or (sentences, most frames) of a configuration at frame level), which are used in place of what is predicted.
Outputs: what is predicted, `log_durations`, `pitch`, `energy`; what is decided by it, `duration_frames`, `pitch_bins`, `energy_bins`; and
`mel` (frames of all sentences, mels) float32, without padding.

A narrow precision flips few decisions, but each flip changes the spectrogram. So predictions, the share of flipped decisions, and the
decoder at equal decisions are compared each on its own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.component import Approximate, Case, Component, Effect, Inputs, Metric, Outputs, Unit, Variant, Work
from implementations.tts.acoustic.configurations import CONFIGURATIONS, Configuration

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

PREDICTIONS = ("log_durations", "pitch", "energy")
DECISIONS = ("duration_frames", "pitch_bins", "energy_bins")

PHONEMES, FRAMES = 72, 431
"""Of a sentence: 5.0 s at 22.05 kHz."""

EXACT_DB = 100.0
"""What float32 reaches against float32: another order of the sums leaves 115 to 125 dB."""

BFLOAT16 = Variant(
    {"precision": "bfloat16"},
    {
        "mel": Approximate(
            Metric("snr_db", at_least=36.0),
            "decoder and PostNet in bfloat16, of 8 significant bits; encoder and predictors stay in float32, and no decision flips",
        )
    },
)

FLOAT16 = Variant(
    {"precision": "float16"},
    {
        "mel": Approximate(
            Metric("snr_db", at_least=55.0),
            "weights of decoder and PostNet stored in float16, of 11 significant bits; all arithmetic in float32, and no decision flips",
        )
    },
)

INT8 = Variant(
    {"precision": "int8"},
    {
        "mel": Approximate(
            Metric("snr_db", at_least=24.0),
            "convolutions of decoder and PostNet in int8, with scales per output channel and per call; no decision flips",
        )
    },
)

FEW = 64
"""Decisions; of fewer, one that lies on an edge would be a large share."""


def flip_rate(reference: np.ndarray, candidate: np.ndarray) -> float:
    """The share of decisions that are others, of at least `FEW`."""
    if reference.shape != candidate.shape:
        raise ValueError(f"expected shape {reference.shape}, found {candidate.shape}")
    return float(np.count_nonzero(reference != candidate) / max(reference.size, FEW))


def check_inputs(inputs: Inputs) -> tuple[Configuration, np.ndarray, np.ndarray]:
    """The configuration, phonemes, and lengths (sentences,) int64; TypeError or ValueError says what is wrong with the inputs."""
    name, phonemes = inputs["configuration"], inputs["phonemes"]
    if name not in CONFIGURATIONS:
        raise ValueError(f"tts_acoustic: configuration: expected one of {', '.join(CONFIGURATIONS)}, found {name!r}")
    rows = CONFIGURATIONS[name].symbol_set.rows
    if not isinstance(phonemes, np.ndarray) or phonemes.dtype != np.int64:
        found = f"dtype {phonemes.dtype}" if isinstance(phonemes, np.ndarray) else type(phonemes).__name__
        raise TypeError(f"tts_acoustic: phonemes: expected an int64 array, found {found}")
    if phonemes.ndim != 2 or 0 in phonemes.shape:
        raise ValueError(f"tts_acoustic: phonemes: expected shape (sentences, longest), at least 1 each, found {phonemes.shape}")
    lengths = (phonemes != 0).cumprod(axis=1).sum(axis=1)
    if not ((phonemes >= 0) & (phonemes < rows)).all() or not lengths.all() or lengths.max() < phonemes.shape[1]:
        raise ValueError(
            f"tts_acoustic: phonemes: expected numbers from 1 to {rows - 1}, then 0 to the longest, found {_strange(phonemes)}"
        )
    durations = inputs.get("durations")
    if durations is not None and (durations.shape != phonemes.shape or durations.min() < 0 or durations[phonemes == 0].any()):
        raise ValueError(f"tts_acoustic: durations: expected frames for each phoneme and 0 behind, found {_strange(durations)}")
    return CONFIGURATIONS[name], phonemes, lengths


def _strange(numbers: np.ndarray) -> str:
    return f"{numbers.min()} to {numbers.max()} in shape {numbers.shape}"


def drawn(
    configuration: str, sentences: int, seed: int, *, phonemes: int, frames: int, timed: bool = True, shortest: float = 0.7
) -> Inputs:
    """Random phonemes, pitch and energy; timed: that last `frames` in the longest sentence. The others are down to `shortest` of it."""
    random, c = np.random.Generator(np.random.PCG64([seed, sentences, phonemes, frames])), CONFIGURATIONS[configuration]
    lengths = np.maximum(1, np.linspace(phonemes, max(1, shortest * phonemes), sentences).astype(np.int64))
    inside = np.arange(phonemes) < lengths[:, None]
    symbols = np.array(sorted(c.symbol_set.numbers.values()))
    found: dict[str, Any] = {
        "phonemes": np.where(inside, random.choice(symbols, (sentences, phonemes)), 0).astype(np.int64),
        "configuration": configuration,
    }
    columns = phonemes if c.variance_level == "phoneme" else frames
    for name, ends in {"pitch": c.pitch_range, "energy": c.energy_range}.items():
        found[name] = random.uniform(*ends, (sentences, columns)).astype(np.float32)
    if timed:
        found["durations"] = np.stack([spread(frames * int(length) // phonemes, int(length), phonemes) for length in lengths])
    return found


def spread(frames: int, phonemes: int, columns: int) -> np.ndarray:
    """(columns,) int64: frames given to phonemes as evenly as whole numbers allow, then 0."""
    ends = np.arange(1, phonemes + 1) * frames // phonemes
    return np.pad(np.diff(ends, prepend=0), (0, columns - phonemes)).astype(np.int64)


def _case(name: str, configuration: str, sentences: int = 1, *, quick: bool = False, thorough: str = "", **more: Any) -> Case:
    return Case(name, partial(drawn, configuration, sentences, **more), quick=quick, thorough=thorough)


def produced(inputs: Inputs, outputs: Outputs) -> float:
    """Seconds of audio that the frames of `mel` stand for."""
    return len(outputs["mel"]) * CONFIGURATIONS[inputs["configuration"]].frame_seconds


def macs(c: Configuration, phonemes: int, frames: int, *, sentence: int) -> float:
    """Multiplications with an addition: of all phonemes, frames, and, of attention, within sentences of so many frames."""
    block = 4 * c.width**2 + c.width * c.conv_width * sum(c.conv_kernels)
    predictor = c.predictor_kernel * c.predictor_width * (c.width + c.predictor_width) + c.predictor_width
    postnet = 5 * c.postnet_width * (2 * c.mels + 3 * c.postnet_width)
    attention = 2 * c.width * c.decoder_layers * sentence
    varied = phonemes if c.variance_level == "phoneme" else frames
    per_frame = c.decoder_layers * block + c.width * c.mels + postnet + attention
    return float(phonemes * (c.encoder_layers * block + predictor) + varied * 2 * predictor + frames * per_frame)


def parameters(c: Configuration) -> int:
    """Weights that a call reads, the PostNet's norms folded; of embeddings only few rows are, which are left out."""
    block = 4 * c.width * (c.width + 1) + c.width * c.conv_width * sum(c.conv_kernels) + c.conv_width + 5 * c.width
    predictor = c.predictor_kernel * c.predictor_width * (c.width + c.predictor_width) + 7 * c.predictor_width + 1
    postnet = 5 * c.postnet_width * (2 * c.mels + 3 * c.postnet_width) + 4 * c.postnet_width + c.mels
    return (c.encoder_layers + c.decoder_layers) * block + 3 * predictor + (c.width + 1) * c.mels + postnet


def work(inputs: Inputs) -> Work:
    """Direct convolutions and full attention; weights once, phonemes once, the spectrogram once. Without given durations, 6 frames each."""
    c, phonemes, lengths = check_inputs(inputs)
    frames = inputs["durations"].sum(axis=1) if "durations" in inputs else 6 * lengths
    operations = 2 * sum(macs(c, int(length), int(count), sentence=int(count)) for length, count in zip(lengths, frames, strict=True))
    weights = 4.0 * parameters(c)
    return Work(operations, weights + phonemes.nbytes + 4.0 * c.mels * float(frames.sum()), weight_bytes=weights)


def strategy() -> SearchStrategy[Inputs]:
    """Few phonemes of the small model, some without frames, in one sentence or several."""
    from hypothesis import strategies as st

    @st.composite
    def inputs(draw: DrawFn) -> Inputs:
        phonemes, sentences = draw(st.integers(1, 12)), draw(st.integers(1, 3))
        frames, shortest = draw(st.integers(0, 40)), draw(st.sampled_from((0.7, 0.1)))
        return drawn("small", sentences, draw(st.integers(0, 2**16)), phonemes=phonemes, frames=frames, shortest=shortest)

    return inputs()


COMPONENT = Component(
    name="tts_acoustic",
    unit=Unit("audio second", 1.0),
    cases=(
        _case("quick", "small", phonemes=24, frames=144, quick=True),
        _case("untimed", "small", phonemes=40, frames=0, timed=False),
        _case("sentence-5s", "ljspeech", phonemes=PHONEMES, frames=FRAMES),
        _case("batch-8", "ljspeech", 8, phonemes=22, frames=129),
        _case(
            "sentence-5s-paper",
            "paper",
            phonemes=PHONEMES,
            frames=FRAMES,
            thorough="the work of sentence-5s",
        ),
        _case(
            "sentence-5s-48khz",
            "source-48k",
            phonemes=PHONEMES,
            frames=469,
            thorough="the work of sentence-5s",
        ),
    ),
    policy={
        **dict.fromkeys(PREDICTIONS, Metric("max_abs_difference", at_most=1e-4)),
        **dict.fromkeys(DECISIONS, Metric("flip_rate", at_most=0.02, function=flip_rate)),
        "mel": Metric("snr_db", at_least=EXACT_DB),
    },
    produced=produced,
    strategy=strategy,
    work=work,
    effects=(
        *(Effect("precision", ("float32", precision), "quick", "output") for precision in ("bfloat16", "float16", "int8")),
        Effect("threads", (1, 2), "sentence-5s", "processes"),
        Effect("cache", (True, False), "quick", "time"),
    ),
    description="FastSpeech2 for LJSpeech, the paper's, at 48 kHz, and a small one: phonemes to mel spectrogram",
)
