"""What all tests of text to speech need."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Layers as small as the tests' are not worth sharing, and threads wait for each other where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
