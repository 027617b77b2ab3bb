"""What the published codec costs on this machine, from a few of its layers: `python -m implementations.codec.benchmark`.

Measures an evaluation of the estimator at the published widths with one and with two blocks of each kind, reference and torch_packed in
turns in one process, and models all 24 + 6 from it. A third depth is predicted and measured, so that the model shows what it is worth.
Then a second of the decoder, torch_packed's and the native one beside the reference's.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from implementations._comparing import snr_db, timed
from implementations.codec.configuration import FLAVOURS, LATENTS_PER_FRAME, LATENTS_PER_SECOND, Configuration
from implementations.codec.native import MODULE, Decoder
from implementations.codec.song import SEGMENT, cut

if TYPE_CHECKING:
    from implementations.codec.flow import FlowMatching, Velocity

DEPTHS = ((1, 1), (2, 1), (1, 2))
CHECKED = (2, 2)
GUIDANCE = 1.25
Evaluate = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Layers:
    """Seconds of an evaluation: what all depths share, a block of the first width, one of the second."""

    rest: float
    first: float
    second: float

    def seconds(self, depth: tuple[int, int]) -> float:
        return self.rest + depth[0] * self.first + depth[1] * self.second


def model_of(measured: Mapping[tuple[int, int], float]) -> Layers:
    """The costs that explain the times at `DEPTHS`."""
    one, first, second = (measured[depth] for depth in DEPTHS)
    return Layers(one - (first - one) - (second - one), first - one, second - one)


def evaluations(configuration: Configuration, frames: int, precision: str) -> dict[str, Evaluate]:
    """One guided evaluation each of the reference and of the packed estimator, on the same weights and inputs."""
    from implementations.codec.model import seeded

    rows = evaluators(seeded(configuration).flow_matching, frames, precision)
    return {name: under(GUIDANCE) for name, under in rows.items()}


def evaluators(matching: FlowMatching, frames: int, precision: str) -> dict[str, Callable[[float], Evaluate]]:
    """By row what makes, under a guidance, a function of one evaluation: on these weights, on the same inputs."""
    import torch

    from implementations.codec import prepacked

    random = torch.Generator().manual_seed(0)
    latents, channels = LATENTS_PER_FRAME * frames, matching.estimator.proj_out.ffn_2.out_features
    x, context = (torch.randn(1, count, channels, generator=random) for count in (latents, latents // 7))
    condition = torch.randn(1, latents, matching.cond_feature_emb.out_features, generator=random)

    def under(make: Callable[..., Velocity], guidance: float) -> Evaluate:
        with torch.inference_mode():
            velocity = make(condition, context, 10, guidance)

        @torch.inference_mode()
        def evaluate() -> np.ndarray:
            return velocity(x, 3).numpy()

        return evaluate

    makers = {"reference": matching.velocity, "torch_packed": prepacked.velocity_of(matching, getattr(torch, precision))}
    return {name: partial(under, make) for name, make in makers.items()}


def decodings(precision: str) -> dict[str, Evaluate]:
    """A second of the published decoder each: as it is, folded, and in float32 the native one, where it is built."""
    import torch

    from implementations.codec.decoder import fold
    from implementations.codec.model import seeded

    plain, folded = (seeded(FLAVOURS["width"]).scalar_model for _ in range(2))
    fold(folded)
    folded = folded.to(getattr(torch, precision))
    shape = (2, FLAVOURS["width"].latent_hidden_dim, LATENTS_PER_SECOND)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found: dict[str, Evaluate] = {}
    for name, scalar in (("reference", plain), ("torch_packed", folded)):

        @torch.inference_mode()
        def decode(scalar: Callable[[torch.Tensor], torch.Tensor] = scalar) -> np.ndarray:
            return scalar(latents).float().numpy()

        found[name] = decode
    if precision == "float32" and find_spec(MODULE):
        native, rows = Decoder(folded, threads=torch.get_num_threads()), latents.permute(2, 0, 1).flatten(1).numpy()
        found["native"] = lambda: native(rows).T[:, None]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=93, help="code frames of a segment: 93 are 186 latents, upstream's 372 are 744")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of torch_packed")
    parser.add_argument("--one", action="store_true", help="one block of each kind only: the ratio, without the model of the whole")
    parser.add_argument("--decoder", action="store_true", help="the decoder alone")
    options = parser.parse_args()
    measured: dict[str, dict[tuple[int, int], float]] = {"reference": {}, "torch_packed": {}}
    for depth in () if options.decoder else DEPTHS[:1] if options.one else (*DEPTHS, CHECKED):
        configuration = replace(FLAVOURS["published"], num_layers=depth[0], num_layers_2=depth[1])
        calls = evaluations(configuration, options.frames, options.precision)
        title = f"{depth[0]} + {depth[1]} blocks, {2 * options.frames} latents, guided"
        for name, value in _compare(title, calls, options.rounds).items():
            measured[name][depth] = value
    reference, *others = decodings(options.precision).items()
    for other in others:
        _compare("decoder, 1 s of stereo", dict((reference, other)), options.rounds)
    if not (options.one or options.decoder):
        _report(measured, options.frames)


def _compare(title: str, calls: Mapping[str, Evaluate], rounds: int) -> dict[str, float]:
    """Print what the reference and another take in turns, and how equal they are; their seconds."""
    seconds, ratios = timed(calls, rounds)
    each = ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    spread = f"{statistics.median(ratios):.2f}x [{min(ratios):.2f}, {max(ratios):.2f}]"
    parity = snr_db(*(call() for call in calls.values()))
    print(f"{title}: {each}; {spread} at {parity:.0f} dB", flush=True)
    return seconds


def _report(measured: Mapping[str, Mapping[tuple[int, int], float]], frames: int) -> None:
    published = FLAVOURS["published"]
    depth, hop = (published.num_layers, published.num_layers_2), cut(SEGMENT, frames).hop
    for name, times in measured.items():
        layers = model_of(times)
        error = layers.seconds(CHECKED) / times[CHECKED] - 1
        rtf = 10 * layers.seconds(depth) * LATENTS_PER_SECOND / (LATENTS_PER_FRAME * hop)
        print(
            f"{name}: modelled for {depth[0]} + {depth[1]} blocks {layers.seconds(depth):.2f} s an evaluation, RTF {rtf:.2f} at 10 steps "
            f"(flow only); the model is {error:+.1%} off at {CHECKED[0]} + {CHECKED[1]}"
        )


if __name__ == "__main__":
    main()
