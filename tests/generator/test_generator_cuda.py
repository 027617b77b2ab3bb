"""The step that a CUDA graph holds, run eagerly where there is no GPU: codes and logits of plain decoding."""

import numpy as np
import pytest

from implementations.generator import cuda
from implementations.generator.checkpoints import random
from implementations.generator.component import GENERATOR, request_of
from implementations.generator.engine import Engine
from implementations.generator.flavours import FLAVOURS
from implementations.generator.generation import generate

TINY = FLAVOURS["tiny"]


@pytest.mark.parametrize("change", [{}, {"top_k": 50, "seed": 2**63}, {"guidance": 1.0, "top_k": 5}, {"forced": True}], ids=str)
def test_the_step_of_the_graph(change):
    inputs = {**GENERATOR.case("tiny").make(0), **change}
    if "forced" in change:
        inputs["forced"] = np.arange(12 * 8).reshape(12, 8) % 66
    request = request_of(inputs)[1]
    expected = list(generate(Engine(TINY, random(TINY), cuda.plain), request))
    found = list(cuda.generate(Engine(TINY, random(TINY), cuda.plain), request))
    np.testing.assert_array_equal(np.stack([f.codes for f in found]), np.stack([f.codes for f in expected]))
    np.testing.assert_allclose(np.stack([f.logits for f in found]), np.stack([f.logits for f in expected]), atol=5e-5)
