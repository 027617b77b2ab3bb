"""Every codec row that runs here: its cases, adversarial inputs, manners; and the library over them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings

from harness.measure.plan import replaced
from harness.parity import compare
from harness.registry import discover, unavailable
from harness.settings import Settings, label
from implementations.codec import open_codec
from implementations.codec.component import DECODER, FLOW, SONG
from implementations.codec.configuration import FLAVOURS
from implementations.codec.model import load
from implementations.codec.reference import kernels

COMPONENTS = {of.name: of for of in (FLOW, DECODER, SONG)}


def rows():
    for component in COMPONENTS:
        for implementation in discover().implementations(component).values():
            for variant in ({}, *(variant.settings for variant in implementation.variants)):
                yield implementation, Settings(**variant)


ROWS = [row for row in rows() if not unavailable(row[0])]
NAMES = [f"{item.component}.{label(item.name, of.given())}" for item, of in ROWS]


def joined(outputs):
    if isinstance(outputs, dict):
        return outputs
    chunks = list(outputs)
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


@pytest.fixture(scope="module")
def references():
    contexts = {name: discover().reference(name).load(Settings()) for name in COMPONENTS}
    runs = {name: context.__enter__() for name, context in contexts.items()}
    yield lambda name, inputs: joined(runs[name](inputs))
    for context in contexts.values():
        context.__exit__(None, None, None)


@pytest.fixture(scope="module", params=ROWS, ids=NAMES)
def row(request):
    implementation, of = request.param
    with implementation.load(of) as run:
        yield implementation, of, lambda inputs: joined(run(inputs))


def problems(row, inputs, references):
    implementation, of, run = row
    component = COMPONENTS[implementation.component]
    results = compare(
        references(component.name, inputs), run(inputs), component.policy, replaced=replaced(implementation, of.given()), inputs=inputs
    )
    return [result.message for result in results if not result.passed]


def test_quick_case(row, references):
    component = COMPONENTS[row[0].component]
    (case,) = (case for case in component.cases if case.quick)
    assert problems(row, case.make(1), references) == []


def test_adversarial_inputs(row, references):
    component = COMPONENTS[row[0].component]
    if row[1].given() and row[1].precision is None:
        return  # other steps and no guidance take the same path as the plain row

    @seed(20261125)
    @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(component.strategy())
    def agrees(inputs):
        assert problems(row, inputs, references) == []

    agrees()


def test_inputs_are_only_read_and_outputs_are_fresh(row):
    implementation, of, run = row
    if of.given():
        return
    (case,) = (case for case in COMPONENTS[implementation.component].cases if case.quick)
    inputs = case.make(2)
    before = {name: np.copy(value) for name, value in inputs.items()}
    first = run(inputs)
    kept = {name: array.copy() for name, array in first.items()}
    run(case.make(3))
    assert all(np.array_equal(before[name], value) for name, value in inputs.items())
    assert all(np.array_equal(kept[name], array) for name, array in first.items())


def test_settings_that_cannot_be_are_refused(row):
    implementation, _, _ = row
    with pytest.raises(ValueError, match=r"precision: expected float32.*found 'int8'"):
        implementation.load(Settings(precision="int8")).__enter__()
    with pytest.raises(ValueError, match="mode: expected full or lightweight, found 'auto'"):
        implementation.load(Settings(mode="auto")).__enter__()


@pytest.mark.parametrize("batch", [1, 3])
def test_songs_of_a_batch_are_independent(batch):
    """4 songs at once, one by one and by threes give the same latents but for rounding."""
    inputs = FLOW.case("tiny-4-songs").make(0)
    found = []
    for at_once in (4, batch):
        with discover().implementations("codec_flow")["torch_packed"].load(Settings(batch=at_once)) as run:
            found.append(run(inputs))
    assert all(result.passed for result in compare(*found, FLOW.policy))


def test_the_decoder_of_the_packed_row_is_bit_identical(references):
    inputs = DECODER.case("small-7s").make(0)
    with discover().implementations("codec_decoder")["torch_packed"].load(Settings()) as run:
        assert np.array_equal(run(inputs)["wave"], references("codec_decoder", inputs)["wave"])


@pytest.mark.parametrize("backend", ["auto", "torch_packed", "reference"])
def test_the_library_decodes_a_song(backend):
    codes = np.random.default_rng(0).integers(61, size=(30, 8))
    with open_codec("tiny", backend=backend) as codec:
        wave = codec.decode(codes, seed=3, segment=15)
        parts = list(codec.stream(np.array_split(codes, 7), seed=3, segment=15))
    assert wave.shape == (30 * FLAVOURS["tiny"].samples_per_frame, 2)
    assert np.array_equal(np.concatenate(parts), wave)
    assert len(parts) == 3


def test_the_library_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="backend: expected auto, native, torch_packed or reference, found 'cuda'"):
        open_codec("tiny", backend="cuda").__enter__()
    with pytest.raises(ValueError, match="precision of reference: expected float32, found 'bfloat16'"):
        open_codec("tiny", backend="reference", precision="bfloat16").__enter__()
    with open_codec("tiny") as codec, pytest.raises(ValueError, match="found 61 at frame 0, codebook 0"):
        codec.decode(np.full((3, 8), 61))


def test_memory_that_is_missing_is_named():
    def flow(*arguments):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with open_codec("tiny") as codec:
        hungry = replace(codec, kernels=replace(codec.kernels, flow=flow))
        with pytest.raises(MemoryError, match="expected memory for a segment of 372 frames, found too little; give a shorter one"):
            hungry.decode(np.zeros((3, 8), int))


def test_a_streamed_decoder_is_two_latents_behind():
    import torch

    from implementations.codec.decoder import fold
    from implementations.codec.streaming import Stream

    scalar = load("tiny").scalar_model
    fold(scalar)
    stream, latents = Stream(scalar), torch.randn(2, 128, 9, generator=torch.Generator().manual_seed(0))
    per_latent = FLAVOURS["tiny"].samples_per_latent
    counts = [stream.push(latents[..., t : t + 1]).shape[-1] for t in range(9)]
    assert counts == [0, 0, *[per_latent] * 7]
    assert stream.finish(latents).shape == (2, 1, 2 * per_latent)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 40, 41])
def test_a_streamed_decoder_gives_the_samples_of_the_whole(size):
    import torch

    from implementations.codec.decoder import fold
    from implementations.codec.streaming import chunks

    model = load("tiny")
    latents = np.random.default_rng(size).standard_normal((41, 256), np.float32)
    whole = kernels(model).decode(latents)
    fold(model.scalar_model)
    with torch.inference_mode():
        found = torch.cat(list(chunks(model.scalar_model, torch.tensor(latents).unflatten(1, (2, -1)).permute(1, 2, 0), size)), dim=-1)
    assert np.abs(found[:, 0].T.numpy() - whole).max() < 1e-6
