"""Native products of a few rows: weights laid out once as one stream and read at the speed of memory (kernel.cpp says how).

Published weights are bfloat16. Multiplied by float32 they give what the float32 reference gives, at half of its bytes: the exact row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from implementations.generator.engine import Product, torch_threads

MANY = 64
"""Rows from which on a matrix product by a copy in float32 is faster: then it is no longer memory that limits."""

_BITS = {torch.bfloat16: np.uint16, torch.float16: np.int16}
"""What the kernel takes in place of a dtype that NumPy may not have: its bits. Two kinds of bits, told apart by their sign."""


@dataclass(frozen=True)
class Laid:
    """A matrix (outputs, inputs) as the kernel reads it: (blocks, lines, ROWS, LINE) of float32, int8, or the bits of 16-bit floats."""

    weights: np.ndarray
    outputs: int
    inputs: int

    def plain(self) -> Tensor:
        """The matrix as it was, a copy."""
        rows = torch.from_numpy(self.weights).transpose(1, 2).flatten(0, 1).flatten(1)
        return rows[: self.outputs, : self.inputs]


def lay_out(weight: Tensor) -> Laid:
    """A float32, 16-bit or int8 matrix, zeros added to it until it is whole blocks and lines."""
    native = import_module("implementations.generator._native")
    outputs, inputs = weight.shape
    beyond = -outputs % native.ROWS, -inputs % native.LINE
    whole = torch.nn.functional.pad(weight, (0, beyond[1], 0, beyond[0])) if any(beyond) else weight
    whole = whole.view(torch.int16) if whole.dtype in _BITS else whole
    blocks = whole.view(len(whole) // native.ROWS, native.ROWS, -1, native.LINE).transpose(1, 2)
    # NumPy asks for huge pages where PyTorch does not: the same memory is then read up to a tenth faster.
    laid = np.empty(blocks.shape, str(whole.dtype).removeprefix("torch."))
    torch.from_numpy(laid).copy_(blocks)
    return Laid(laid.view(_BITS[weight.dtype]) if weight.dtype in _BITS else laid, outputs, inputs)


def hold(weight: Tensor, *, threads: int | None = None, level: str = "auto") -> Product:
    """The product by a float32, bfloat16 or float16 weight (outputs, inputs). threads: torch's by default."""
    return product_by(lay_out(weight.contiguous()), weight.dtype, threads=threads, level=level)


def product_by(laid: Laid, dtype: torch.dtype, *, threads: int | None = None, level: str = "auto") -> Product:
    """The same by a matrix of this dtype that is laid out already, which several products may share."""
    return _product_of(laid, None, lambda: laid.plain().view(dtype).float(), threads, level)


def hold_int8(weight: Tensor, *, threads: int | None = None, level: str = "auto") -> Product:
    """The same rounded to 8 bits, symmetric, with a scale for each output; inputs and sums stay float32."""
    scales = weight.float().abs().amax(dim=1).clamp(min=1e-12) / 127
    laid = lay_out((weight.float() / scales[:, None]).round().to(torch.int8))
    return _product_of(laid, scales, lambda: laid.plain() * scales[:, None], threads, level)


def _product_of(laid: Laid, scales: Tensor | None, widened: Any, threads: int | None, level: str) -> Product:
    native = import_module("implementations.generator._native")
    threads = threads or torch.get_num_threads()
    scaled = None if scales is None else scales.numpy()
    multiply = partial(native.multiply, native.level(level), laid.weights, scales=scaled, threads=threads)
    return partial(_product, multiply, widened, laid.outputs, threads)


def _product(multiply: Any, widened: Any, outputs: int, threads: int, x: Tensor) -> Tensor:
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) > MANY:
        with torch_threads(threads):
            return linear(x, widened())
    out = torch.empty(len(rows), outputs)
    multiply(x=rows.contiguous().numpy(), out=out.numpy())
    return out.view(*x.shape[:-1], outputs)
