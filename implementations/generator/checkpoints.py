"""Weights: upstream's safetensors folders, our own small ones, and random ones by seed.

A folder holds config.json and one or several *.safetensors. Names and shapes of all files are compared with the model's before a value
is read; then one tensor after the other is read from the mapped file, checked and converted, so that memory peaks at the model and the
largest tensor.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from implementations.generator.flavours import BACKBONES, CODEBOOKS, DECODERS, FLAVOURS, SPECIALS, Flavour, Stack
from implementations.generator.heartmula import HeartMuLa

Weights = dict[str, Tensor]
"""By upstream's names."""

SHIPPED = Path(__file__).parent / "checkpoints"
"""Folders of trained weights that come with this package: `small` and its `draft`."""

TILE = 1_000_003
"""Random numbers in all. A prime: no two rows of a matrix begin at the same one of them."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be this model: what was expected, what was found, in which file."""


def shapes(flavour: Flavour) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a flavour's weights, from the model itself on the meta device."""
    return {name: tuple(tensor.shape) for name, tensor in on_meta(flavour).state_dict().items()}


def on_meta(flavour: Flavour) -> HeartMuLa:
    """The model without memory."""
    with torch.device("meta"):
        return HeartMuLa(flavour)


def model_of(flavour: Flavour, weights: Weights) -> HeartMuLa:
    """The reference model on these tensors themselves."""
    model = on_meta(flavour)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def weights_of(flavour: Flavour, dtype: torch.dtype = torch.float32) -> Weights:
    """What a flavour runs with where no folder is given: the trained weights that come with it, else random ones."""
    folder = SHIPPED / flavour.name
    return load(folder, dtype)[1] if folder.is_dir() else random(flavour, dtype=dtype)


def random(flavour: Flavour, seed: int = 0, dtype: torch.dtype = torch.float32) -> Weights:
    """Random weights which bfloat16 holds exactly, as it does published ones: sums keep their size from layer to layer."""
    tile = torch.randn(TILE, generator=torch.Generator().manual_seed(seed)).bfloat16()
    found: Weights = {}
    for name, shape in shapes(flavour).items():
        count = int(torch.Size(shape).numel())
        start = zlib.crc32(name.encode()) % TILE
        values = tile.repeat((start + count) // TILE + 1)[start : start + count].view(shape)
        found[name] = _sized(name, values).bfloat16().to(dtype)
    return found


def _sized(name: str, values: Tensor) -> Tensor:
    if name.endswith("scale"):
        return values.mul(0.1).add(1)
    if "embedding" in name:
        return values.mul(0.5)
    if name == "audio_head":  # (codebooks, inputs, outputs)
        return values.mul(2 / values.shape[1] ** 0.5)
    gain = 2 if name == "codebook0_head.weight" else 1
    return values.mul(gain / values.shape[-1] ** 0.5)


def load(folder: Path, dtype: torch.dtype = torch.bfloat16) -> tuple[Flavour, Weights]:
    """Flavour and weights of a folder. CheckpointError: another model, damaged, incomplete, too much, or not finite."""
    flavour = read_config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder}: expected *.safetensors, found none")
    expected, found = shapes(flavour), dict[str, tuple[Path, tuple[int, ...]]]()
    for path in files:
        for name, shape in _header(path).items():
            if name in found:
                raise CheckpointError(f"{path}: {name} is in {found[name][0].name} already")
            found[name] = path, shape
    _agree(folder, flavour, expected, found)
    weights: Weights = {}
    for path in files:
        for name, tensor in _tensors(path, [name for name in found if found[name][0] == path]):
            weights[name] = tensor.to(dtype, copy=True)
            if not torch.isfinite(weights[name]).all():
                raise CheckpointError(f"{path}: {name}: expected finite values, found NaN or infinity (as {dtype})")
    return flavour, {name: weights[name] for name in expected}


def read_config(folder: Path) -> Flavour:
    """The flavour that a folder's config.json (and gen_config.json) describes."""
    config = _json(folder / "config.json")
    needed = ("backbone_flavor", "decoder_flavor", "text_vocab_size", "audio_vocab_size", "audio_num_codebooks", "muq_dim")
    missing = [name for name in needed if name not in config]
    if missing:
        place = folder / "config.json"
        raise CheckpointError(f"{place}: expected {', '.join(needed)}, found no {', '.join(missing)}: is it a generator's folder?")
    if config["audio_num_codebooks"] != CODEBOOKS:
        found = config["audio_num_codebooks"]
        raise CheckpointError(f"{folder / 'config.json'}: audio_num_codebooks: expected {CODEBOOKS}, found {found}")
    backbones = {**BACKBONES, **{flavour.name: flavour.backbone for flavour in FLAVOURS.values()}}
    decoders = {**DECODERS, **{flavour.name: flavour.decoder for flavour in FLAVOURS.values()}}
    backbone = _stack(folder, "backbone_flavor", config["backbone_flavor"], backbones)
    decoder = _stack(folder, "decoder_flavor", config["decoder_flavor"], decoders)
    ids = _json(folder / "gen_config.json") if (folder / "gen_config.json").is_file() else {}
    text = int(config["text_vocab_size"])
    return Flavour(
        name=str(config.get("name", folder.name)),
        backbone=backbone,
        decoder=decoder,
        text_vocabulary=text,
        codes=int(config["audio_vocab_size"]) - SPECIALS,
        muq=int(config["muq_dim"]),
        text_begin=int(ids.get("text_bos_id", min(128000, text - 2))),
        text_end=int(ids.get("text_eos_id", min(128001, text - 1))),
    )


def save(folder: Path, flavour: Flavour, weights: Mapping[str, Tensor], dtype: torch.dtype = torch.bfloat16) -> None:
    """Write a folder that `load` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "name": flavour.name,
        "backbone_flavor": _name(flavour.backbone, BACKBONES, flavour),
        "decoder_flavor": _name(flavour.decoder, DECODERS, flavour),
        "text_vocab_size": flavour.text_vocabulary,
        "audio_vocab_size": flavour.vocabulary,
        "audio_num_codebooks": CODEBOOKS,
        "muq_dim": flavour.muq,
    }
    ids = {"text_bos_id": flavour.text_begin, "text_eos_id": flavour.text_end, "audio_eos_id": flavour.end, "empty_id": 0}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (folder / "gen_config.json").write_text(json.dumps(ids, indent=1) + "\n", encoding="utf-8")
    save_file({name: tensor.detach().to(dtype).contiguous() for name, tensor in weights.items()}, str(folder / "model.safetensors"))


def _name(stack: Stack, known: Mapping[str, Stack], flavour: Flavour) -> str:
    return next((name for name, other in known.items() if other == stack), flavour.name)


def _stack(folder: Path, key: str, name: str, known: Mapping[str, Stack]) -> Stack:
    if name not in known:
        raise CheckpointError(f"{folder / 'config.json'}: {key}: expected one of {', '.join(known)}, found {name!r}")
    return known[name]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: expected a readable JSON file, found: {error}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: expected an object, found {type(found).__name__}")
    return found


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(str(path), "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: expected a whole safetensors file, found: {error}; download it again") from None


def _tensors(path: Path, names: Iterable[str]) -> Iterable[tuple[str, Tensor]]:
    with safe_open(str(path), "pt") as file:
        for name in names:
            yield name, file.get_tensor(name)


def _agree(
    folder: Path, flavour: Flavour, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[Path, tuple[int, ...]]]
) -> None:
    missing, extra = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if missing or extra:
        lists = [f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}" for what, names in
                 (("missing", missing), ("unexpected", extra)) if names]  # fmt: skip
        raise CheckpointError(f"{folder}: expected the {len(expected)} tensors of {flavour.name}, found {len(found)}; {'; '.join(lists)}")
    for name, shape in expected.items():
        path, other = found[name]
        if other != shape:
            raise CheckpointError(f"{path}: {name}: expected shape {shape} of {flavour.name}, found {other}: weights of another flavour")
