"""Weights in files: RTNeural JSON, safetensors, torch state dicts. Each is checked against the models; nothing in a file executes.

A file holds one model, which its name says (`emotion_recognizer.json`, `EmotionRecognizer.pt`), with weights named as in
`Model.shapes()`; or, of safetensors and torch, several, with names such as `emotion_recognizer.0.weight`.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from implementations.small_models import rtneural_json
from implementations.small_models.models import MODELS, STUDENTS, Model
from implementations.small_models.weights import BadWeights, Weights, checked

MOST_BYTES = 64 << 20
"""Of a file, and of what it unpacks to: the largest that is right, Melody as JSON in double precision, has 15 MB."""

SUFFIXES = (".json", ".json.gz", ".safetensors", ".pt", ".pth")

_FOLDER = Path(__file__).with_name("checkpoints")
SHIPPED = _FOLDER / "trained.safetensors"

SIZES = {
    "large": (SHIPPED, MODELS),
    "medium": (_FOLDER / "pruned.safetensors", MODELS),
    "small": (_FOLDER / "student.safetensors", STUDENTS),
}
"""Values of the setting model_size: the documented structures, the same with half of their weights at zero, and students."""

Served = tuple[Model, Weights]
"""A structure and its weights."""


def load(path: Path | str, models: Mapping[str, Model] = MODELS) -> dict[str, dict[str, np.ndarray]]:
    """Weights by model, of a file, or of all files in a folder; float32, checked.

    BadWeights says where, what was expected and what was found: also where there is nothing at all. Models that are in no file
    are absent from the result; whether that will do is for the caller to say.
    """
    path = Path(path)
    if not path.is_dir():
        return _file(path, models)
    found: dict[str, dict[str, np.ndarray]] = {}
    homes: dict[str, Path] = {}
    for file in sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES)):
        for name, weights in _file(file, models).items():
            if name in homes:
                raise BadWeights(f"{path}: expected one file with {name}, found {homes[name].name} and {file.name}")
            homes[name], found[name] = file, weights
    if not found:
        raise BadWeights(f"{path}: expected files of weights ({', '.join('*' + suffix for suffix in SUFFIXES)}), found none")
    return found


INSTEAD = "SMALL_MODELS_CHECKPOINTS"
"""Environment variable: a file or folder whose weights take the place of the shipped large ones (`benchmark` sets it for its processes)."""


@lru_cache(maxsize=3)
def shipped(size: str = "large") -> dict[str, Served]:
    """The models with the weights that every implementation serves: all five, as they come with the package (`training.py`).

    size: of `SIZES`. Where the variable `INSTEAD` names other weights for the large ones, those that it has; asking for a model that is
    not there is a BadWeights that says so.
    """
    if size not in SIZES:
        raise ValueError(f"model_size: expected {', '.join(SIZES)}, found {size!r}")
    path, models = SIZES[size]
    instead = os.environ.get(INSTEAD) if size == "large" else None
    return served(instead or path, models)


def served(path: Path | str, models: Mapping[str, Model] = MODELS) -> dict[str, Served]:
    """What `load` finds, with the structures; asking for a model that is not there is a BadWeights."""
    weights = load(path, models)
    return _Found(str(path), {name: (model, weights[name]) for name, model in models.items() if name in weights})


class _Found(dict[str, Served]):
    """What checkpoints hold; says what they lack."""

    def __init__(self, where: str, found: Mapping[str, Served]) -> None:
        super().__init__(found)
        self._where = where

    def __missing__(self, name: str) -> Served:
        raise BadWeights(f"{self._where}: expected weights of {name}, found {', '.join(self) or 'none'}")


def _file(path: Path, models: Mapping[str, Model]) -> dict[str, dict[str, np.ndarray]]:
    where = str(path)
    size = _size(path)
    if size > MOST_BYTES:
        raise BadWeights(f"{where}: expected at most {MOST_BYTES} bytes, found {size}")
    if path.name.endswith((".json", ".json.gz")):
        model = _named(path, models)
        return {model.name: rtneural_json.parse(model, _text(path), where)}
    if path.name.endswith(".safetensors"):
        return _by_model(path, models, _safetensors(path))
    if path.name.endswith((".pt", ".pth")):
        return _by_model(path, models, _torch(path))
    raise BadWeights(f"{where}: expected a file of weights ({', '.join(SUFFIXES)}), found suffix {path.suffix!r}")


def _size(path: Path) -> int:
    try:
        if not path.is_file():
            raise BadWeights(f"{path}: expected a file of weights, found {'something else' if path.exists() else 'nothing'}")
        return path.stat().st_size
    except OSError as error:
        raise BadWeights(f"{path}: expected a readable file of weights, found: {error}") from None


def _named(path: Path, models: Mapping[str, Model]) -> Model:
    """The model that a file's name says, however it is spelt."""
    stem = path.name.partition(".")[0].replace("_", "").replace("-", "").lower()
    for name, model in models.items():
        if stem.endswith(name.replace("_", "")):
            return model
    raise BadWeights(f"{path}: expected the name of a model ({', '.join(models)}) as the file's name, found {path.name!r}")


def _text(path: Path) -> bytes:
    """The bytes of a JSON file, unpacked where it is compressed, as far as the bound allows."""
    import gzip
    import zlib

    try:
        if not path.name.endswith(".gz"):
            return path.read_bytes()
        with gzip.open(path) as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadWeights(f"{path}: expected a readable file of weights, found: {error}") from None
    if len(content) > MOST_BYTES:
        raise BadWeights(f"{path}: expected at most {MOST_BYTES} bytes unpacked, found more")
    return content


def _by_model(path: Path, models: Mapping[str, Model], arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Arrays by model: their names say which where they begin with a model's, else the file's name does."""
    where = str(path)
    if not arrays:
        raise BadWeights(f"{where}: expected weights, found an empty file")
    groups: dict[str, dict[str, np.ndarray]] = {}
    for key, array in arrays.items():
        model, dot, name = key.partition(".")
        if dot and model in models:
            groups.setdefault(model, {})[name] = array
        else:
            groups.setdefault("", {})[key] = array
    alone = groups.pop("", None)
    if alone is not None and groups:
        raise BadWeights(f"{where}: expected names that begin with a model ({', '.join(models)}), found {sorted(alone)[0]!r}")
    if alone is not None:
        groups[_named(path, models).name] = alone
    return {name: checked(models[name], _torch_names(group), where) for name, group in groups.items()}


def _torch_names(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """torch.nn.LSTM names its only layer: weight_ih_l0."""
    return {name.removesuffix("_l0"): array for name, array in arrays.items()}


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadWeights(f"{path}: expected a safetensors file of float arrays, found: {_line(error)}") from None


def _torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, read with weights_only: a pickle of anything else is refused before it runs."""
    try:
        import torch
    except ImportError as error:
        raise BadWeights(f"{path}: reading a torch file needs torch (pip install 'audio-perf-harness[torch]'): {error}") from None

    _check_archive(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler met
        raise BadWeights(f"{path}: expected a state dict of plain tensors, found: {_line(error)}") from None
    if not isinstance(state, Mapping):
        raise BadWeights(f"{path}: expected a state dict of plain tensors, found {type(state).__name__}")
    return dict(_arrays(path, state))


def _arrays(path: Path, state: Mapping[object, object]) -> Iterator[tuple[str, np.ndarray]]:
    import torch

    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise BadWeights(f"{path}: expected tensors by name, found {name!r}: {type(tensor).__name__}")
        if tensor.layout != torch.strided or tensor.is_quantized or not tensor.is_floating_point():
            raise BadWeights(f"{path}: {name}: expected a dense tensor of floating point numbers, found {tensor.dtype}, {tensor.layout}")
        if tensor.numel() * 4 > MOST_BYTES:  # an expanded tensor is larger than its file
            raise BadWeights(f"{path}: {name}: expected at most {MOST_BYTES} bytes, found shape {tuple(tensor.shape)}")
        yield name, tensor.detach().float().numpy()


def _check_archive(path: Path) -> None:
    """A torch file is an archive without compression: its parts are as large as they say."""
    parts: Iterable[zipfile.ZipInfo] = ()
    with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if (total := sum(part.file_size for part in parts)) > MOST_BYTES:
        raise BadWeights(f"{path}: expected at most {MOST_BYTES} bytes unpacked, found {total}")


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
