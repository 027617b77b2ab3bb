"""Sizes: every published flavour of the music generator and small ones, with the parameters and bytes that follow from them.

Source: HeartMuLa/heartlib. A flavour is a backbone that reads frames and a depth decoder that writes the codes of one frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

FRAMES_PER_SECOND = 12.5
CODEBOOKS = 8
SPECIALS = 5
"""Ids above the codes of a codebook. The second of them ends a song; the first one is neither an end nor a code."""


@dataclass(frozen=True)
class Stack:
    """A Llama-3 transformer. hidden: width of the gated feed-forward. positions: as many as upstream makes caches for."""

    layers: int
    heads: int
    kv_heads: int
    dim: int
    hidden: int
    positions: int

    @property
    def head_dim(self) -> int:
        """Values per head."""
        return self.dim // self.heads

    @property
    def layer_parameters(self) -> int:
        """Weights of one layer, its two norms included."""
        attention = self.dim * self.head_dim * 2 * (self.heads + self.kv_heads)
        return attention + 3 * self.dim * self.hidden + 2 * self.dim

    @property
    def parameters(self) -> int:
        """Weights of all layers and of the last norm."""
        return self.layers * self.layer_parameters + self.dim

    @property
    def position_values(self) -> int:
        """Numbers kept of one position: keys and values of all layers, as many heads as there are."""
        return self.layers * 2 * self.kv_heads * self.head_dim


@dataclass(frozen=True)
class Flavour:
    """A generator's sizes. codes: entries of each codebook. muq: width of the style embedding. text_begin, text_end: ids around a text."""

    name: str
    backbone: Stack
    decoder: Stack
    text_vocabulary: int = 128256
    codes: int = 8192
    muq: int = 512
    text_begin: int = 128000
    text_end: int = 128001

    @property
    def vocabulary(self) -> int:
        """Width of the logits: codes and special ids."""
        return self.codes + SPECIALS

    @property
    def end(self) -> int:
        """The least id that ends a song."""
        return self.codes + 1

    @property
    def table_parameters(self) -> int:
        """Embeddings: of each, a frame reads a few rows."""
        return (self.text_vocabulary + CODEBOOKS * self.vocabulary + 1) * self.backbone.dim

    @property
    def head_parameters(self) -> int:
        """The logits of all codebooks."""
        return self.vocabulary * (self.backbone.dim + (CODEBOOKS - 1) * self.decoder.dim)

    @property
    def parameters(self) -> int:
        """All weights."""
        muq = (self.muq + 1) * self.backbone.dim
        projection = self.backbone.dim * self.decoder.dim
        return self.backbone.parameters + self.decoder.parameters + self.table_parameters + self.head_parameters + projection + muq

    @property
    def frame_parameters(self) -> int:
        """Weights that one frame has to read: the backbone once, the depth decoder once per further codebook, each head once."""
        depth = self.decoder.parameters + self.backbone.dim * self.decoder.dim
        return self.backbone.parameters + (CODEBOOKS - 1) * depth + self.head_parameters

    def frame_operations(self, rows: int) -> float:
        """Multiplications and additions of one frame without attention; the first depth pass has two positions."""
        depth = self.decoder.parameters + self.backbone.dim * self.decoder.dim
        return 2.0 * rows * (self.backbone.parameters + CODEBOOKS * depth + self.head_parameters)

    def cache_bytes(self, positions: int, rows: int, width: int = 2, *, upstream: bool = False) -> int:
        """Caches for so many positions of each row. upstream: at all positions, each head with its own copy, masks included."""
        if not upstream:
            return rows * width * (positions * self.backbone.position_values + CODEBOOKS * self.decoder.position_values)
        values = self.backbone.position_values * self.backbone.heads // self.backbone.kv_heads
        depth = self.decoder.position_values * self.decoder.heads // self.decoder.kv_heads
        return rows * width * (self.backbone.positions * values + CODEBOOKS * depth) + self.backbone.positions**2


BACKBONES: Mapping[str, Stack] = {
    "llama-3B": Stack(layers=28, heads=24, kv_heads=8, dim=3072, hidden=8192, positions=8192),
    "llama-7B": Stack(layers=32, heads=32, kv_heads=8, dim=4096, hidden=14336, positions=8192),
}
DECODERS: Mapping[str, Stack] = {
    "llama-300M": Stack(layers=3, heads=8, kv_heads=4, dim=3072, hidden=8192, positions=2048),
    "llama-400M": Stack(layers=4, heads=8, kv_heads=4, dim=3072, hidden=8192, positions=2048),
}
"""Both under the names that upstream's config.json uses."""


def _published(backbone: str, decoder: str) -> Flavour:
    name = f"{backbone}+{decoder}".replace("llama-", "")
    return Flavour(name, BACKBONES[backbone], DECODERS[decoder])


def _real_width(name: str, layers: int) -> Flavour:
    """Real sizes with few layers. The table of texts is short: a frame reads none of it, and it takes 0.8 GB."""
    whole = _published("llama-3B", "llama-300M")
    return replace(whole, name=name, backbone=replace(whole.backbone, layers=layers), text_vocabulary=1024, text_begin=1022, text_end=1023)


_SMALL = Flavour(
    name="small",
    backbone=Stack(layers=4, heads=4, kv_heads=2, dim=192, hidden=512, positions=2048),
    decoder=Stack(layers=2, heads=2, kv_heads=1, dim=128, hidden=384, positions=64),
    text_vocabulary=260,
    codes=64,
    muq=24,
    text_begin=256,
    text_end=257,
)

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (
        *(_published(backbone, decoder) for backbone in BACKBONES for decoder in DECODERS),
        _real_width("real-width", 2),
        _real_width("real-width-4", 4),
        _SMALL,
        replace(
            _SMALL,
            name="draft",
            backbone=Stack(layers=1, heads=2, kv_heads=1, dim=96, hidden=256, positions=2048),
            decoder=Stack(layers=1, heads=2, kv_heads=1, dim=64, hidden=192, positions=64),
        ),
        Flavour(
            name="tiny",
            backbone=Stack(layers=3, heads=4, kv_heads=2, dim=64, hidden=160, positions=128),
            decoder=Stack(layers=2, heads=2, kv_heads=1, dim=48, hidden=96, positions=64),
            text_vocabulary=100,
            codes=61,
            muq=24,
            text_begin=97,
            text_end=98,
        ),
    )
}
"""Published ones by the sizes of both parts ("3B+300M"); real-width: two of 28 layers, the rest whole; small, draft: shipped weights."""


def sized(flavour: Flavour, size: str | None) -> Flavour:
    """What model_size makes of a flavour: "medium" is as it stands, "small" has half of the layers, "large" twice as many.

    Where a smaller model was trained, `small` is that: of the flavour of this name the `draft`, which is half as wide too.
    """
    if size in (None, "medium"):
        return flavour
    if size == "small" and flavour.name == "small":
        return FLAVOURS["draft"]
    backbone, decoder = (replace(part, layers=_layers(part.layers, size)) for part in (flavour.backbone, flavour.decoder))
    return replace(flavour, name=f"{flavour.name}-{size}", backbone=backbone, decoder=decoder)


def _layers(layers: int, size: str | None) -> int:
    return max(1, layers // 2) if size == "small" else 2 * layers


def flavour_of(name: str) -> Flavour:
    """The flavour of that name; ValueError lists the known ones."""
    if name not in FLAVOURS:
        raise ValueError(f"flavour: expected one of {', '.join(FLAVOURS)}, found {name!r}")
    return FLAVOURS[name]
