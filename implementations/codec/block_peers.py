"""One block of the estimator in the frameworks that are recommended for it: `python -m implementations.codec.block_peers`.

A block at the first published width on the 186 latents of a short segment, both rows of the guidance, float32; whatever is installed takes
turns with the reference and with the packed block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from implementations import _frameworks
from implementations.codec.configuration import Configuration
from implementations.codec.estimator import Block, rotations
from implementations.codec.model import seeded
from implementations.codec.prepacked import _block, _modulation

LATENTS = 186


class Alone(nn.Module):
    """A block with the modulation of one step and the positions of a segment in it: (b, t, width) -> (b, t, width)."""

    modulation: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, block: Block, modulation: Tensor, rotation: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.block = block
        for name, tensor in zip(("modulation", "cos", "sin"), (modulation, *rotation), strict=True):
            self.register_buffer(name, tensor)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x, self.modulation, (self.cos, self.sin))
        return out


def packed(alone: Alone) -> Callable[[Tensor], np.ndarray]:
    """The block of `torch_packed`."""
    block = alone.block
    ready = _block(block, torch.float32)
    by = _modulation(block.scale_shift_table, block.attn_norm.weight, block.mlp_norm.weight, alone.modulation)
    rotation = torch.complex(alone.cos, alone.sin)[:, None]
    return lambda x: ready(x, by, rotation).numpy()


def block() -> _frameworks.Block:
    """The first block of the published estimator with seeded weights."""
    estimator = seeded(Configuration(num_layers=1, num_layers_2=1)).flow_matching.estimator
    first: Any = estimator.transformer_blocks[0]
    with torch.no_grad():
        modulation, _ = estimator.adaln_single(torch.tensor(0.3))
    x = torch.randn(2, LATENTS, estimator.scale_shift_table.shape[1], generator=torch.Generator().manual_seed(0))
    alone = Alone(first, modulation, rotations(LATENTS, estimator.head_dim))
    return _frameworks.Block(alone, (x,), {"packed": lambda threads: partial(packed(alone), x)})


if __name__ == "__main__":
    sys.exit(_frameworks.main("implementations.codec.block_peers", __doc__, ("packed",), block))
