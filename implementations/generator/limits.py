"""What a machine allows: bytes a frame has to read, memory a song takes, and the time of all layers from the time of a few.

All counts come from the sizes (`flavours`), which are tested beside the modules. What comes out is computed or modelled, never measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from implementations.generator.flavours import FRAMES_PER_SECOND, Flavour

TEXT = 200
"""Tokens of tags and lyrics that are counted."""


def frame_bytes(flavour: Flavour, *, seconds: float, rows: int = 2, width: int = 2) -> float:
    """Bytes that decoding a frame of a song of so many seconds reads on average: weights and caches of `width` bytes a number."""
    positions = TEXT + seconds * FRAMES_PER_SECOND / 2
    return width * (flavour.frame_parameters + rows * positions * flavour.backbone.position_values)


def floor_rtf(flavour: Flavour, gigabytes_per_second: float, *, seconds: float = 180.0, rows: int = 2, width: int = 2) -> float:
    """The least seconds of work per second of sound, one frame at a time, at a memory's bandwidth."""
    return frame_bytes(flavour, seconds=seconds, rows=rows, width=width) * FRAMES_PER_SECOND / (gigabytes_per_second * 1e9)


def memory_bytes(
    flavour: Flavour, *, seconds: float = 180.0, rows: int = 2, width: int = 2, text: int = 200, upstream: bool = False
) -> float:
    """Weights and caches; what a program takes besides, some 0.3 GB, is not in it."""
    positions = TEXT + round(seconds * FRAMES_PER_SECOND)
    return width * flavour.parameters + flavour.cache_bytes(positions, rows, width, upstream=upstream)


@dataclass(frozen=True)
class Split:
    """Seconds of one frame, measured at a number of backbone layers: in the backbone, and in everything else."""

    layers: int
    backbone: float
    rest: float

    def at(self, layers: int) -> float:
        """Seconds of a frame with so many layers: the model is that layers cost the same."""
        return self.rest + self.backbone * layers / self.layers

    def rtf(self, layers: int) -> float:
        """Seconds of work per second of sound."""
        return self.at(layers) * FRAMES_PER_SECOND


def speculative_speedup(acceptance: float, *, ahead: int, draft: float, flavour: Flavour) -> float:
    """Plain over speculative decoding in bytes read, where each code is right with probability `acceptance` on its own.

    draft: bytes of a drafted frame relative to those of a frame. A frame counts where all its eight codes are right.
    """
    whole = flavour.frame_parameters
    depth = flavour.decoder.parameters + flavour.backbone.dim * flavour.decoder.dim
    heads = flavour.head_parameters
    frame = acceptance**8
    drafted = ahead + 1
    right = sum(frame**number for number in range(1, drafted + 1))
    given = right + (1 - frame**drafted)  # a wrong frame is completed
    # Of a frame that is completed on average: the passes after its first wrong code.
    first_wrong = [acceptance**place * (1 - acceptance) for place in range(8)]
    passes = sum(share * (7 - place) for place, share in enumerate(first_wrong)) / (1 - frame) if frame < 1 else 0.0
    completed = (1 - frame**drafted) * passes * (depth + heads / 8)
    spent = flavour.backbone.parameters + depth + heads + completed + drafted * draft * whole
    return given * whole / spent
