"""What sizes alone say: bytes a frame has to read, memory a song takes, the time of all layers from the time of a few.

All counts come from the sizes (`flavours`), which are tested beside the modules. What comes out is computed or modelled, never measured.
`python -m implementations.generator.limits` holds what the source document states of sizes, memory and its board against them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.figures import tell
from implementations.codec import work as codec
from implementations.generator.flavours import FLAVOURS, FRAMES_PER_SECOND, Flavour

WHOLE = FLAVOURS["3B+300M"]
CODEC = "published"

BOARD_MEMORY, GB10_MEMORY = 51.0, 273.0
"""GB/s. Of the board that the document's Appendix B assumes: 64 bits of LPDDR5 at 6400 MT/s. Of the GB10 itself: its maker's figure."""

PLAIN = "generator, bfloat16, a frame at a time"

STATED_SIZES = {"LM": 3e9, "decoder": 300e6, "flow matching": 500e6, "scalar model": 50e6}
"""Parameters, as the document has them."""

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
    flavour: Flavour, *, seconds: float = 180.0, rows: int = 2, width: int = 2, kept: int | None = None, upstream: bool = False
) -> float:
    """Weights of `width` bytes a number, caches of `kept` (as many by default); what a program takes besides, some 0.3 GB, is not in it."""
    positions = TEXT + round(seconds * FRAMES_PER_SECOND)
    return width * flavour.parameters + flavour.cache_bytes(positions, rows, kept or width, upstream=upstream)


def codec_bytes(width: int = 4) -> float:
    """The published codec's weights, `width` bytes a number; what it works in is not in it."""
    return float(width * sum(codec.parameters(CODEC).values()))


def board_teraflops(width: int) -> float:
    """The most that the document's eight Cortex-A78 multiply and add: two pipes of 16 bytes each, 3.0 GHz on all of them (assumed)."""
    cores, pipes, gigahertz = 8, 2, 3.0
    return cores * pipes * (16 / width) * 2 * gigahertz / 1e3


def board_floors() -> Mapping[str, float]:
    """The least RTF of each part on the document's board, a song of three minutes; its codec at 10 steps with guidance."""
    plain, drafted = floor_rtf(WHOLE, BOARD_MEMORY), speculative_speedup(1.0, ahead=3, draft=0.0, flavour=WHOLE)
    floors = {PLAIN: plain, "generator, three frames ahead, drafts free and all of them right": plain / drafted}
    for name, width in (("float32", 4), ("float16", 2)):
        rate = board_teraflops(width)
        floors[f"codec, {name}"] = codec.rtf_floor(CODEC, gigabytes_per_second=BOARD_MEMORY, teraflops=rate, width=width)
    return floors


def amdahl(share: float, speedup: float) -> float:
    """What the whole gains where a share of its time becomes so many times faster."""
    return 1 / (1 - share + share / speedup)


def counted_sizes() -> Mapping[str, int]:
    """Parameters of the parts that the document names; of the LM and the decoder the blocks, without tables and logits."""
    return {"LM": WHOLE.backbone.parameters, "decoder": WHOLE.decoder.parameters, **codec.parameters(CODEC)}


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


def main() -> None:
    argparse.ArgumentParser(prog="python -m implementations.generator.limits", description=__doc__).parse_args()
    _floors()
    _memory()
    _sizes()
    _snake()


def _floors() -> None:
    floors = board_floors()
    print(f"least RTF on 8 Cortex-A78 at 3.0 GHz ({board_teraflops(4):.2f} TFLOP/s in float32) with {BOARD_MEMORY:g} GB/s, computed:")
    for name, floor in floors.items():
        print(f"  {name}: {floor:.2f}")
    print(f"  the generator at the {GB10_MEMORY:g} GB/s of a GB10: {floor_rtf(WHOLE, GB10_MEMORY):.2f}")
    # Both parts at once at best: one waits for memory while the other computes, in the cheapest numbers that are not quantized.
    sound = floors["codec, float16"]
    of = f"the board that the document assumes, plain decoding at {BOARD_MEMORY:g} GB/s; with perfect drafts the codec's {sound:.2f} stays"
    tell("rtf_floor", max(floors[PLAIN], sound), "computed", of, limit=True)


def _memory() -> None:
    exact, narrow, sound = memory_bytes(WHOLE, kept=4), memory_bytes(WHOLE), codec_bytes()
    print("memory of a song of three minutes in GB, weights and caches, computed:")
    for name, size in {
        "generator, float32 caches of the song's length (the exact rows)": exact,
        "generator, bfloat16 caches of the song's length": narrow,
        "generator, upstream's caches": memory_bytes(WHOLE, upstream=True),
        "codec, float32": sound,
        "one after the other": max(exact, sound),
        "both at once, as python -m implementations.generator holds them": exact + sound,
        "both at once, all in 16 bits (approximate)": narrow + codec_bytes(2),
    }.items():
        print(f"  {name}: {size / 1e9:.1f}")
    tell("counted_peak_bytes", exact + sound, "computed", "generator and codec at once, as the pipeline holds them, weights and caches")


def _sizes() -> None:
    errors = {}
    for name, counted in counted_sizes().items():
        errors[name] = abs(STATED_SIZES[name] / counted - 1)
        print(f"{name}: {counted:,} parameters, the document has {STATED_SIZES[name]:,.0f}: {errors[name]:.0%} off")
    worst = max(errors, key=errors.__getitem__)
    tell("component_size_error", errors[worst], "computed", f"the stated size of the {worst}, the one that is most off")


def _snake() -> None:
    kinds = codec.activations(CODEC)
    share = kinds.get("Snake", 0) / sum(kinds.values())
    listed = ", ".join(f"{count} {name}" for name, count in kinds.items())
    fastest = amdahl(share, math.inf)
    print(f"activations of the codec's decoder: {listed}; Snake is {share:.0%} of them, so any faster one gains at most {fastest:.1f}x")
    tell("speedup_snake", fastest, "computed", "activations of the codec's decoder, none of them Snake", limit=True)


if __name__ == "__main__":
    main()
