"""The shapes of FastSpeech2: LJSpeech's and the paper's as upstream trained them, the source document's, and one small enough to ship."""

from __future__ import annotations

from dataclasses import dataclass

from implementations.tts.text.symbols import SYMBOL_SETS, SymbolSet


@dataclass(frozen=True)
class Configuration:
    """A FastSpeech2. Widths are channels; kernels are in phonemes or frames.

    symbols: a name of `SYMBOL_SETS`. variance_level: "phoneme" or "frame", what a pitch and an energy belong to. pitch_range,
    energy_range: of the bins, in the units of the training data (normalised, or Hz and the norm of a spectrum); the bins are equally
    wide, those of pitch in the logarithm with log_pitch. positions: the longest sequence whose position encodings are stored.
    sample_rate in Hz, hop in samples: of the mel frames. The dropouts are of training only.
    """

    name: str
    symbols: str = "ljspeech"
    encoder_layers: int = 4
    decoder_layers: int = 6
    heads: int = 2
    width: int = 256
    conv_width: int = 1024
    conv_kernels: tuple[int, int] = (9, 1)
    predictor_width: int = 256
    predictor_kernel: int = 3
    bins: int = 256
    variance_level: str = "phoneme"
    pitch_range: tuple[float, float] = (-2.917079304729967, 11.391254536985784)
    energy_range: tuple[float, float] = (-1.431044578552246, 8.184337615966797)
    log_pitch: bool = False
    mels: int = 80
    postnet_width: int = 512
    positions: int = 1000
    sample_rate: int = 22050
    hop: int = 256
    dropout: float = 0.2
    predictor_dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.symbols not in SYMBOL_SETS:
            raise ValueError(f"FastSpeech2 {self.name}: symbols: expected one of {', '.join(SYMBOL_SETS)}, found {self.symbols!r}")
        if self.width % self.heads:
            raise ValueError(f"FastSpeech2 {self.name}: expected a width that {self.heads} heads divide, found {self.width}")
        if self.variance_level not in ("phoneme", "frame"):
            raise ValueError(f"FastSpeech2 {self.name}: variance_level: expected phoneme or frame, found {self.variance_level!r}")

    @property
    def symbol_set(self) -> SymbolSet:
        """What the phonemes' numbers mean."""
        return SYMBOL_SETS[self.symbols]

    @property
    def frame_seconds(self) -> float:
        """Seconds that a mel frame stands for."""
        return self.hop / self.sample_rate


LJSPEECH = Configuration("ljspeech")
PAPER = Configuration(
    "paper", decoder_layers=4, variance_level="frame", pitch_range=(71.0, 795.8), energy_range=(0.0, 315.0), log_pitch=True
)
SOURCE_48K = Configuration("source-48k", symbols="compact", decoder_layers=4, heads=4, mels=128, sample_rate=48000, hop=512)
SMALL = Configuration(
    "small",
    symbols="compact",
    encoder_layers=3,
    decoder_layers=4,
    width=128,
    conv_width=384,
    conv_kernels=(5, 1),
    predictor_width=128,
    bins=64,
    pitch_range=(-3.0, 6.0),
    energy_range=(-3.0, 6.0),
    postnet_width=128,
    dropout=0.1,
    predictor_dropout=0.2,
)

CONFIGURATIONS: dict[str, Configuration] = {found.name: found for found in (LJSPEECH, PAPER, SOURCE_48K, SMALL)}
