"""The specimen's kernel as pytest-benchmark times it."""

import pytest
from kernels import INPUTS, run


@pytest.mark.parametrize("case", INPUTS)
def test_kernel(benchmark, case):
    assert benchmark(run, INPUTS[case])["y"].size
