"""Weights of FastSpeech2: upstream's `.pth.tar`, safetensors of this project, or seeded ones; names and shapes must fit exactly."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from implementations.tts.acoustic.configurations import CONFIGURATIONS, Configuration
from implementations.tts.acoustic.fastspeech2 import FastSpeech2, sinusoids

CONFIGURATION = "configuration"
"""The key in a safetensors file's metadata under which the model's shape is written, as JSON."""


class BadCheckpoint(ValueError):
    """A file that holds no such model: says where, what was expected and what was found."""


def load_model(path: str | Path, configuration: Configuration | str | None = None) -> FastSpeech2:
    """The model of a checkpoint, float32, for inference.

    configuration: its shape, or a name of `CONFIGURATIONS`; without one, what the file says (files of `save_model` do), else "ljspeech".
    BadCheckpoint where the file cannot be read, or a parameter is missing, too many, of another shape or not finite.
    """
    if isinstance(configuration, str):
        if configuration not in CONFIGURATIONS:
            raise BadCheckpoint(f"{path}: configuration: expected one of {', '.join(CONFIGURATIONS)}, found {configuration!r}")
        configuration = CONFIGURATIONS[configuration]
    state, described = read(Path(path))
    return with_weights(configuration or described or CONFIGURATIONS["ljspeech"], state, str(path))


def read(path: Path) -> tuple[dict[str, torch.Tensor], Configuration | None]:
    """What a file holds by name, and the configuration it was saved with, where it says so. Nothing in it is executed."""
    if not path.is_file():
        raise BadCheckpoint(f"{path}: expected a checkpoint (.pth.tar or .safetensors), found no file")
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, _described(path, file.metadata() or {})  # noqa: SIM118
        except SafetensorError as error:
            raise BadCheckpoint(f"{path}: expected safetensors, found a file that cannot be read so: {error}") from None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile pickle raises
        raise BadCheckpoint(f"{path}: expected a PyTorch checkpoint of tensors alone, found: {type(error).__name__}: {error}") from None
    state = found.get("model", found) if isinstance(found, dict) else found
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadCheckpoint(f"{path}: expected tensors by name, at the top or under 'model', found {type(state).__name__}")
    return state, None


def _described(path: Path, metadata: Mapping[str, str]) -> Configuration | None:
    if CONFIGURATION not in metadata:
        return None
    try:
        values = json.loads(metadata[CONFIGURATION])
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return Configuration(**{**values, **lists})
    except (TypeError, ValueError, AttributeError) as error:
        raise BadCheckpoint(f"{path}: metadata {CONFIGURATION!r}: expected the fields of a Configuration as JSON, found: {error}") from None


def with_weights(configuration: Configuration, state: Mapping[str, torch.Tensor], where: str) -> FastSpeech2:
    """The model with these weights as float32; BadCheckpoint names the first that does not fit. where: their source, for messages."""
    model = FastSpeech2(configuration)
    given = {name: value for name, value in _parameters(state).items() if not _is_positions(name, value, where)}
    expected = _parameters(model.state_dict())
    place = f"{where}: FastSpeech2 {configuration.name}"
    if missing := sorted(set(expected) - set(given)):
        raise BadCheckpoint(f"{place}: expected {len(expected)} parameters, {len(missing)} not found: {_few(missing)}")
    if extra := sorted(set(given) - set(expected)):
        raise BadCheckpoint(f"{place}: found {len(extra)} parameters it has no place for: {_few(extra)}")
    for name, value in expected.items():
        found = given[name]
        if found.shape != value.shape:
            raise BadCheckpoint(f"{place}: {name}: expected shape {tuple(value.shape)}, found {tuple(found.shape)}")
        if not found.is_floating_point() or not bool(torch.isfinite(found).all()):
            raise BadCheckpoint(f"{place}: {name}: expected finite floating-point numbers, found {found.dtype} with others")
    model.load_state_dict({name: value.float() for name, value in given.items()}, strict=False)
    return model.eval().requires_grad_(False)


def _is_positions(name: str, value: torch.Tensor, where: str) -> bool:
    """Upstream stores its position encodings; they are computed here, so another formula must not pass."""
    if not name.endswith(".position_enc"):
        return False
    if value.ndim != 3 or not torch.allclose(value[0].float(), sinusoids(*value.shape[1:]), atol=1e-5):
        raise BadCheckpoint(f"{where}: {name}: expected sinusoids (1, positions, width), found others of shape {tuple(value.shape)}")
    return True


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def save_model(model: FastSpeech2, path: str | Path, dtype: torch.dtype = torch.float16) -> None:
    """The model as safetensors that say its configuration; float16 halves the file, and changes the spectrogram by less than training."""
    narrow = {
        name: value.detach().to("cpu", torch.float32 if name.endswith("_bins") else dtype).contiguous()
        for name, value in _parameters(model.state_dict()).items()
    }
    save_file(narrow, path, {CONFIGURATION: json.dumps(dataclasses.asdict(model.configuration))})


def _parameters(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the PostNet's counts of batches, which only a training reads."""
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def seeded(configuration: Configuration, seed: int = 0) -> FastSpeech2:
    """The model with random weights that behave as trained ones do: every layer's activations, and the spectrogram, have about unit
    standard deviation, phonemes last 6 frames, pitch and energy use many bins. The same on every machine.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    model = FastSpeech2(configuration)
    for name, value in model.state_dict().items():
        if name.endswith(("_bins", "num_batches_tracked", "running_mean")):
            continue
        value.copy_(torch.from_numpy(np.asarray(_drawn(name, tuple(value.shape), configuration, random), np.float32)))
    return model.eval().requires_grad_(False)


_SPREAD = {"duration": 0.35, "mel_linear": 2.0}


def _drawn(name: str, shape: tuple[int, ...], c: Configuration, random: np.random.Generator) -> Any:
    """One parameter. What goes into a linear layer or a convolution has about unit variance: it comes from a norm or a ReLU."""
    if name.endswith("running_var"):
        # Of the PostNet: the first convolution sees the spectrogram, the others what a tanh leaves.
        return np.full(shape, 1.0 if ".0.1." in name else 0.4)
    centre, spread = next((values for kind, values in _heads(c).items() if name.startswith(kind)), (0.0, 1.0))
    if name.endswith("bias"):
        return np.full(shape, centre)
    if len(shape) == 1:  # the gain of a norm; the PostNet's last is small, since its result is added to the decoder's
        return np.full(shape, 0.5 if name.startswith("postnet.convolutions.4") else 1.0)
    values = random.standard_normal(shape, np.float32)
    if "word_emb" in name:
        values[0] = 0  # padding
    return values if "emb" in name else values * np.float32(spread / np.sqrt(np.prod(shape[1:])))


def _heads(c: Configuration) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of what comes out of each head: e^1.95 - 1 = 6 frames, the lower half of the bins."""
    adaptor = "variance_adaptor.{}_predictor.linear_layer"
    found = {"mel_linear": (0.0, 1.0), adaptor.format("duration"): (1.95, 0.35)}
    for kind, (low, high) in {"pitch": c.pitch_range, "energy": c.energy_range}.items():
        found[adaptor.format(kind)] = (low + (high - low) / 3, (high - low) / 8)
    return found
