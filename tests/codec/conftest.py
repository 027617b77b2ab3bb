"""One thread for PyTorch: the operations of a tiny codec wait for each other's threads longer than they compute."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
