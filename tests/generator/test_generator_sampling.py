"""The noise is a function of its place, exponential, and independent between places."""

import numpy as np
import torch
from scipy.stats import kstest

from implementations.generator.sampling import exponential, guide, kept, philox


def test_philox_is_the_published_one():
    """Known answers of Random123's kat_vectors for philox4x32-10."""
    zero = np.zeros(1, np.int64)
    assert [int(word[0]) for word in philox((zero, zero, zero, zero), (0, 0))] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = zero + 0xFFFFFFFF
    found = philox((ones, ones, ones, ones), (0xFFFFFFFF, 0xFFFFFFFF))
    assert [int(word[0]) for word in found] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_torch_draws_the_same():
    codes = np.arange(100)
    bits = philox((codes, 0 * codes + 3, 0 * codes + 9, 0 * codes), (2**32 - 1, 77))
    tensor = torch.from_numpy(codes)
    other = philox((tensor, 0 * tensor + 3, 0 * tensor + 9, 0 * tensor), (2**32 - 1, 77))
    for one, two in zip(bits, other, strict=True):
        np.testing.assert_array_equal(one, two.numpy())


def test_noise_is_exponential_and_belongs_to_its_place():
    codes = np.arange(8197)
    noise = exponential(2**63 + 5, 7, 3, codes)
    assert kstest(noise, "expon").pvalue > 0.01
    np.testing.assert_array_equal(exponential(2**63 + 5, 7, 3, codes[50:60]), noise[50:60])
    for other in (exponential(5, 7, 3, codes), exponential(2**63 + 5, 8, 3, codes), exponential(2**63 + 5, 7, 4, codes)):
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.05
        assert (noise != other).mean() > 0.99


def test_guidance_and_ties():
    assert guide(np.float32([[1, 2]]), 1.5).tolist() == [1, 2]
    assert guide(np.float32([[1, 2], [3, 1]]), 1.5).tolist() == [0, 2.5]
    assert kept(np.float32([1, 3, 2, 2]), 2).tolist() == [1, 2, 3]
