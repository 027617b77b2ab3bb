"""Counts that follow from sizes, beside those of the modules themselves."""

import pytest

from implementations.generator.checkpoints import on_meta
from implementations.generator.flavours import CODEBOOKS, FLAVOURS, flavour_of, sized


@pytest.mark.parametrize("name", FLAVOURS)
def test_counts_are_those_of_the_modules(name):
    flavour, model = FLAVOURS[name], on_meta(FLAVOURS[name])

    def count(*modules):
        return sum(parameter.numel() for module in modules for parameter in module.parameters())

    assert flavour.parameters == count(model)
    assert flavour.backbone.parameters == count(model.backbone)
    assert flavour.decoder.parameters == count(model.decoder)
    assert flavour.table_parameters == count(model.text_embeddings, model.audio_embeddings, model.unconditional_text_embedding)
    assert flavour.head_parameters == count(model.codebook0_head) + model.audio_head.numel()
    assert all(parameter.is_meta for parameter in model.parameters())


def test_the_published_size():
    """The document says about 3 billion and 300 million."""
    published = flavour_of("3B+300M")
    assert published.parameters == 3_938_113_536
    assert {name for name in FLAVOURS if "B+" in name} == {"3B+300M", "3B+400M", "7B+300M", "7B+400M"}
    assert (published.vocabulary, published.end, published.text_vocabulary) == (8197, 8193, 128256)


def test_caches_of_the_length_that_is_needed():
    """Upstream's with guidance take 5.64 GB whatever the song; three minutes need 0.6 GiB."""
    published = flavour_of("3B+300M")
    assert published.cache_bytes(0, 2, upstream=True) == pytest.approx(5.64e9 + 8192**2, rel=0.01)
    assert published.cache_bytes(2250 + 250, 2) == pytest.approx(0.57e9, rel=0.05)
    model = on_meta(published)
    model.backbone.allocate(2, published.backbone.positions)
    model.decoder.allocate(2, CODEBOOKS)
    layers = [*model.backbone.layers, *model.decoder.layers]
    allocated = sum(2 * (layer.attn.keys.numel() + layer.attn.values.numel()) for layer in layers) + model.backbone.mask.numel()
    assert published.cache_bytes(0, 2, upstream=True) == allocated


def test_three_sizes_of_a_flavour():
    tiny, small = FLAVOURS["tiny"], FLAVOURS["small"]
    assert sized(tiny, None) is tiny
    assert sized(tiny, "medium") is tiny
    layers = {size: (sized(tiny, size).backbone.layers, sized(tiny, size).decoder.layers) for size in ("small", "medium", "large")}
    assert layers == {"small": (1, 1), "medium": (3, 2), "large": (6, 4)}
    assert sized(small, "small") is FLAVOURS["draft"]
    assert len({sized(small, size).name for size in ("small", "medium", "large")}) == 3


def test_an_unknown_flavour_is_refused():
    with pytest.raises(ValueError, match=r"expected one of 3B\+300M.*tiny, found '3b'"):
        flavour_of("3b")
