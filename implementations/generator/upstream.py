"""The reference beside upstream's own code, in turns in one process.

`python -m implementations.generator.upstream --heartlib DIR --torchtune DIR` takes checkouts of HeartMuLa/heartlib (3981c52) and
pytorch/torchtune (v0.4.0). Both on the same weights at real width, two of 28 backbone
layers, bfloat16 under autocast, guidance 1.5, temperature 1, top-k 50. What upstream's modules import and never use here (quantization,
tokenizers, pictures) is not needed: it is replaced by empty modules, and the base class from transformers by a plain module.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from implementations._comparing import timed
from implementations.generator.checkpoints import Weights, model_of, weights_of
from implementations.generator.component import GENERATOR, request_of
from implementations.generator.flavours import CODEBOOKS, FLAVOURS, Flavour
from implementations.generator.generation import Request, write_frame

UNUSED = ("torchao", "torchvision", "sentencepiece", "tiktoken", "transformers", "omegaconf", "datasets", "PIL")


class _Empty(ModuleType):
    """Any name of it is a class that can be inherited from, made and, as a decorator, called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        content = {
            "__init__": lambda self, *_: nn.Module.__init__(self),
            "__call__": lambda self, found: found,
            "post_init": lambda self: None,
        }
        return type(name, (nn.Module,), content)


class _Unused(MetaPathFinder, Loader):
    """Finds the packages of `UNUSED` as empty modules, and torchtune's own first file, which imports all of it, as an empty one too."""

    def __init__(self, torchtune: Path) -> None:
        self._torchtune = torchtune

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in UNUSED or name == "torchtune" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = ModuleType(spec.name) if spec.name == "torchtune" else _Empty(spec.name)
        module.__path__ = [str(self._torchtune / "torchtune")] if spec.name == "torchtune" else []
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def load(heartlib: Path, torchtune: Path, flavour: Flavour, weights: Weights) -> Any:
    """Upstream's HeartMuLa of a flavour's sizes on these tensors themselves."""
    sys.meta_path.insert(0, _Unused(torchtune))
    sys.path.insert(0, str(heartlib / "src" / "heartlib"))
    from heartmula import modeling_heartmula as modeling  # type: ignore[import-not-found]
    from torchtune.models import llama3_2  # type: ignore[import-not-found]

    for name, sizes in (("backbone", flavour.backbone), ("decoder", flavour.decoder)):
        modeling.FLAVORS[name] = lambda sizes=sizes: llama3_2.llama3_2(
            vocab_size=8, num_layers=sizes.layers, num_heads=sizes.heads, num_kv_heads=sizes.kv_heads, embed_dim=sizes.dim,
            max_seq_len=sizes.positions, intermediate_dim=sizes.hidden, attn_dropout=0.0, norm_eps=1e-5, rope_base=500_000, scale_factor=32,
        )  # fmt: skip
    config = SimpleNamespace(
        backbone_flavor="backbone", decoder_flavor="decoder", text_vocab_size=flavour.text_vocabulary, audio_vocab_size=flavour.vocabulary,
        audio_num_codebooks=CODEBOOKS, muq_dim=flavour.muq,
    )  # fmt: skip
    model = modeling.HeartMuLa(config)
    found = model.load_state_dict(weights, strict=False, assign=True)
    assert not found.unexpected_keys, found
    assert not found.missing_keys, found
    return model.eval()


class Upstream:
    """Upstream's loop over frames, as its pipeline has it."""

    def __init__(self, model: Any, request: Request) -> None:
        self.model, self.request = model, request
        prompt, rows = request.prompt, request.rows
        tokens = torch.zeros(rows, len(prompt.text), CODEBOOKS + 1, dtype=torch.long)
        tokens[..., -1] = torch.from_numpy(prompt.text)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        mask[..., -1] = True
        self.position = torch.arange(len(prompt.text)).expand(rows, -1)
        style = torch.from_numpy(prompt.muq).bfloat16().expand(rows, -1)
        model.setup_caches(rows)
        self.codes = self._frame(tokens, mask, self.position, continuous_segments=style, starts=[prompt.muq_place] * rows)

    def step(self) -> None:
        """One frame more."""
        tokens = torch.nn.functional.pad(self.codes.long(), (0, 1))[:, None]
        mask = torch.ones_like(tokens, dtype=torch.bool)
        mask[..., -1] = False
        self.position = self.position[:, -1:] + 1
        self.codes = self._frame(tokens, mask, self.position)

    def _frame(self, tokens: Tensor, mask: Tensor, position: Tensor, **style: Any) -> Tensor:
        request = self.request
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            found: Tensor = self.model.generate_frame(
                tokens=tokens, tokens_mask=mask, input_pos=position, temperature=request.temperature, topk=request.top_k,
                cfg_scale=request.guidance, **style,
            )  # fmt: skip
        return found


class Reference:
    """The same of heartmula.py."""

    def __init__(self, model: Any, request: Request) -> None:
        self.model, self.request, self.frame = model, request, 0
        self.hidden = model.start(request.prompt, request.rows, request.frames)
        self.codes = write_frame(model, self.hidden, request, 0).codes

    def step(self) -> None:
        """One frame more."""
        self.hidden = self.model.advance(self.codes.astype(np.int64)[None], self.frame)
        self.frame += 1
        self.codes = write_frame(self.model, self.hidden, self.request, self.frame).codes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m implementations.generator.upstream", description=__doc__)
    parser.add_argument("--heartlib", type=Path, required=True)
    parser.add_argument("--torchtune", type=Path, required=True)
    parser.add_argument("--flavour", choices=FLAVOURS, default="real-width")
    parser.add_argument("--frames", type=int, default=10)
    options = parser.parse_args()
    flavour = FLAVOURS[options.flavour]
    weights = weights_of(flavour, torch.bfloat16)
    case = {**GENERATOR.case("tiny").make(0), "flavour": flavour.name, "muq": np.zeros(flavour.muq, np.float32)}
    request = request_of({**case, "frames": options.frames + 2, "top_k": 50, "end": flavour.vocabulary})[1]
    upstream = Upstream(load(options.heartlib, options.torchtune, flavour, weights), request)
    seconds, ratios = timed({"reference": Reference(model_of(flavour, weights), request).step, "upstream": upstream.step}, options.frames)
    each = ", ".join(f"{name} {found * 1e3:.0f} ms" for name, found in seconds.items())
    print(f"a frame: {each}; reference over upstream {statistics.median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]")


if __name__ == "__main__":
    main()
