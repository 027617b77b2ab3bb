"""The optimized engine on a CPU, with oneDNN's products or our own; loaded where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from harness.component import Requires
from implementations.generator.flavours import Flavour, flavour_of
from implementations.generator.generation import Frame, Model, Request, generate
from implementations.generator.serving import implementations

if TYPE_CHECKING:
    from harness.settings import Settings

NATIVE = "implementations.generator._native"


def open_prepacked(flavour: Flavour, settings: Settings) -> Model:
    """Weights in oneDNN's layout, in the precision of what is between them."""
    import torch

    from implementations.generator.checkpoints import weights_of
    from implementations.generator.engine import Engine, RowByRow, prepacked

    dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    engine = Engine(flavour, weights_of(flavour, dtype), prepacked, dtype)
    return RowByRow(engine) if settings.batch == 1 else engine


def open_native(flavour: Flavour, settings: Settings) -> Model:
    """bfloat16 weights as they are, in 8 bits, or with keys and values in float16; float32 between them."""
    import torch

    from implementations.generator import native
    from implementations.generator.checkpoints import weights_of
    from implementations.generator.engine import Engine, RowByRow

    precision = settings.precision or ("int8" if settings.mode == "lightweight" else "float32")
    hold = partial(native.hold_int8 if precision == "int8" else native.hold, threads=settings.threads)
    half = precision == "float16"
    weights = weights_of(flavour, torch.float16 if half else torch.bfloat16)
    engine = Engine(flavour, weights, hold, threads=1, kept=torch.float16 if half else None)
    return RowByRow(engine) if settings.batch == 1 else engine


def open_speculative(flavour: Flavour, settings: Settings) -> Model:
    """The native engine with a draft: the small model that comes with `small`, of other flavours copies of what the song played before."""
    import torch

    from implementations.generator import native
    from implementations.generator.checkpoints import SHIPPED, weights_of
    from implementations.generator.engine import Engine
    from implementations.generator.speculative import ModelDraft, SectionCopy

    hold = partial(native.hold, threads=settings.threads)
    engine = Engine(flavour, weights_of(flavour, torch.bfloat16), hold, threads=1)
    engine.draft = SectionCopy()
    if flavour.name == "small" and (SHIPPED / "draft").is_dir():
        draft = flavour_of("draft")
        engine.draft = ModelDraft(Engine(draft, weights_of(draft, torch.bfloat16), hold, threads=1))
    return engine


def generate_speculative(model: Model, request: Request) -> Iterator[Frame]:
    """The same frames by way of drafts; under forced codes there is nothing to draft."""
    from implementations.generator import speculative
    from implementations.generator.engine import Engine

    assert isinstance(model, Engine)
    assert model.draft is not None
    if request.forced is not None:
        return generate(model, request)
    return speculative.generate(model, request, model.draft)


def open_cuda(flavour: Flavour, settings: Settings) -> Model:
    """Weights on the GPU, in the precision of what is between them."""
    import torch

    from implementations.generator.checkpoints import weights_of
    from implementations.generator.cuda import plain
    from implementations.generator.engine import Engine

    dtype = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    weights = {name: tensor.cuda() for name, tensor in weights_of(flavour, dtype).items()}
    return Engine(flavour, weights, plain, dtype)


def generate_cuda(model: Model, request: Request) -> Iterator[Frame]:
    """A graph per song, captured at its second frame."""
    from implementations.generator import cuda

    return cuda.generate(model, request)


GENERATOR, BACKBONE, DEPTH = implementations(
    "torch_prepacked",
    "optimized",
    open_prepacked,
    precisions=("bfloat16",),
    requires=Requires(packages=("torch",)),
    description="torch with fused projections, sized caches, sliced attention and oneDNN weights laid out once",
)
NATIVE_GENERATOR, NATIVE_BACKBONE, NATIVE_DEPTH = implementations(
    "native",
    "optimized",
    open_native,
    precisions=("float16", "int8"),
    light=True,
    modules=("torch", NATIVE),
    requires=Requires(packages=("torch",), native=NATIVE),
    description="the same with own products of few rows: bfloat16, float16 or int8 weights by float32; exact at half of the bytes",
)
CUDA_GENERATOR, CUDA_BACKBONE, CUDA_DEPTH = implementations(
    "torch_cuda",
    "optimized",
    open_cuda,
    precisions=("bfloat16",),
    settings=(),
    generate=generate_cuda,
    requires=Requires(packages=("torch",), device="cuda"),
    clock="cuda",
    description="a CUDA graph per frame, sampling on the device; the stages eagerly",
)
SPECULATIVE, *_ = implementations(
    "speculative",
    "optimized",
    open_speculative,
    settings=("threads", "affinity"),
    generate=generate_speculative,
    modules=("torch", NATIVE),
    requires=Requires(packages=("torch",), native=NATIVE),
    description="native, with frames drafted by a smaller model and checked together: the same codes",
)
