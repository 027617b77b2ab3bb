"""Weights stored in float16: half of the bytes, the arithmetic of float32, and nothing that float16 cannot hold."""

import pytest
import torch
from torch import nn

from implementations.tts.stored import in_float16


def made():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(8, 16, 3, padding=1), nn.ReLU(), nn.ConvTranspose1d(16, 8, 4, stride=2), nn.Linear(24, 5)).eval()


def test_a_layer_computes_in_float32_with_its_weights_rounded():
    plain, stored, x = made(), in_float16(made()), torch.randn(2, 8, 11)
    for layer in (plain[0], plain[2], plain[3]):
        layer.weight.data = layer.weight.data.half().float()
    with torch.inference_mode():
        found = stored(x)
        assert found.dtype == torch.float32
        assert torch.equal(found, plain(x))
    sizes = {name: value.dtype.itemsize for name, value in stored.named_parameters()}
    assert sorted(set(sizes.values())) == [2, 4]
    assert all((size == 2) == name.endswith("weight.original") for name, size in sizes.items())


def test_a_weight_that_float16_cannot_hold_is_refused():
    module = made()
    module[2].weight.data[0, 0, 0] = 7e4
    with pytest.raises(ValueError, match="2: expected weights up to 65504, which float16 holds, found 70000"):
        in_float16(module)
