"""The whole decoding half of a HeartCodec, with weights of a checkpoint or made from a seed."""

from __future__ import annotations

import json
import math
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from implementations.codec.configuration import FLAVOURS, BadCheckpoint, Configuration, read
from implementations.codec.decoder import ScalarModel
from implementations.codec.flow import FlowMatching

UNUSED = (
    "scalar_model.encoder.", "flow_matching.vq_embed.project_in.", "flow_matching.zero_cond_embedding1",
    "._codebook.initted", "._codebook.cluster_size", "._codebook.embed_avg",
)  # fmt: skip
"""Parts of names that upstream's checkpoints have and decoding does not need: never read, whatever their shape (`initted` is [] or [1])."""

INDEX = "model.safetensors.index.json"


class HeartCodec(nn.Module):
    """Codes to latents, latents to samples; parameters are named as upstream names them."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        self.flow_matching = FlowMatching(configuration)
        self.scalar_model = ScalarModel(configuration)


def on_meta(configuration: Configuration) -> HeartCodec:
    """The model without memory: shapes and names only."""
    with torch.device("meta"):
        return HeartCodec(configuration)


def load(source: Path | str, *, seed: int = 0) -> HeartCodec:
    """A flavour by name with weights of a seed, or the checkpoint in a folder or file; float32, for inference.

    BadCheckpoint says what is wrong with a checkpoint, MemoryError that this machine cannot hold it.
    """
    if isinstance(source, str) and source in FLAVOURS:
        return seeded(FLAVOURS[source], seed)
    path = Path(source)
    if not path.exists():
        raise BadCheckpoint(f"{path}: expected a checkpoint's folder, a safetensors file, or one of {', '.join(FLAVOURS)}; found nothing")
    folder = path if path.is_dir() else path.parent
    configuration = read(folder / "config.json")
    return from_files(files_of(path), configuration)


def files_of(path: Path) -> list[Path]:
    """The safetensors files of a checkpoint: the file itself, or those of a folder, all that its index names where it has one."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.safetensors"))
    index = path / INDEX
    if index.exists():
        try:
            named = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadCheckpoint(f"{index}: expected a weight_map of files, found: {error!r}") from None
        missing = [name for name in named if path / name not in found]
        if missing:
            raise BadCheckpoint(
                f"{index}: expected {', '.join(missing)} beside it, found {', '.join(one.name for one in found) or 'no file'}"
            )
        found = [path / name for name in named]
    if not found:
        raise BadCheckpoint(f"{path}: expected *.safetensors, found none")
    return found


def from_files(paths: list[Path], configuration: Configuration) -> HeartCodec:
    """The model with the tensors of these files, which stay mapped into memory: what is not computed with is not read twice."""
    model = on_meta(configuration)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_memory(configuration)
    found: dict[str, Tensor] = {}
    homes: dict[str, Path] = {}
    with ExitStack() as stack:
        for path in paths:
            file = _open(stack, path)
            for name in file.keys():  # noqa: SIM118 (no mapping)
                if any(part in name for part in UNUSED):
                    continue
                if name not in expected:
                    raise BadCheckpoint(f"{path}: {name}: expected only tensors of a HeartCodec, found one more: another model or flavour")
                if name in found:
                    raise BadCheckpoint(f"{path}: {name}: expected once, found in {homes[name].name} too")
                homes[name], found[name] = path, _tensor(file, name, expected[name], path)
    missing = sorted(expected.keys() - found.keys())
    if missing:
        raise BadCheckpoint(f"{paths[0].parent}: expected {len(expected)} tensors, found {len(found)}: {missing[0]} is missing")
    model.load_state_dict(found, assign=True)
    return model.eval().requires_grad_(False)


def seeded(configuration: Configuration, seed: int = 0) -> HeartCodec:
    """The model with random weights that keep signals alive: each tensor has a generator of its own, keyed by seed and name."""
    check_memory(configuration)
    model = on_meta(configuration)
    weights: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))  # of a seed it takes 32 bits
        weights[name] = _initial(name, tuple(tensor.shape), generator)
    for name in [name for name in weights if name.endswith(".original0")]:  # the lengths of the directions: weights as they were drawn
        direction = weights[name.removesuffix("0") + "1"]
        weights[name] = direction.flatten(1).norm(dim=1).view(-1, 1, 1)
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def check_memory(configuration: Configuration) -> None:
    """MemoryError where the weights alone, in float32, need more than is free."""
    needed = 4 * sum(tensor.numel() for tensor in on_meta(configuration).state_dict().values())
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(f"codec: expected {needed / 1e9:.1f} GB of free memory for the weights, found {free / 1e9:.1f} GB")


def _initial(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Variance is kept by products, small in biases, and small in what residual branches add, so that 30 of them stay bounded."""
    drawn = torch.randn(shape, generator=generator)
    if name.endswith("norm.weight"):
        return 1 + 0.1 * drawn
    if "activation" in name:
        return 0.25 + 0.05 * drawn
    if name.endswith("scale_shift_table"):
        return drawn / math.sqrt(shape[-1])
    if name.endswith("bias"):
        return 0.02 * drawn
    if "_codebook" in name:
        return drawn
    if "up_conv" in name:  # (inputs, outputs, 2 stride): two taps meet in each output
        return drawn / math.sqrt(2 * shape[0])
    gain = 0.5 if ".conv2." in name else 1.5 if "proj_out.ffn_2" in name else 1.0
    return gain * drawn / math.sqrt(math.prod(shape[1:]))


def _open(stack: ExitStack, path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return stack.enter_context(safe_open(path, framework="pt"))
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint(f"{path}: expected a whole safetensors file, found: {error}; download it again") from None


def _tensor(file: Any, name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    tensor: Tensor = file.get_tensor(name)
    if tuple(tensor.shape) != shape:
        raise BadCheckpoint(f"{path}: {name}: expected shape {shape}, found {tuple(tensor.shape)}: another flavour")
    if not tensor.dtype.is_floating_point:
        raise BadCheckpoint(f"{path}: {name}: expected floating point numbers, found {tensor.dtype}")
    tensor = tensor.float()  # float32 stays where it is mapped
    # A sum is the cheapest look at every value; where it overflows the exact look decides.
    if not math.isfinite(float(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
        place = tuple(int(index) for index in torch.nonzero(~torch.isfinite(tensor))[0])
        raise BadCheckpoint(f"{path}: {name}: expected finite numbers, found {float(tensor[place])} at {list(place)}")
    return tensor
