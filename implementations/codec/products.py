"""What bounds the estimator in float32, its products alone beside whole evaluations: `python -m implementations.codec.products`.

Everything else that an evaluation does could at best take no time, so reference / products is the most that any way to compute these
products, one by one and at this machine's speed, can gain.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from implementations._comparing import in_turns
from implementations.codec.benchmark import evaluations
from implementations.codec.configuration import FLAVOURS, Configuration
from implementations.codec.estimator import Projection, SwiGLU


@dataclass(frozen=True)
class Product:
    """(rows, inputs) times (inputs, outputs), so many times in an evaluation."""

    rows: int
    inputs: int
    outputs: int
    times: int = 1

    @property
    def operations(self) -> float:
        """Of one of them, a sum and a product each."""
        return 2.0 * self.rows * self.inputs * self.outputs


def products(configuration: Configuration, latents: int, *, guided: bool = True) -> list[Product]:
    """Those of an evaluation, without what is the same at every step or in both rows of the guidance."""
    width, channels, rows = configuration.width, configuration.out_channels, latents * (2 if guided else 1)
    found = []
    for size, times in ((width, configuration.num_layers), (2 * width, configuration.num_layers_2)):
        hidden = _hidden(size)
        found += [Product(rows, size, 3 * size, times), Product(rows, size, size, times)]
        found += [Product(rows, size, hidden, 2 * times), Product(rows, hidden, size, times)]
        found += [Product(latents, Projection.KERNEL * channels, size), Product(rows, size, size)]  # of the present latents; of all
    found += [Product(rows, Projection.KERNEL * width, 2 * width)]
    return [*found, Product(rows, Projection.KERNEL * 2 * width, channels), Product(rows, channels, channels)]


def operations(configuration: Configuration, latents: int, *, guided: bool = True) -> float:
    """Of an evaluation: its products, and what attention does with all pairs of latents."""
    widths = configuration.width * (configuration.num_layers + 2 * configuration.num_layers_2)
    attention = 4.0 * (2 if guided else 1) * latents**2 * widths
    return sum(product.times * product.operations for product in products(configuration, latents, guided=guided)) + attention


def _hidden(width: int) -> int:
    import torch

    with torch.device("meta"):
        return SwiGLU(width).gate.out_features


def calls_of(found: list[Product]) -> Mapping[Product, Callable[[], object]]:
    """Each product once, on random values, from a weight in oneDNN's own order."""
    import torch

    from implementations.codec.prepacked import pack

    calls: dict[Product, Callable[[], object]] = {}
    for product in found:
        packed, x = pack(torch.randn(product.outputs, product.inputs), None, torch.float32), torch.randn(product.rows, product.inputs)
        calls[product] = torch.inference_mode()(lambda packed=packed, x=x: packed(x))
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=93, help="code frames of a segment: 93 are 186 latents, upstream's 372 are 744")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = products(FLAVOURS["width"], 2 * options.frames)
    calls = calls_of(found)
    whole = evaluations(FLAVOURS["width"], options.frames, "float32")
    both: list[tuple[object, Callable[[], object]]] = [*whole.items(), *calls.items()]
    seconds = in_turns(dict(both), options.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for product in calls:
        rate = product.operations / min(seconds[product]) / 1e12
        shape = f"{product.rows} x {product.inputs} x {product.outputs}"
        print(f"{shape}, {product.times} times: {medians[product]:.4f} s, at best {rate:.3f} TFLOP/s")
    best = max(product.operations / min(seconds[product]) for product in calls)
    operations = sum(product.times * product.operations for product in found)
    alone = sum(product.times * medians[product] for product in found)
    print(
        f"reference {medians['reference']:.3f} s, torch_packed {medians['torch_packed']:.3f} s, the products alone {alone:.3f} s, "
        f"all {operations / 1e12:.4f} TFLOP at the best rate {best / 1e12:.3f} TFLOP/s {operations / best:.3f} s"
    )
    print(
        f"speed-up over the reference: torch_packed {medians['reference'] / medians['torch_packed']:.2f}, of the products alone "
        f"{medians['reference'] / alone:.2f}, at most {medians['reference'] / (operations / best):.2f}"
    )


if __name__ == "__main__":
    main()
