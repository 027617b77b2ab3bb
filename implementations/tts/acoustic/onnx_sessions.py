"""FastSpeech2 whose parts run in onnxruntime: encoder, predictors, and all behind the decisions, each exported as a graph of its own."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence

import onnxruntime
import torch
from torch import Tensor, nn

from implementations.tts.acoustic.fastspeech2 import FastSpeech2, Transformer, mask_of, sinusoids

OPSET = 17
POSITIONS = 4000
"""Frames (46 s at 22.05 kHz) that a graph has position encodings for; it cannot compute more on the way."""


def in_sessions(model: FastSpeech2, threads: int | None = None) -> FastSpeech2:
    """The same model, its arithmetic in onnxruntime; what has no parameters (bins, durations) stays in PyTorch."""
    made = copy.deepcopy(model).requires_grad_(False)
    for part in made.modules():
        if isinstance(part, Transformer):
            part.position_encoding = sinusoids(POSITIONS, made.configuration.width)
    phonemes, width = torch.ones(2, 5, dtype=torch.int64), made.configuration.width
    vectors = torch.zeros(2, 5, width)
    decoding = Session(_Decoding(made), vectors, ("mel", "mel_postnet"), threads)
    made.add_module("encoder", Session(made.encoder, phonemes, ("encoded",), threads))
    for name in ("duration_predictor", "pitch_predictor", "energy_predictor"):
        own = Session(getattr(made.variance_adaptor, name), vectors, (name,), threads)
        made.variance_adaptor.add_module(name, own)
    for name, other in (("decoder", decoding), ("mel_linear", nn.Identity()), ("postnet", nn.Identity())):
        made.add_module(name, other)
    made.__class__ = _InSessions
    return made.eval()


class _Decoding(nn.Module):
    """All that follows the decisions."""

    def __init__(self, model: FastSpeech2) -> None:
        super().__init__()
        self.decoder, self.mel_linear, self.postnet = model.decoder, model.mel_linear, model.postnet

    def forward(self, expanded: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mel = self.mel_linear(self.decoder(expanded, mask))
        return mel, mel + self.postnet(mel)


class _InSessions(FastSpeech2):
    def decode(self, expanded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        if not expanded.shape[1]:
            return super().decode(expanded, frames)
        found: tuple[Tensor, Tensor] = self.decoder(expanded, mask_of(frames, expanded.shape[1]))
        return found


class Session(nn.Module):
    """A module of (x (B, T, ...), mask (B, T)) as an exported graph, run by onnxruntime."""

    def __init__(self, module: nn.Module, example: Tensor, outputs: Sequence[str], threads: int | None) -> None:
        super().__init__()
        file, mask = io.BytesIO(), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
        with warnings.catch_warnings():  # that tracing follows one path, which is the only one here; and that this exporter is the old one
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                (example, mask),
                file,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=OPSET,
                input_names=["x", "mask"],
                output_names=list(outputs),
                dynamic_axes={name: {0: "sentences", 1: "steps"} for name in ("x", "mask", *outputs)},
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads or torch.get_num_threads(), 1
        self.session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        """mask: None where nothing is padded."""
        if mask is None:
            mask = torch.ones(x.shape[:2], dtype=torch.bool)
        found = tuple(map(torch.from_numpy, self.session.run(None, {"x": x.contiguous().numpy(), "mask": mask.numpy()})))
        return found if len(found) > 1 else found[0]
