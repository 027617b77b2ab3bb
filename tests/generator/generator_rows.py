"""The implementations that can run here, for tests that want each of them."""

from harness.component import Inputs
from harness.registry import discover, unavailable
from harness.settings import Settings

REGISTRY = discover()


def rows(component):
    """(label, implementation, settings) of the plain rows and the variants of all that can run here but the reference."""
    for item in REGISTRY.implementations(component).values():
        if item.role == "optimized" and unavailable(item) is None:
            yield item.name, item, {}
            for variant in item.variants:
                yield f"{item.name}{dict(variant.settings)}", item, variant.settings


def outputs(item, inputs: Inputs, **settings):
    """What one call gives, chunks joined."""
    import numpy as np

    with item.load(Settings(**settings)) as run:
        found = run(inputs)
        if isinstance(found, dict):
            return found
        chunks = list(found)
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
