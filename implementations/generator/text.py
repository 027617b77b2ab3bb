"""From tags and lyrics to a prompt, as upstream lays it out: tags, one place for the style, lyrics.

Source: HeartMuLa/heartlib, pipelines/music_generation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from implementations.generator.flavours import Flavour
from implementations.generator.generation import Prompt

Encode = Callable[[str], Sequence[int]]


def prompt_of(tags: str, lyrics: str, flavour: Flavour, encode: Encode | None = None) -> Prompt:
    """The prompt of a song without a style to follow. encode: ids of a text; by default its UTF-8 bytes, as small flavours read it."""
    tags, lyrics = tags.lower(), lyrics.lower()
    tags = tags if tags.startswith("<tag>") else f"<tag>{tags}"
    tags = tags if tags.endswith("</tag>") else f"{tags}</tag>"
    encode = encode or (lambda text: text.encode())
    first, second = (_enclosed(list(encode(text)), flavour) for text in (tags, lyrics))
    text = np.array([*first, 0, *second], np.int64)
    return Prompt(text, np.zeros(flavour.muq, np.float32), len(first))


def tokenizer_of(folder: Path) -> Encode:
    """The tokenizer.json of a checkpoint, or of the folder around it; ValueError where there is none or it cannot be read."""
    found = [path for path in (folder / "tokenizer.json", folder.parent / "tokenizer.json") if path.is_file()]
    if not found:
        raise ValueError(f"{folder}: expected tokenizer.json there or beside it, found none")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise ValueError(f"{found[0]}: reading it needs the package tokenizers: python -m pip install tokenizers") from None
    try:
        tokenizer = Tokenizer.from_file(str(found[0]))
    except Exception as error:  # what it raises is a plain Exception
        raise ValueError(f"{found[0]}: expected a tokenizer, found: {error}") from None
    return lambda text: list(tokenizer.encode(text).ids)


def _enclosed(ids: list[int], flavour: Flavour) -> list[int]:
    begin = [] if ids[:1] == [flavour.text_begin] else [flavour.text_begin]
    end = [] if ids[-1:] == [flavour.text_end] else [flavour.text_end]
    return [*begin, *ids, *end]
