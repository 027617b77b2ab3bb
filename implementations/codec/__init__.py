"""HeartCodec: from the codes of a music generator to 48 kHz stereo; `open_codec` is the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from implementations.codec.library import Codec as Codec
    from implementations.codec.library import open_codec as open_codec

__all__ = ["Codec", "open_codec"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'implementations.codec' has no attribute {name!r}; it offers {', '.join(__all__)}")
    from implementations.codec import library

    return getattr(library, name)
