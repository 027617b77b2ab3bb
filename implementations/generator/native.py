"""Native products of a few rows: weights stay as the checkpoint has them and are read at the speed of memory (kernel.cpp says how).

Published weights are bfloat16. Multiplied by float32 they give what the float32 reference gives, at half of its bytes: the exact row.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from implementations.generator.engine import Product, torch_threads

MANY = 64
"""Rows from which on a matrix product by a copy in float32 is faster: then it is no longer memory that limits."""


_BITS = {torch.bfloat16: torch.uint16, torch.float16: torch.int16}
"""What the kernel takes in place of a dtype that NumPy may not have: its bits. Two kinds of bits, told apart by their sign."""


def hold(weight: Tensor, *, threads: int | None = None, level: str = "auto") -> Product:
    """A float32, bfloat16 or float16 weight (outputs, inputs) as it is, not copied where it is contiguous. threads: torch's by default."""
    kept = weight.contiguous()
    bits = kept.view(_BITS[kept.dtype]) if kept.dtype in _BITS else kept
    threads = threads or torch.get_num_threads()
    return partial(_product, _multiply(bits, None, threads, level), kept.float, len(kept), threads)


def hold_int8(weight: Tensor, *, threads: int | None = None, level: str = "auto") -> Product:
    """The same rounded to 8 bits, symmetric, with a scale for each output; inputs and sums stay float32."""
    scales = weight.float().abs().amax(dim=1).clamp(min=1e-12) / 127
    rounded = (weight.float() / scales[:, None]).round().to(torch.int8)
    threads = threads or torch.get_num_threads()
    return partial(_product, _multiply(rounded, scales, threads, level), lambda: rounded * scales[:, None], len(rounded), threads)


def _multiply(weights: Tensor, scales: Tensor | None, threads: int, level: str) -> Any:
    native = import_module("implementations.generator._native")
    scaled = None if scales is None else scales.numpy()
    return partial(native.multiply, native.level(level), weights.numpy(), scales=scaled, threads=threads)


def _product(multiply: Any, widened: Any, outputs: int, threads: int, x: Tensor) -> Tensor:
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) > MANY:
        with torch_threads(threads):
            return linear(x, widened())
    out = torch.empty(len(rows), outputs)
    multiply(x=rows.contiguous().numpy(), out=out.numpy())
    return out.view(*x.shape[:-1], outputs)
