"""Thirty percent of every kernel zero, and the bytes that are left."""

import numpy as np
import pytest
from vocoder_rows import weights

from implementations.tts.vocoder.pruning import SHARE, packed, pruned, unpacked

pytest.importorskip("torch", reason="torch: not installed")


def test_the_share_is_zero_and_the_rest_is_untouched_and_larger():
    after = pruned(weights("v1"))
    for name, whole in weights("v1").items():
        kept = after[name]
        zero = kept == 0
        assert np.array_equal(kept[~zero], whole[~zero])
        assert zero.sum() == (round(SHARE * whole.size) if whole.ndim > 1 else 0)
        assert np.abs(whole[zero]).max(initial=0) <= np.abs(whole[~zero]).min()


def test_packed_weights_come_back_and_take_the_bytes_of_their_mask_too():
    whole = weights("v1")
    kept = pruned(whole)
    small = packed(kept)
    again = unpacked(small, {name: array.shape for name, array in whole.items()})
    assert all(np.array_equal(again[name], kept[name]) for name in kept)
    share = sum(array.nbytes for array in small.values()) / sum(array.nbytes for array in whole.values())
    assert 1 - SHARE + 1 / 32 <= share < 1 - SHARE + 1 / 32 + 0.02
    assert sum(array.nbytes for array in packed(whole).values()) == sum(array.nbytes for array in whole.values())
